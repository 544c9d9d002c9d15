"""Fingerprints of failures: the failures with one cause have one, and others have another.

A failed task and its outcome go in, with the exception; a text that holds nothing of a payload, nor
of an exception's message, comes out. It is on dead letters and in jobs' rows, which outlive the
code that made them: a change of the rules gets a new VERSION.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from pydantic import ValidationError

from ucam_faas.events.model_errors import kinds
from ucam_faas.outcomes import InvalidPayload, Outcome, name

VERSION = 1
MAX_LINKS, MAX_FIELDS = 10, 5
"""Exceptions of a chain, and fields of a rejected payload, that count: the first ones."""
_MAX_SUMMARY = 300
_STANDARD = os.path.dirname(os.__file__) + os.sep
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Fault:
    """The parts of a failure that another failure with the same cause has, too.

    Args:
        task: its name.
        outcome: its name, such as `crashed`.
        types: of the exception and of those that led to it, with their modules.
        place: the deepest function of the user's code, as module.function; empty: unknown.
        fields: of a rejected payload, each with the kind of its error: `items.*.price: int_type`.
    """

    task: str
    outcome: str
    types: tuple[str, ...] = ()
    place: str = ""
    fields: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Its version, and a hash of all parts.

        >>> Fault("pay", "crashed", ("builtins.KeyError",), "shop.price").fingerprint
        '1:a2b732c585087d11'
        """
        parts = [self.task, self.outcome, self.types, self.place, self.fields]
        digest = hashlib.sha256(json.dumps(parts).encode(errors="replace"))
        return f"{VERSION}:{digest.hexdigest()[:16]}"

    @property
    def summary(self) -> str:
        """The name of a group of such failures, for people.

        >>> Fault("pay", "crashed", ("builtins.KeyError",), "shop.price").summary
        'KeyError at shop.price'
        >>> Fault("pay", "invalid_payload", fields=("pence: int_type",)).summary
        'invalid_payload: pence: int_type'
        """
        if self.fields:
            text = f"{self.outcome}: {'; '.join(self.fields)}"
        else:
            text = _short(self.types[0]) if self.types else self.outcome
            text = f"{text} at {self.place}" if self.place else text
        return text if len(text) <= _MAX_SUMMARY else f"{text[: _MAX_SUMMARY - 1]}…"


def fault_of(
    task: str, outcome: Outcome, error: BaseException | None = None, *, root: str = ""
) -> Fault:
    """Return the fault of a failure.

    Args:
        task: its name.
        error: the exception that the function, or the parser of its payload, raised.
        root: the top package of the task's function, which is the user's wherever it is installed.
    """
    fields: tuple[str, ...] = ()
    if isinstance(outcome, InvalidPayload) and isinstance(error, ValidationError):
        fields = _fields(error)
    chain = list(_chain(error))
    types = tuple(_type(link) for link in chain)
    if fields:
        return Fault(task, name(outcome), types[:1], fields=fields)
    places = (_place(link.__traceback__, root) for link in chain)
    place = next((place for place in places if place), "")
    return Fault(task, name(outcome), types, place)


def _place(trace: TracebackType | None, root: str) -> str:
    """Return the deepest function of the user's code in a traceback, without a line."""
    place = ""
    while trace is not None:
        code, module = trace.tb_frame.f_code, trace.tb_frame.f_globals.get("__name__", "")
        if _is_of_user(code.co_filename, str(module), root):
            place = f"{module}.{code.co_qualname}"
        trace = trace.tb_next
    return place


def _is_of_user(file: str, module: str, root: str) -> bool:
    """Return True if code is neither Python's, nor of a package that is installed."""
    top = module.partition(".")[0]
    if top in ("", "ucam_faas"):
        return False
    if top == root:
        return True
    return not (file.startswith(("<", _STANDARD)) or _INSTALLED.search(file))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that led to it, as a traceback would show them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < MAX_LINKS:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def _type(error: BaseException) -> str:
    kind = type(error)
    text = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        parts = sorted({_type(each) for each in error.exceptions[:100]})
        text += f"[{','.join(parts[:MAX_LINKS])}]"
    return text


def _short(kind: str) -> str:
    """Return the name of a type without its module, nor the parts of a group."""
    return kind.partition("[")[0].rpartition(".")[2]


def _fields(error: ValidationError) -> tuple[str, ...]:
    """Return the paths and kinds of the first errors, each once: an index counts as `*`."""
    fields = {f"{'.'.join(map(_part, path)) or '(whole)'}: {kind}" for path, kind in kinds(error)}
    return tuple(sorted(fields)[:MAX_FIELDS]) or ("(too many errors)",)


def _part(part: str) -> str:
    """Return a part of a path as all payloads have it: keys may be numbered, as `order17` is."""
    return "*" if part.isdecimal() else _NUMBER.sub("0", part)
