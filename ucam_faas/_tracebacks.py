"""Tracebacks for logs, with or without what the exceptions say: that may quote a payload."""

from __future__ import annotations

import traceback

_WITHHELD = "(text withheld: set UCAM_FAAS_LOG_EXCEPTION_TEXT=true to log it)"


def render(error: BaseException, *, texts: bool) -> str:
    """Return a traceback in Python's form, with or without what the exceptions say."""
    if texts:
        return "".join(traceback.format_exception(error)).rstrip()
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__))
        kind = f"{type(link).__module__}.{type(link).__qualname__}".removeprefix("builtins.")
        parts.append(f"Traceback (most recent call last):\n{frames}{kind}: {_WITHHELD}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nThe exception above led to this one:\n\n".join(reversed(parts))
