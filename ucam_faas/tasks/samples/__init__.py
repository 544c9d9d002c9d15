"""Made-up message data that tasks accept, to try them with.

The schema of a message type says what its data look like; the task's own parser has the last word.
"""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter

from ucam_faas.tasks.payload_types import protobuf_class
from ucam_faas.tasks.samples import json_values, protobuf
from ucam_faas.tasks.task import Kind, Task

VARIATIONS = 20
_GUESSES = (b"hello", b"{}", b"[]", b"1", b'"text"', b"true", b"null", b"2026-01-31T09:00:00Z")
"""The data that is tried on a parser whose type isn't declared."""


class NoSampleError(Exception):
    """None of the made-up data were accepted.

    Args:
        tried: the first of them; None: none could be made up.
        error: why the task's parser refused it, or why there is none.
    """

    def __init__(self, tried: bytes | None, error: Exception) -> None:
        super().__init__(tried, error)
        self.tried = tried
        self.error = error


def sample_push(task: Task) -> str:
    """Return the body of a push of a sample message, as JSON."""
    data = base64.b64encode(sample_data(task)).decode()
    message = {"data": data, "messageId": "1", "attributes": {}}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/try"})


def sample_data(task: Task) -> bytes:
    """Return message data that the task should accept, without asking its parser."""
    for data in _candidates(task):
        if not isinstance(data, Exception):
            return data
    return b"{}"


Candidates = Iterator[bytes | Exception]
"""Data that a task may accept; an exception says why some could not be made."""


def accepted_sample(task: Task, form: Callable[[Candidates], Candidates] | None = None) -> bytes:
    """Return message data that the task's parser accepts.

    The parser is called: it is the user's code, if the message type is a function or has
    validators.

    Args:
        task: that gets them.
        form: gives candidates the form that the task's topic asks for; None: any will do.

    Raises:
        NoSampleError: it refuses all that was made up.
    """
    refused: NoSampleError | None = None
    candidates = _candidates(task)
    for data in candidates if form is None else form(candidates):
        tried = None if isinstance(data, Exception) else data
        try:
            if isinstance(data, Exception):
                raise data
            if task.kind is Kind.MESSAGE and task.parse is not None:
                task.parse(data)
            return data
        except Exception as error:  # a parser raises what it likes
            refused = refused or NoSampleError(tried, error)
    assert refused is not None, "there is a candidate at least"
    raise refused


def _candidates(task: Task) -> Candidates:
    """Yield data, the simplest first."""
    kind = task.message_type
    message_class = protobuf_class(kind)
    if task.takes_nothing:
        yield b""
    elif message_class is not None:
        yield protobuf.sample(message_class)
    elif _has_schema(kind):
        yield from _from_schema(kind)
    else:
        returned = _returned_type(kind)
        if returned is not None:
            yield from _from_schema(returned)
        yield from _GUESSES


def _from_schema(kind: Any) -> Candidates:
    try:
        schema = _schema(kind)
    except Exception as error:  # what pydantic raises for types without one
        yield error
        return
    for variation in range(VARIATIONS):
        try:
            yield json.dumps(json_values.make_value(schema, variation)).encode()
        except ValueError as error:
            yield error


def _has_schema(kind: Any) -> bool:
    if kind is None or isinstance(kind, types.FunctionType | types.BuiltinFunctionType):
        return False
    return isinstance(kind, type) or get_origin(kind) is not None or is_dataclass(kind)


def _schema(kind: Any) -> dict[str, Any]:
    from pydantic.json_schema import GenerateJsonSchema

    class Lenient(GenerateJsonSchema):
        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
            return {}  # anything: the parser will say

    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_json_schema(schema_generator=Lenient)
    return TypeAdapter(kind).json_schema(schema_generator=Lenient)


def _returned_type(parser: Any) -> Any:
    """Return what a parser function is annotated to return, if that has a schema."""
    with suppress(Exception):  # annotations may name what is not there at run time
        annotation = get_type_hints(parser).get("return")
        if annotation not in (None, bytes, str, Any) and _has_schema(annotation):
            return annotation
    return None
