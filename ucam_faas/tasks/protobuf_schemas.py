"""Describe a protobuf message class as plain JSON: numbers, types and labels on the wire.

Source: protobuf's pages "Encoding" and "Language Guide", and its descriptor.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

GOOGLES = "google/protobuf/"
"""Files of types that never change: the description only names them."""
_LABELS = {1: "singular", 2: "required", 3: "repeated"}
_LEGACY_REQUIRED = 3
"""FeatureSet.FieldPresence: the name of `required` in the editions."""


def describe(descriptor: Any) -> dict[str, Any]:
    """Return a message with the messages and enums in it.

    Args:
        descriptor: of a message class.
    """
    messages: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    imports: set[str] = set()
    waiting = [descriptor]
    while waiting:
        inner = waiting.pop()
        if inner.file.name.startswith(GOOGLES):
            imports.add(inner.file.name)
        elif hasattr(inner, "values_by_number"):
            enums[inner.full_name] = _enum(inner)
        elif inner.full_name not in messages:
            messages[inner.full_name] = _message(inner)
            types = [field.message_type or field.enum_type for field in inner.fields]
            waiting += [kind for kind in types if kind is not None]
    return {
        "format": "protobuf",
        "message": descriptor.full_name,
        "messages": dict(sorted(messages.items())),
        "enums": dict(sorted(enums.items())),
        "imports": sorted(imports),
    }


def files_of(file: Any) -> bytes:
    """Return a file's descriptor after those of the files that it imports: a serialized
    FileDescriptorSet.
    """
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet()
    names: set[str] = set()

    def add(file: Any) -> None:
        if file.name in names:
            return
        names.add(file.name)
        for imported in file.dependencies:
            add(imported)
        file.CopyToProto(files.file.add())

    add(file)
    return bytes(files.SerializeToString())


def _message(descriptor: Any) -> dict[str, Any]:
    from google.protobuf import descriptor_pb2

    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    fields = sorted(proto.field, key=lambda field: int(field.number))
    described = {str(f.number): _field(f, descriptor.fields_by_name[f.name]) for f in fields}
    ranges = [[part.start, part.end - 1] for part in proto.reserved_range]
    message = {"fields": described} | _reserved(ranges, proto.reserved_name)
    return message | ({"map_entry": True} if proto.options.map_entry else {})


def _field(field: Any, descriptor: Any) -> dict[str, Any]:
    label, oneof = _LABELS[field.label], descriptor.containing_oneof
    if field.proto3_optional:
        label, oneof = "optional", None
    elif field.options.features.field_presence == _LEGACY_REQUIRED:
        label = "required"
    elif label == "singular" and oneof is None and descriptor.message_type is None:
        label = "optional" if descriptor.has_presence else "singular"
    described = {"name": field.name, "type": _type_of(field), "label": label}
    return described | ({"oneof": oneof.name} if oneof is not None else {})


def _type_of(field: Any) -> str:
    name = str(field.Type.Name(field.type)).removeprefix("TYPE_").lower()
    if not field.type_name:
        return name
    return ("group " if name == "group" else "") + str(field.type_name).removeprefix(".")


def _enum(descriptor: Any) -> dict[str, Any]:
    from google.protobuf import descriptor_pb2

    proto = descriptor_pb2.EnumDescriptorProto()
    descriptor.CopyToProto(proto)
    values: dict[str, list[str]] = {}
    for value in proto.value:
        values.setdefault(str(value.number), []).append(value.name)
    ranges = [[part.start, part.end] for part in proto.reserved_range]
    return {"values": values} | _reserved(ranges, proto.reserved_name)


def _reserved(ranges: list[list[int]], names: Iterable[str]) -> dict[str, Any]:
    numbers = {"reserved_numbers": sorted(ranges)} if ranges else {}
    return numbers | ({"reserved_names": sorted(names)} if names else {})
