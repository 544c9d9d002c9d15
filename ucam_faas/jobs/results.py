"""The result of a job: JSON in the store, and for its reader a value of the task's annotation."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from ucam_faas.outcomes import RaisedOutcome
from ucam_faas.tasks.task import Task

Reader = Callable[[bytes], Any]


def result_type(task: Task) -> Any:
    """Return the type of a task's results; Any: it isn't annotated, or names anything.

    The outcomes in `-> Receipt | Retry` aren't results.
    """
    function = getattr(task.function, "__wrapped__", task.function)
    try:
        annotation = get_type_hints(function, include_extras=True)["return"]
    except Exception:  # there is none, or it names anything
        return Any
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if not _is_outcome(kind)]
        return reduce(or_, kinds) if kinds else Any
    return annotation


def reader_of(annotation: Any) -> Reader:
    """Return a function from a stored result to a value of a type.

    Values of a type that neither pydantic nor msgspec knows stay as JSON has them.

    >>> from datetime import date
    >>> reader_of(date)(b'"2026-12-01"')
    datetime.date(2026, 12, 1)
    """
    if annotation is Any:
        return json.loads
    if hasattr(annotation, "__struct_fields__"):  # a class of msgspec, which is imported then
        reader: Reader = sys.modules["msgspec"].json.Decoder(annotation).decode
        return reader
    try:
        return TypeAdapter(annotation).validate_json
    except (PydanticSchemaGenerationError, PydanticUserError, NameError):
        return json.loads


def _is_outcome(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, RaisedOutcome)
