"""From what a decorator was given to a function that makes payloads.

Parsers raise what they like: the pipeline takes WrongEventTypeError and EnvelopeError for what
they say, and any other exception as a rejected payload.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Generic, TypeVar, cast, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from ucam_faas.exceptions import EnvelopeError, TaskDefinitionError, WrongEventTypeError
from ucam_faas.fail_fast import json_validator, python_validator
from ucam_faas.validation import describe

EventDataT = TypeVar("EventDataT")

MessageParserFn = Callable[[bytes], EventDataT]


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
            WrongEventTypeError: the event has another type.
            EnvelopeError: the data does not fit the model.
        """
        found = cloud_event.get_attributes()["type"]
        if found != self.event_type:
            raise WrongEventTypeError(
                f"Received CloudEvent with incorrect type: {found!r}, expected {self.event_type!r}",
                expected=self.event_type,
            )
        try:
            return self._validate(cloud_event.get_data())
        except ValidationError as error:
            raise EnvelopeError(describe(error)) from error


def message_parser(message_type: Any) -> Callable[[bytes], Any]:
    """Make a parser of message data.

    Args:
        message_type: a pydantic model, a dataclass or a type such as list[int] (JSON), a protobuf
            message class (binary), any callable `(bytes) -> T`, or None for the bytes themselves.

    Raises:
        TaskDefinitionError: it is none of these.
    """
    if message_type is None:
        return bytes
    if message_type in (dict, list, tuple, set, frozenset, str, bool):
        raise TaskDefinitionError(
            f"message_type={message_type.__name__} would be called with bytes, and make no sense "
            "of them. For any JSON use json.loads, for text bytes.decode, for checked JSON a "
            "pydantic model or a type such as list[int]."
        )
    if isinstance(message_type, type) and issubclass(message_type, BaseModel):
        return _of_model(message_type)
    if get_origin(message_type) is not None or is_dataclass(message_type):
        return json_validator(message_type, TypeAdapter(message_type).validate_json)
    if hasattr(message_type, "FromString") and hasattr(message_type, "DESCRIPTOR"):
        from_string: Callable[[bytes], Any] = message_type.FromString
        return from_string
    if callable(message_type):
        return cast("Callable[[bytes], Any]", message_type)  # a signature cannot be checked here
    raise TaskDefinitionError(
        f"message_type={message_type!r}: expected a pydantic model, a protobuf message class, "
        "a function (bytes) -> T, or None for bytes."
    )


def _of_model(model: type[BaseModel]) -> Callable[[bytes], Any]:
    validate = model.model_validate_json
    if validate.__func__ is not BaseModel.model_validate_json.__func__:  # type: ignore[attr-defined]
        return validate  # the model's own way
    return json_validator(model, validate)
