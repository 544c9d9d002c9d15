"""The providers that user code has set, if it has imported OpenTelemetry. Without importing it."""

from __future__ import annotations

import sys
from typing import Any


def is_set(signal: str) -> bool:
    """Return True if there is a global provider, of whoever it is: a second one is refused.

    Args:
        signal: "trace" or "metrics".
    """
    return _provider(signal) is not None


def provider_of_user(signal: str) -> Any:
    """Return the global provider that user code has set; None: it has set none.

    Args:
        signal: "trace" or "metrics".
    """
    provider = _provider(signal)
    return None if getattr(provider, "is_of_ucam_faas", False) else provider


def _provider(signal: str) -> Any:
    api = sys.modules.get(f"opentelemetry.{signal}")
    if api is None:  # then no code can have set one
        return None
    provider = api.get_tracer_provider() if signal == "trace" else api.get_meter_provider()
    is_of_api = type(provider).__module__.startswith(f"opentelemetry.{signal}")  # it does nothing
    return None if is_of_api else provider
