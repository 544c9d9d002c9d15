"""The form of PUBSUB_EMULATOR_HOST."""

from __future__ import annotations

from ucam_faas.exceptions import ConfigurationError


def parse(address: str, cure: str) -> tuple[str, int]:
    """Return host and port.

    Args:
        address: the variable's value.
        cure: advice for the error, if another Pub/Sub was meant.

    Raises:
        ConfigurationError: it isn't `host:port`.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise ConfigurationError(
            f"PUBSUB_EMULATOR_HOST is {address!r}; expected host:port, such as 127.0.0.1:8085. "
            f"{cure}"
        )
    return host.strip("[]"), int(port)
