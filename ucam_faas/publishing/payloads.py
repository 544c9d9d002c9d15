"""From a payload to the data of a message, by the type of the task that gets it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextvars import Context
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ucam_faas.events.model_errors import describe_error
from ucam_faas.tasks.payload_types import is_json, protobuf_class, shown
from ucam_faas.tasks.task import Kind, Task


class RejectedPayloadError(ValueError):
    """A task's parser rejects a payload; the text has no value of it.

    Args:
        reason: the parser's error, whose text may have values.
    """

    def __init__(self, text: str, reason: Exception) -> None:
        super().__init__(text)
        self.reason = reason


def serialise(task: Task, payload: Any) -> bytes:
    """Return the data of a message with a payload, which the task's parser has accepted.

    Args:
        task: the task that gets the message.
        payload: of its message type: a model (or a value that the model validates), a protobuf
            message, bytes. Where a function makes the payload, bytes.

    Raises:
        TypeError: a payload of this type can't be serialised for the task.
        RejectedPayloadError: the task's parser rejects it.
    """
    try:
        data = payload if isinstance(payload, bytes) else _serialiser(task)(payload)
    except ValidationError as error:
        raise _rejected(task, error) from None  # its text has values of the payload
    if task.kind is Kind.MESSAGE and task.parse is not None:
        try:
            Context().run(task.parse, data)  # the contexts are those of another message
        except Exception as error:  # a parser raises anything
            raise _rejected(task, error) from None
    return data


def is_same_value(task: Task, data: bytes, other: bytes) -> bool:
    """Return True if a task gets one value from two payloads: one may omit a field's default.

    Both the values and their JSON have to be equal: a class may compare less than it holds, or
    serialise less.
    """
    try:
        (value, full), (other_value, other_full) = _parsed(task, data), _parsed(task, other)
        return bool(value == other_value) and full == other_full
    except Exception:  # a parser, a comparison and a serialiser of the user's raise anything
        return False


def same_fields(task: Task, data: bytes, other: bytes) -> frozenset[str]:
    """Return the fields that two JSON payloads have in common, with the defaults that they omit."""
    try:
        fields, other_fields = (json.loads(_parsed(task, each)[1]) for each in (data, other))
        return frozenset(name for name in fields if fields[name] == other_fields.get(name, ...))
    except Exception:  # of the user's, or there are no fields
        return frozenset()


def _parsed(task: Task, data: bytes) -> tuple[Any, bytes]:
    """Return the value that a task gets, and its data in full.

    Raises:
        Exception: the user's code does; or the task doesn't parse its data.
    """
    if task.kind is not Kind.MESSAGE or task.parse is None:
        raise TypeError("the task gets data")
    value = Context().run(task.parse, data)
    return value, _serialiser(task)(value)


def _rejected(task: Task, error: Exception) -> RejectedPayloadError:
    wanted = "" if task.message_type is None else f" It takes {shown(task.message_type)}."
    why = describe_error(error)
    text = f"The task {task.name!r} rejects the payload: {why}.{wanted}"
    return RejectedPayloadError(text, error)


@cache
def _serialiser(task: Task) -> Callable[[Any], bytes]:
    """Return the function from a payload to data: the reverse of `parsers.message_parser`."""
    kind = task.message_type if task.kind is Kind.MESSAGE else None
    if protobuf_class(kind) is not None:
        return _of_class(task, kind, _protobuf_data)
    if hasattr(kind, "__struct_fields__"):
        return _of_class(task, kind, sys.modules["msgspec"].json.encode)  # its class is imported
    if kind in (int, float):
        return _of_class(task, kind, lambda payload: str(payload).encode())
    if kind is None or not is_json(kind):
        return _of_class(task, bytes, bytes)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return lambda payload: adapter.dump_json(adapter.validate_python(payload), by_alias=True)


def _of_class(task: Task, kind: Any, dump: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def serialise(payload: Any) -> bytes:
        if not isinstance(payload, kind):
            raise TypeError(
                f"The task {task.name!r} takes {shown(kind)}: a payload of type "
                f"{type(payload).__name__} can't be serialised for it."
            )
        return dump(payload)

    return serialise


def _protobuf_data(message: Any) -> bytes:
    is_plus = not hasattr(message, "SerializeToString")
    return bytes(type(message).serialize(message) if is_plus else message.SerializeToString())
