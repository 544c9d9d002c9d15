"""From the options of a decorator to a function that makes payloads.

Parsers raise what they like: the pipeline keeps WrongEventType and MalformedEvent, and
treats any other exception as a rejected payload.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ucam_faas.events.fail_fast import python_validator
from ucam_faas.events.model_errors import describe
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.outcomes import MalformedEvent, WrongEventType
from ucam_faas.tasks import payload_types

EventDataT = TypeVar("EventDataT")

MessageParserFn = Callable[[bytes], EventDataT]
"""Makes a payload of a message's data: a task's `message_type=`."""


class CloudEventType(Generic[EventDataT]):
    """A parser of CloudEvents of one type, with data of one shape.

    Args:
        event_type: the only `type` that is accepted.
        event_data_model: a pydantic model, or any type that pydantic can validate.
    """

    def __init__(self, event_type: str, event_data_model: type[EventDataT]) -> None:
        self.event_type = event_type
        self.event_data_model = event_data_model
        adapter: TypeAdapter[EventDataT] = TypeAdapter(event_data_model)
        self._validate = python_validator(event_data_model, adapter.validate_python)

    def __call__(self, cloud_event: Any) -> EventDataT:
        """Return the event's data, validated.

        Raises:
            WrongEventType: the event has another type.
            MalformedEvent: the data does not fit the model.
        """
        if cloud_event.get_attributes()["type"] != self.event_type:
            raise WrongEventType(f"type: expected {self.event_type!r}")
        try:
            return self._validate(cloud_event.get_data())
        except ValidationError as error:
            raise MalformedEvent(describe(error)) from error


def message_parser(message_type: Any) -> Callable[[bytes], Any]:
    """Make a parser of message data.

    Args:
        message_type: a pydantic model, or another type that pydantic validates, such as a
            dataclass, list[int] or a date (JSON); a msgspec.Struct (JSON); a protobuf or
            proto-plus message class; any callable `(bytes) -> T`; or None for the bytes
            themselves.

    Raises:
        TaskDefinitionError: it is none of these.
    """
    message_type = payload_types.plain(message_type)
    if message_type is None:
        return bytes
    if payload_types.protobuf_class(message_type) is not None:
        return payload_types.protobuf_parser(message_type)
    if hasattr(message_type, "__struct_fields__"):  # a class of msgspec, which is imported then
        decoder: Callable[[bytes], Any] = sys.modules["msgspec"].json.Decoder(message_type).decode
        return decoder
    if payload_types.is_json(message_type):
        return payload_types.json_parser(message_type)
    _check_class(message_type)
    if not callable(message_type):
        raise TaskDefinitionError(
            f"message_type={message_type!r}: expected a pydantic model, a protobuf message class, "
            "a function (bytes) -> T, or None for bytes."
        )
    check_sync("message_type", message_type)
    return cast("Callable[[bytes], Any]", message_type)  # a signature cannot be checked here


def _check_class(kind: Any) -> None:
    """Refuse classes that make a payload of any bytes, and not the right one."""
    if not isinstance(kind, type):
        return
    if hasattr(kind, "__attrs_attrs__"):
        raise TaskDefinitionError(
            f"message_type={kind.__name__} is an attrs class, which doesn't read JSON by itself. "
            f"Write a function, such as lambda data: {kind.__name__}(**json.loads(data))."
        )
    if issubclass(kind, dict | list | tuple | set | frozenset | str) or kind in (bool, object):
        raise TaskDefinitionError(
            f"message_type={kind.__name__} would be called with bytes, and make no sense "
            "of them. For any JSON use json.loads, for text bytes.decode, for checked JSON a "
            "pydantic model or a type such as list[int]."
        )


def check_event_parser(parser: Any) -> None:
    """Refuse an `event_data_parser=` that isn't a function.

    Raises:
        TaskDefinitionError: with the option.
    """
    if not callable(parser):
        raise TaskDefinitionError(
            f"event_data_parser={parser!r}: expected CloudEventType(event_type=…, "
            "event_data_model=…) or a function (CloudEvent) -> T."
        )
    check_sync("event_data_parser", parser)


def check_sync(option: str, parser: Any) -> None:
    """Refuse a parser that returns a coroutine or a generator, whatever it gets.

    Raises:
        TaskDefinitionError: with the right annotation or message type.
    """
    call = parser if inspect.isroutine(parser) else getattr(parser, "__call__", parser)  # noqa: B004
    for function in (parser, call):
        if any(
            is_kind(function)
            for is_kind in (
                inspect.iscoroutinefunction,
                inspect.isgeneratorfunction,
                inspect.isasyncgenfunction,
            )
        ):
            raise TaskDefinitionError(
                f"{option}={parser!r} is async, or yields: the task would get a coroutine or a "
                "generator in place of a payload. Use a plain def; await in the task."
            )
