"""Exceptions as text for log lines, with or without their texts, which may quote a payload."""

from __future__ import annotations

import traceback

from ucam_faas.exceptions import NotConfiguredError
from ucam_faas.logs.records import readable

_WITHHELD = "(text withheld: set UCAM_FAAS_LOG_EXCEPTION_TEXT=true to log it)"


def render(error: BaseException, *, texts: bool) -> str:
    """Return a traceback in Python's form; without texts, it cannot quote a payload."""
    if texts:
        return "".join(traceback.format_exception(error)).rstrip()
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__))
        kind = name_of(link, texts=False)
        parts.append(f"Traceback (most recent call last):\n{frames}{kind}: {_WITHHELD}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nThe exception above led to this one:\n\n".join(reversed(parts))


def name_of(error: BaseException, *, texts: bool) -> str:
    """Return an exception's type, and its text if texts are wanted."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, BaseExceptionGroup):
        kind += f" of {', '.join(name_of(part, texts=False) for part in error.exceptions)}"
    text = readable(error) if texts or isinstance(error, NotConfiguredError) else ""
    return f"{kind}: {text}" if text else kind
