"""Protobuf messages as JSON: the JSON Schema of a message type, and messages from JSON and back.

It is made from descriptors alone, without the classes of the tasks' code.
Source: protobuf's page "ProtoJSON Format".
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Any

from ucam_faas.dashboard.forms.values import UnfaithfulError

_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "examples": ["90.5s"]},
    "FieldMask": {"type": "string", "examples": ["name,address.city"]},
    "Struct": {"type": "object"},
    "Value": {},
    "ListValue": {"type": "array"},
    "Any": {"type": "object", "description": "JSON with its type's URL as “@type”."},
    "Empty": {"type": "object", "additionalProperties": False},
    "StringValue": {"type": "string"},
    "BytesValue": {"type": "string", "format": "byte"},
    "BoolValue": {"type": "boolean"},
    "NullValue": {},
    **{f"{name}Value": {"type": "number"} for name in ("Double", "Float")},
    **{f"{name}Value": {"type": "integer"} for name in ("Int32", "UInt32")},
    **{f"{name}Value": {"type": "string", "format": "int64"} for name in ("Int64", "UInt64")},
}
"""Types of the package google.protobuf that have a JSON form of their own."""
_PACKAGE = "google.protobuf."
_SCALARS: dict[int, dict[str, Any]] = {
    **{kind: {"type": "number"} for kind in (1, 2)},
    **{kind: {"type": "string", "format": "int64"} for kind in (3, 4, 6, 16, 18)},
    **{kind: {"type": "integer"} for kind in (5, 7, 13, 15, 17)},
    8: {"type": "boolean"},
    9: {"type": "string"},
    12: {"type": "string", "format": "byte"},
}
"""By the numbers of FieldDescriptorProto.Type; JSON can't hold each integer of 64 bits."""
_FIELD = re.compile(r"Failed to parse (\w+) field: (.*?)\.?", re.DOTALL)
_AT = re.compile(r"(?P<text>.*?),? at \W?\w+(?P<path>(?:\.\w+|\[\d+\])*)\W?", re.DOTALL)
"""How json_format names a field: the names that lead to it, or a path behind the error."""


class NoMessageError(ValueError):
    """A JSON text isn't that of a message.

    Args:
        path: of the field.
    """

    def __init__(self, path: tuple[str | int, ...], text: str) -> None:
        super().__init__(text)
        self.path = path


class MessageType:
    """A type of protobuf messages.

    Args:
        descriptors: a serialized FileDescriptorSet with its file, and those that it imports first.
        name: in full.
        as_json: new messages are JSON: the schema of their topic wants that.
    """

    def __init__(self, descriptors: bytes, name: str, *, as_json: bool = False) -> None:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            self._pool.AddSerializedFile(file.SerializeToString())
        descriptor = self._pool.FindMessageTypeByName(name)
        self._class = message_factory.GetMessageClass(descriptor)
        self.schema = _schema(descriptor)
        self._is_object = _well_known(name) is None
        self._as_json = as_json

    def to_json(self, data: bytes) -> bytes:
        """Return a message as JSON, which it may be already.

        Raises:
            UnfaithfulError: the JSON would make another message.
            ValueError: the data are no such message.
        """
        from google.protobuf import json_format

        if self._is_json(data):
            return data
        try:
            message = self._class.FromString(data)
            text = json_format.MessageToJson(
                message, indent=2, ensure_ascii=False, descriptor_pool=self._pool
            ).encode()
            same = self._parsed(text)
        except Exception as error:  # DecodeError; an Any of a type that isn't known
            raise ValueError(str(error)) from error
        if _bytes_of(same) != _bytes_of(message):
            raise UnfaithfulError("the message has fields that its type doesn't name")
        return text

    def from_json(self, text: bytes, like: bytes | None = None) -> bytes:
        """Return the message of a JSON text.

        Args:
            text: of the message.
            like: the message that was edited; None: a new one. JSON stays JSON.

        Raises:
            NoMessageError: it isn't JSON, or that of another message.
        """
        try:
            data = _bytes_of(self._parsed(text))
        except Exception as error:  # json_format's; EncodeError: a required field is missing
            raise _at_field(str(error)) from error
        is_json = self._as_json if like is None else self._is_json(like)
        return text.strip() if is_json else data

    def _is_json(self, data: bytes) -> bool:
        if not data.startswith(b"{"):
            return False
        try:
            self._parsed(data)
        except Exception:  # as that of from_json; UnicodeDecodeError
            return False
        return True

    def _parsed(self, text: bytes) -> Any:
        from google.protobuf import json_format

        if self._is_object and text.lstrip()[:1] == b"[":
            raise NoMessageError((), "expected a JSON object")  # json_format takes an empty message
        return json_format.Parse(text, self._class(), descriptor_pool=self._pool)


