"""Which requests are answered, and the headers that each answer has.

A page of another site can make a browser send requests here. It can't send them with another
`Host`, unless its own name points here (DNS rebinding); so that is looked at first. Then browsers
say where a request comes from: `Sec-Fetch-Site`, or else `Origin`. Programs send neither.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from ucam_faas.net.cross_site import is_safe_name, name_of

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of each answer. Nothing of another site is loaded, and no other site shows a page in a frame."""


def own_name() -> str:
    """Return the name that this machine has on its network."""
    return socket.gethostname().lower()


def refusal(method: str, headers: Mapping[str, str], allowed: frozenset[str]) -> str | None:
    """Say why a request is refused, or return None.

    Args:
        method: of HTTP.
        headers: with lower-case names.
        allowed: names of this site, apart from this machine's own and addresses; `.run.app` allows
            all names that end so.
    """
    host = headers.get("host", "")
    name = name_of(f"//{host}")
    if not is_safe_name(name) and not _is_allowed(name, allowed):
        return (
            f"The dashboard isn't {host[:100]!r}. Call it 127.0.0.1 or localhost, or start it with "
            "--allowed-host and this name."
        )
    site = headers.get("sec-fetch-site")
    if method in ("GET", "HEAD"):
        # A link of another site may lead here. Its scripts, images and frames may not.
        is_link = headers.get("sec-fetch-mode") == "navigate"
        if site in ("cross-site", "same-site") and not is_link:
            return "Other sites may only link to the dashboard."
        return None
    if site is not None:
        return None if site in ("same-origin", "none") else "Other sites may not act here."
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host.lower():
        return "Other sites may not act here."
    return None


def _is_allowed(name: str, allowed: frozenset[str]) -> bool:
    ends = (end for end in allowed if end.startswith("."))
    return name in allowed or any(name.endswith(end) for end in ends)


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
