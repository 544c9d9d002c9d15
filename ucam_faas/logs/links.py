"""Links in a terminal, as OSC 8 has them, to the pages of the dashboard."""

from __future__ import annotations

import os
from typing import TextIO
from urllib.parse import quote


def takes_escapes(stream: TextIO) -> bool:
    """Return True if a stream is a terminal that may get colours and links.

    See no-color.org for NO_COLOR.
    """
    environ = os.environ
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("NO_COLOR")


def path_of(*parts: str) -> str:
    """Return a path of the dashboard; each part is quoted.

    >>> path_of("jobs", "send_letters", "a/b")
    '/jobs/send_letters/a%2Fb'
    """
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def linked(text: str, url: str) -> str:
    r"""Return a text that a terminal links; those that can't show the text alone.

    >>> linked("done", "http://127.0.0.1:8088/messages/7")
    '\x1b]8;;http://127.0.0.1:8088/messages/7\x1b\\done\x1b]8;;\x1b\\'
    """
    return f"\033]8;;{url}\033\\{text}\033]8;;\033\\"
