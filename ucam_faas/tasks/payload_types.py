"""The types of payloads: those that pydantic reads from JSON, and protobuf messages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, NewType, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from ucam_faas.events.context import MESSAGE_CONTEXT
from ucam_faas.events.fail_fast import json_validator
from ucam_faas.exceptions import TaskDefinitionError

ENCODING_ATTRIBUTE = "googclient_schemaencoding"
"""Pub/Sub's attribute of messages whose topic has a schema: "JSON" or "BINARY" ("Schemas")."""


def plain(kind: Any) -> Any:
    """Return the type behind a NewType, and behind Annotated where the data isn't JSON.

    >>> from typing import NewType
    >>> plain(NewType("Pence", int)), plain(Annotated[bytes, "a picture"])
    (<class 'int'>, <class 'bytes'>)
    """
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if get_origin(kind) is Annotated:
        inner = plain(get_args(kind)[0])
        if inner is bytes or protobuf_class(inner) or hasattr(inner, "__struct_fields__"):
            return inner
    return kind


def is_model(kind: Any) -> bool:
    """Return True for a pydantic model class."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_json(kind: Any) -> bool:
    """Return True for a type whose payloads are JSON that pydantic validates.

    A class of the standard library is one if pydantic can; a plain class of the user's is called
    with the bytes, like a function.

    >>> from datetime import date
    >>> is_json(list[int]), is_json(date), is_json(int)
    (True, True, False)
    """
    if kind is Any or get_origin(kind) is not None or type(kind).__name__ == "TypeAliasType":
        return True
    if not isinstance(kind, type):
        return False
    declares_fields = is_dataclass(kind) or hasattr(kind, "__required_keys__")  # of a TypedDict
    if declares_fields or hasattr(kind, "__get_pydantic_core_schema__"):
        return True
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_named_tuple or issubclass(kind, Enum) or _is_standard(kind)


def _is_standard(kind: type) -> bool:
    module = kind.__module__.partition(".")[0]
    if module == "builtins" or module not in sys.stdlib_module_names:
        return False
    try:
        TypeAdapter(kind)
    except PydanticUserError:
        return False  # io.BytesIO, say: it is called
    return True


def protobuf_class(kind: Any) -> Any:
    """Return the protobuf message class that a type is, or that its proto-plus class wraps."""
    if hasattr(kind, "FromString") and hasattr(kind, "DESCRIPTOR"):
        return kind
    is_plus = isinstance(kind, type) and hasattr(kind, "deserialize") and hasattr(kind, "pb")
    return kind.pb() if is_plus else None


def json_parser(kind: Any) -> Callable[[bytes], Any]:
    """Return the parser of a JSON type.

    Raises:
        TaskDefinitionError: pydantic can't validate the type.
    """
    if is_model(kind):
        validate = kind.model_validate_json
        if validate.__func__ is not BaseModel.model_validate_json.__func__:  # type: ignore[attr-defined]
            return cast("Callable[[bytes], Any]", validate)  # the model's own way
        return json_validator(kind, validate)
    try:
        return json_validator(kind, TypeAdapter(kind).validate_json)
    except PydanticUndefinedAnnotation:  # it names a type that is defined further down, perhaps
        adapter = cache(lambda: TypeAdapter(kind))
        parse: Any = json_validator(kind, lambda data: adapter().validate_json(data))
        parse.complete = adapter
        return cast("Callable[[bytes], Any]", parse)
    except PydanticUserError as error:
        raise TaskDefinitionError(f"message_type={shown(kind)}: {_remedy(kind, error)}") from error


def _remedy(kind: Any, error: PydanticUserError) -> str:
    """Return why pydantic can't validate a type, and the type to write."""
    if error.code == "typed-dict-version":
        return (
            "pydantic can't read a typing.TypedDict before Python 3.12. Write `from "
            "typing_extensions import TypedDict`."
        )
    for part in get_args(kind):
        if protobuf_class(part) is not None:
            name = shown(part)
            return (
                f"{name} is a protobuf message, and a message can't be a part of another type: it "
                f"is read from binary data. Write {name} alone."
            )
    return f"pydantic says: {str(error).splitlines()[0]}"


def shown(kind: Any) -> str:
    """Return a type as it is written in code."""
    if get_origin(kind) is None and isinstance(kind, type | NewType):
        return kind.__name__
    return repr(kind)


def check_complete(kind: Any, parse: Any) -> None:
    """Refuse a type that names another which is defined nowhere; call it after the import.

    Args:
        kind: a task's type of payloads.
        parse: its parser.

    Raises:
        TaskDefinitionError: with the name.
    """
    try:
        if is_model(kind) and not kind.__pydantic_complete__:
            kind.model_rebuild()
        elif hasattr(parse, "complete"):
            parse.complete()
    except PydanticUndefinedAnnotation as error:
        name = getattr(kind, "__name__", repr(kind))
        raise TaskDefinitionError(
            f"{name} names the type {error.name!r}, which isn't defined in its module. Define or "
            f"import {error.name!r} at the top level, not under TYPE_CHECKING."
        ) from error


def protobuf_parser(kind: Any) -> Callable[[bytes], Any]:
    """Return the parser of a protobuf or proto-plus message class.

    It refuses messages without the required fields of proto2 and editions.
    """
    base, is_plus = protobuf_class(kind), not hasattr(kind, "FromString")

    def parse(data: bytes) -> Any:
        context = MESSAGE_CONTEXT.get(None)
        attributes = context.pubsub_message.attributes if context is not None else {}
        message = _message(base, data, attributes.get(ENCODING_ATTRIBUTE))
        if not message.IsInitialized():
            raise ValueError("required fields are missing")
        return kind.wrap(message) if is_plus else message

    return parse


def _message(base: Any, data: bytes, encoding: str | None) -> Any:
    """Return a protobuf message of its binary form, or of JSON.

    Args:
        base: its class.
        data: of the message.
        encoding: by the schema of its topic; None: of a job, or a message without a schema, JSON is
            told by its brace. A binary message begins with one only if a group is its first field;
            with space and a brace it may begin, so that it is read as binary first.
    """
    is_guessed = encoding is None and data.lstrip().startswith(b"{")
    if encoding != "JSON" and not is_guessed:
        return base.FromString(data)
    if is_guessed and not data.startswith(b"{"):
        with suppress(Exception):  # DecodeError
            return base.FromString(data)
    from google.protobuf import json_format

    try:
        message = json_format.Parse(data, base(), ignore_unknown_fields=True)
        if is_guessed and not message.ByteSize():
            json_format.Parse(data, base())  # JSON of something else would be an empty message
        return message
    except Exception as error:  # ParseError, UnicodeDecodeError …
        if is_guessed:
            with suppress(Exception):
                return base.FromString(data)
        raise error
