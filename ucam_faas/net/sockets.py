"""The sockets that this package listens on, made in one place; and those that a process has."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ucam_faas.exceptions import AddressError, ConfigurationError


def bind(host: str, port: int, advice: str) -> socket.socket:
    """Return a TCP socket with an address; it does not listen yet.

    The protocol is named: asyncio sets TCP_NODELAY only on connections of sockets whose `proto` is
    IPPROTO_TCP. Without it an answer in two writes waits for the client's delayed
    acknowledgement, some 40 ms.

    Args:
        host: an IPv4 or IPv6 address, or a name.
        port: 0 takes any free one.
        advice: how to choose another address; ends the error's text.

    Raises:
        ConfigurationError: the address is taken or invalid.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise address_error(host, port, error, advice) from error
    return listener


def bind_first(host: str, ports: Iterable[int], advice: str) -> socket.socket:
    """Return a TCP socket with the first port that is free, else with any free one; see `bind`."""
    for port in ports:
        with suppress(ConfigurationError):
            return bind(host, port, advice)
    return bind(host, 0, advice)


def address_error(host: str, port: int, error: Exception, advice: str) -> AddressError:
    """Return the error that says why an address cannot be listened on."""
    reason = getattr(error, "strerror", None) or str(error)
    return AddressError(f"Cannot listen on {host}:{port}: {reason}. {advice}")


def peers() -> list[str]:
    """Return the addresses at the other ends of this process's connections over IP; on Linux."""
    return sorted(set(_peers()))


def _peers() -> Iterator[str]:
    for number in _descriptors():
        with suppress(OSError):  # it isn't connected, or was closed
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6):
                    host, port = copy.getpeername()[:2]
                    yield f"{host.removeprefix('::ffff:')}:{port}"


def _descriptors() -> list[int]:
    folder = Path("/proc/self/fd")
    return [int(path.name) for path in folder.iterdir()] if folder.is_dir() else []