def _at_field(text: str) -> NoMessageError:
    """Return an error of json_format with its path apart."""
    names: list[str | int] = []
    text = text.partition("\n Available Fields")[0]
    while field := _FIELD.fullmatch(text):
        names.append(field[1])
        text = field[2]
    place = _AT.fullmatch(text)
    if place is None:
        return NoMessageError(tuple(names), text)
    parts = re.findall(r"\w+", place["path"])
    path = [int(part) if part.isdecimal() else part for part in parts]
    return NoMessageError(tuple(path if len(path) > len(names) else names), place["text"])


@lru_cache(maxsize=64)
def message_type(descriptors: str, name: str, as_json: bool) -> MessageType:
    """Return a type; `descriptors`: in base64."""
    return MessageType(base64.b64decode(descriptors), name, as_json=as_json)


def _bytes_of(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _schema(descriptor: Any) -> dict[str, Any]:
    """Return the JSON Schema of a message, with those of the messages in it."""
    definitions: dict[str, Any] = {}
    waiting = [descriptor]
    while waiting:
        message = waiting.pop()
        if message.full_name not in definitions:
            definitions[message.full_name] = _message(message)
            waiting += [field.message_type for field in message.fields if field.message_type]
    return {"$ref": _reference(descriptor), "$defs": definitions}


def _reference(descriptor: Any) -> str:
    return f"#/$defs/{descriptor.full_name}"


def _message(descriptor: Any) -> dict[str, Any]:
    known = _well_known(descriptor.full_name)
    if known is not None:
        return known
    return {
        "type": "object",
        "title": descriptor.name,
        "properties": {field.json_name: _field(field) for field in descriptor.fields},
        "required": [field.json_name for field in descriptor.fields if _is(field, "required")],
    }


def _well_known(name: str) -> dict[str, Any] | None:
    """Return the schema of a type that has a JSON form of its own."""
    short = name.removeprefix(_PACKAGE)
    return _WELL_KNOWN.get(short) if short != name else None


def _field(field: Any) -> dict[str, Any]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _value(kind.fields_by_name["value"])}
    value = _value(field)
    if _is(field, "repeated"):
        return {"type": "array", "items": value}
    oneof = field.containing_oneof
    if oneof is not None and len(oneof.fields) > 1:
        names = ", ".join(other.json_name for other in oneof.fields)
        return {**value, "description": f"At most one of {names}."}
    if (kind is None and not field.has_presence) or field.has_default_value:
        return {**value, "default": _default(field)}
    return value


def _default(field: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[field.default_value].name
    value = field.default_value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if _value(field).get("format") == "int64" else value


def _value(field: Any) -> dict[str, Any]:
    if field.message_type is not None:
        return {"$ref": _reference(field.message_type)}
    if field.enum_type is None:
        return _SCALARS[field.type]
    if field.enum_type.full_name == f"{_PACKAGE}NullValue":
        return {}
    return {"enum": [value.name for value in field.enum_type.values]}


def _is(field: Any, label: str) -> bool:
    # protobuf has these since version 6.31, and deprecates `label`.
    answer = getattr(field, f"is_{label}", None)
    return bool(field.label == {"required": 2, "repeated": 3}[label] if answer is None else answer)
