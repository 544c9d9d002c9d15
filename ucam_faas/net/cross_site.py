"""Requests that a web page of elsewhere makes a browser on this machine send to a local port.

A page can post to any port here; and by a name of its own that points here (DNS rebinding), it can
read the answers, too. Browsers say where a request comes from: the `Origin` header, the Fetch
Metadata header `Sec-Fetch-Site`, and the name in `Host`. Programs send no such origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit


def is_this_machine(host: str) -> bool:
    """Return True for the names and addresses that can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def refusal(headers: Iterable[tuple[bytes, bytes]], *, any_host: bool) -> str | None:
    """Say why a request is refused, or return None.

    Args:
        headers: of the request, with lower-case names, as ASGI has them.
        any_host: the port is open to other machines, which may have any name for this one.
    """
    values = {name: value.decode("latin-1") for name, value in headers if name in _LOOKED_AT}
    host, origin = values.get(b"host", ""), values.get(b"origin")
    if not any_host and not is_safe_name(name_of(f"//{host}")):
        return (
            f"Host: {host[:100]!r} is not this machine. Call 127.0.0.1 or localhost, or start with "
            "--host 0.0.0.0 to be called by any name."
        )
    if origin is not None:
        if is_this_machine(name_of(origin)) or origin.partition("://")[2] == host:
            return None
        return f"Origin: web pages of {origin[:100]!r} may not call this port."
    if values.get(b"sec-fetch-site") == "cross-site":
        return "Sec-Fetch-Site: web pages of other sites may not call this port."
    return None


_LOOKED_AT = (b"host", b"origin", b"sec-fetch-site")


def is_safe_name(host: str) -> bool:
    """Return True for hosts that no name server controls: addresses, and this machine's names."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host or is_this_machine(host)
    return True


def name_of(url: str) -> str:
    """Return the host that a URL names, without a port; empty if it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return "invalid"
