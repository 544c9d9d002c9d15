"""Finds the types that the fields of a .proto file name."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from ucam_faas.emulator.schemas.definitions import DefinitionError

_ENUM: Any = FieldDescriptorProto.TYPE_ENUM


def resolve(file: FileDescriptorProto) -> None:
    """Replace each field's type by its full name, as protobuf looks names up: inside out.

    Raises:
        DefinitionError: a type isn't defined.
    """
    kinds: dict[str, Any] = {}
    fields: list[tuple[str, FieldDescriptorProto]] = []

    def collect(message: DescriptorProto, prefix: str) -> None:
        scope = f"{prefix}.{message.name}"
        kinds[scope] = FieldDescriptorProto.TYPE_MESSAGE
        kinds.update((f"{scope}.{each.name}", _ENUM) for each in message.enum_type)
        fields.extend((scope, field) for field in message.field)
        for nested in message.nested_type:
            collect(nested, scope)

    top = f".{file.package}" if file.package else ""
    kinds.update((f"{top}.{each.name}", _ENUM) for each in file.enum_type)
    for each in file.message_type:
        collect(each, top)
    for scope, field in fields:
        if field.type_name:
            name = _look_up(field.type_name, scope, kinds)
            field.type_name = name
            if not field.HasField("type"):
                field.type = kinds[name]


def _look_up(name: str, scope: str, kinds: dict[str, Any]) -> str:
    if name.startswith("."):
        if name in kinds:
            return name
    else:
        parts = scope.split(".")
        for length in range(len(parts), 0, -1):
            full = ".".join((*parts[:length], name))
            if full in kinds:
                return full
    raise DefinitionError(f"{name} isn't defined; a schema of Pub/Sub can't import others")
