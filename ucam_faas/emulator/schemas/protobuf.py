"""Protocol Buffers definitions: the message class of a .proto file's one message."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import descriptor_pool, json_format, message, message_factory

from ucam_faas.emulator.schemas.definitions import JSON, DefinitionError, MismatchError
from ucam_faas.emulator.schemas.proto_parser import parse_proto


class ProtobufDefinition:
    """A .proto file with one message at its top level, and no imports.

    Args:
        text: of the file.

    Raises:
        DefinitionError: it isn't one.
    """

    def __init__(self, text: str) -> None:
        file: Any = parse_proto(text)
        if len(file.message_type) != 1 or file.enum_type:
            types = [each.name for each in (*file.message_type, *file.enum_type)]
            raise DefinitionError(
                f"expected one type at the top level, a message; found {', '.join(types) or 'none'}"
            )
        pool = descriptor_pool.DescriptorPool()  # of its own: names may be those of real types
        try:
            pool.AddSerializedFile(file.SerializeToString())
            descriptor = pool.FindMessageTypeByName(
                ".".join(filter(None, (file.package, file.message_type[0].name)))
            )
        except Exception as error:  # TypeError, KeyError, ValueError: protobuf has three engines
            raise DefinitionError(str(error)) from error
        self._descriptor: Any = descriptor
        self._class: Any = message_factory.GetMessageClass(descriptor)

    def check(self, data: bytes, encoding: str) -> None:
        """Check data; see `Definition`."""
        try:
            if encoding == JSON:
                parsed = json_format.ParseDict(_object(data), self._class())
            else:
                parsed = self._class.FromString(data)
        except (json_format.Error, message.DecodeError, ValueError, RecursionError) as error:
            raise MismatchError(str(error)) from error
        missing = parsed.FindInitializationErrors()
        if missing:
            raise MismatchError(f"{missing[0]} is missing.")

    def break_with(self, other: ProtobufDefinition) -> str | None:
        """Return which change isn't the addition or removal of an optional field."""
        return _message(self._descriptor, other._descriptor, set())


def _object(data: bytes) -> dict[str, Any]:
    """Return a JSON object: protobuf takes `[]` for an empty message."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    return value


def _message(new: Any, old: Any, seen: set[tuple[str, str]]) -> str | None:
    if (new.full_name, old.full_name) in seen:
        return None
    seen.add((new.full_name, old.full_name))
    if new.full_name != old.full_name:
        return f"the message {old.full_name} is {new.full_name} now"
    numbers = {**old.fields_by_number, **new.fields_by_number}
    for number in sorted(numbers):
        before, after = old.fields_by_number.get(number), new.fields_by_number.get(number)
        problem = _change(before, after, seen)
        if problem:
            return problem
    for field in new.fields:
        namesake = old.fields_by_name.get(field.name)
        if namesake is not None and namesake.number != field.number:
            return f"the field {field.name} has another number"
    return None


def _change(before: Any, after: Any, seen: set[tuple[str, str]]) -> str | None:
    if before is None or after is None:
        field = after or before
        if _label(field) == "optional":
            return None
        done = "added" if before is None else "removed"
        return f"the {_label(field)} field {field.name} is {done}: only optional ones may be"
    for what, value in (("name", "name"), ("type", "type")):
        if getattr(before, value) != getattr(after, value):
            return f"the field {before.name} has another {what}"
    if _label(before) != _label(after):
        return f"the field {before.name} is {_label(after)}, and was {_label(before)}"
    if before.message_type is not None:
        return _message(after.message_type, before.message_type, seen)
    if before.enum_type is not None:
        names = after.enum_type.values_by_name
        for value in before.enum_type.values:
            if value.name not in names or names[value.name].number != value.number:
                return f"the value {value.name} of the field {before.name} is changed or removed"
    return None


def _label(field: Any) -> str:
    is_repeated = getattr(field, "is_repeated", None)
    if is_repeated is None:  # protobuf before 6.30
        return {1: "optional", 2: "required", 3: "repeated"}[field.label]
    return "repeated" if is_repeated else "required" if field.is_required else "optional"
