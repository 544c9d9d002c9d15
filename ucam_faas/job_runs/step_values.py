"""The results of steps: values of a return annotation, and the JSON that a store has of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ucam_faas.execution.decisions import of_msgspec
from ucam_faas.jobs.results import Reader, reader_of

_READERS: WeakKeyDictionary[Callable[..., Any], Reader | None] = WeakKeyDictionary()
JSON_TYPES = (str, int, float, list, tuple, dict, type(None))


class StepType:
    """The result of a step's function, as JSON and as a value of its return annotation.

    Args:
        name: of the step.
        function: the step's.
    """

    __slots__ = ("_name", "_reader")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._reader = _reader(function)

    def stored(self, value: Any) -> tuple[bytes, Any]:
        """Return a result as it is stored, and the value that is read back from that.

        Raises:
            TypeError: it couldn't be read back.
        """
        if self._reader is None and not isinstance(value, JSON_TYPES):
            kind = type(value).__name__
            raise TypeError(
                f"The step {self._name!r} returned a {kind}, and its function has no return "
                f"annotation to read it back with: annotate it, such as `-> {kind}`."
            )
        data = to_json(value, "step's result")
        return data, self.value(data)

    def value(self, stored: bytes) -> Any:
        """Return a stored result.

        Raises:
            TypeError: it doesn't fit the annotation.
        """
        try:
            return json.loads(stored) if self._reader is None else self._reader(stored)
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False)
            where = ", ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in details
            )
            raise TypeError(
                f"The result of the step {self._name!r} doesn't fit its function's return "
                f"annotation ({where.strip(': ')}). If the annotation has changed since the step "
                "was stored, rename the step, which runs it again."
            ) from None


def to_json(value: Any, what: str) -> bytes:
    """Return a value as JSON.

    Args:
        what: the value is, for the error.

    Raises:
        TypeError: it can't be stored.
    """
    try:
        return json.dumps(to_jsonable_python(value, fallback=of_msgspec)).encode()
    except (PydanticSerializationError, TypeError) as error:
        raise TypeError(
            f"A {what} of type {type(value).__name__} can't be stored: expected a value that JSON "
            "has, or a model."
        ) from error


def _reader(function: Callable[..., Any]) -> Reader | None:
    """Return a reader of a function's results; None: its annotation doesn't say what they are."""
    while isinstance(function, partial):
        function = function.func
    with suppress(KeyError, TypeError):  # some can't be referenced weakly
        return _READERS[function]
    reader = _annotated(function)
    with suppress(TypeError):
        _READERS[function] = reader
    return reader


def _annotated(function: Callable[..., Any]) -> Reader | None:
    if isinstance(function, type):
        return _reader_of(function)
    if "return" not in getattr(function, "__annotations__", ()):
        return None
    try:
        annotation = get_type_hints(inspect.unwrap(function), include_extras=True)["return"]
    except Exception:  # it names anything
        return None
    try:
        return _reader_of(annotation)
    except TypeError:  # it can't be hashed
        return reader_of(annotation)


_reader_of = lru_cache(256)(reader_of)
