"""Exceptions on their way between processes: type, text, and the places in their tracebacks.

Nothing is pickled: exceptions of users may not survive that. The exception is made again with its
type where that is loaded, and a traceback of real frames, so that each log renders it as its own.
"""

from __future__ import annotations

import sys
import traceback
from types import CodeType, TracebackType
from typing import Any, NamedTuple

from ucam_faas.logs.records import readable

MAX_LINKS, MAX_FRAMES = 10, 100
"""Exceptions in a chain of causes, and frames in a traceback: the last ones."""


class Link(NamedTuple):
    """An exception, and the one that led to it.

    Args:
        places: file, line and function of its frames.
    """

    module: str
    qualname: str
    text: str
    places: tuple[tuple[str, int, str], ...]
    cause: Link | None
    context: Link | None
    is_context_suppressed: bool


def to_link(error: BaseException | None, links: int = MAX_LINKS) -> Link | None:
    """Return an exception as it travels; None for None."""
    if error is None or links == 0:
        return None
    kind = type(error)
    places = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return Link(
        kind.__module__,
        kind.__qualname__,
        readable(error),
        tuple(places[-MAX_FRAMES:]),
        to_link(error.__cause__, links - 1),
        to_link(error.__context__, links - 1) if error.__cause__ is None else None,
        error.__suppress_context__,
    )


def to_error(link: Link | None) -> BaseException | None:
    """Return the exception again; None for None."""
    if link is None:
        return None
    error = _of_loaded_class(link) or _of_likeness(link)
    error.__cause__, error.__context__ = to_error(link.cause), to_error(link.context)
    error.__suppress_context__ = link.is_context_suppressed
    return error.with_traceback(_traceback(link.places))


def loaded_class(module: str, qualname: str) -> Any:
    """Return a class of a module that is loaded, or None."""
    value: Any = sys.modules.get(module)
    for name in qualname.split("."):
        value = getattr(value, name, None)
    return value


def _of_loaded_class(link: Link) -> BaseException | None:
    """Return an exception of the class itself, without a call of its constructor."""
    kind = loaded_class(link.module, link.qualname)
    try:
        error = kind.__new__(kind)
        error.args = (link.text,)
        is_same = isinstance(error, BaseException) and str(error) == link.text
    except Exception:  # whatever a user's class does
        return None
    return error if is_same else None


def _of_likeness(link: Link) -> BaseException:
    """Return an exception of a class with the same name."""
    names = {"__module__": link.module, "__qualname__": link.qualname}
    error: BaseException = type(link.qualname.rpartition(".")[2], (Exception,), names)(link.text)
    return error


def _traceback(places: tuple[tuple[str, int, str], ...]) -> TracebackType | None:
    trace: TracebackType | None = None
    for file, line, name in reversed(places):
        names: dict[str, Any] = {"frame_of": sys._getframe}
        exec(_code(file, name), names)  # the frame of code that is in the file, by its name
        trace = TracebackType(trace, names["frame"], -1, line)
    return trace


def _code(file: str, name: str) -> CodeType:
    return compile("frame = frame_of()", file, "exec").replace(co_name=name, co_qualname=name)
