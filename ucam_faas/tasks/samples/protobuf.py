"""Protobuf messages with something in their fields, and their form as JSON."""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 4
_ANY = "google.protobuf.Any"
_WELL_KNOWN = {
    "google.protobuf.Timestamp": "2026-01-31T09:00:00Z",
    "google.protobuf.Duration": "3600s",
    "google.protobuf.FieldMask": "name",
    "google.protobuf.Struct": {"name": "text"},
    "google.protobuf.Value": "text",
    "google.protobuf.ListValue": ["text"],
    "google.protobuf.Empty": {},
    "google.protobuf.StringValue": "text",
    "google.protobuf.BytesValue": "dGV4dA==",
    "google.protobuf.BoolValue": True,
    **{f"google.protobuf.{name}Value": 1 for name in ("Double", "Float", "Int32", "UInt32")},
    **{f"google.protobuf.{name}Value": "1" for name in ("Int64", "UInt64")},
}
"""Source: protobuf's page "ProtoJSON Format"."""
_REQUIRED, _REPEATED = 2, 3
"""Numbers of FieldDescriptorProto.Label."""
_BYTES, _BOOL, _STRING = 12, 8, 9
"""Numbers of FieldDescriptorProto.Type."""


def sample(kind: Any) -> bytes:
    """Return a message with a value in each field, in its binary form."""
    return from_json(kind, json.dumps(_message(kind.DESCRIPTOR, 0)).encode())


def from_json(kind: Any, text: bytes) -> bytes:
    """Return the binary form of a message that is given as JSON.

    Raises:
        ValueError: it is not JSON, or does not fit the message class.
    """
    from google.protobuf import json_format

    try:
        message = json_format.Parse(text, kind())
        return bytes(message.SerializeToString(deterministic=True))
    except Exception as error:  # json_format's; EncodeError: a required field is missing
        raise ValueError(str(error)) from error


def to_json(kind: Any, data: bytes) -> str:
    """Return a message in its binary form as one line of JSON.

    Raises:
        ValueError: it has no form in JSON.
    """
    from google.protobuf import json_format

    try:
        return str(json_format.MessageToJson(kind.FromString(data), indent=None))
    except Exception as error:  # DecodeError; an Any of a type that is not there
        raise ValueError(str(error)) from error


def _message(descriptor: Any, depth: int) -> Any:
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]
    sample: dict[str, Any] = {}
    seen: set[str] = set()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.name in seen:
            continue  # setting a second one would take the first away
        if field.message_type is not None and not _is_needed(field) and depth >= _DEEPEST:
            continue
        if field.message_type is not None and field.message_type.full_name == _ANY:
            continue  # it would have to name a type
        seen.update({oneof.name} if oneof is not None else ())
        sample[field.json_name] = _field(field, depth)
    return sample


def _is_needed(field: Any) -> bool:
    is_required = getattr(field, "is_required", None)
    return bool(field.label == _REQUIRED if is_required is None else is_required)


def _is_repeated(field: Any) -> bool:
    # protobuf has these since version 6.31, and deprecates `label`.
    is_repeated = getattr(field, "is_repeated", None)
    return bool(field.label == _REPEATED if is_repeated is None else is_repeated)


def _field(field: Any, depth: int) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
        return {_as_key(_value(key, depth)): _value(value, depth)}
    value = _value(field, depth)
    return [value] if _is_repeated(field) else value


def _as_key(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(field: Any, depth: int) -> Any:
    if field.message_type is not None:
        return _message(field.message_type, depth + 1)
    if field.enum_type is not None:
        values = field.enum_type.values
        return values[min(1, len(values) - 1)].name  # the first one stands for "unspecified"
    if field.type == _BYTES:
        return "dGV4dA=="
    return True if field.type == _BOOL else "text" if field.type == _STRING else 1
