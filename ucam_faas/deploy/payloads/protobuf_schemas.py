"""From a protobuf message class to plain JSON that says what is on the wire.

Source: protobuf's pages "Encoding" and "Language Guide", and its descriptor.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

GOOGLES = "google/protobuf/"
"""Files of types that never change: they are named, not described."""
_LABELS = {1: "singular", 2: "required", 3: "repeated"}
_LEGACY_REQUIRED = 3
"""FeatureSet.FieldPresence: what `required` is called in the editions."""


def describe(descriptor: Any) -> dict[str, Any]:
    """Return a message and all that is in it.

    Args:
        descriptor: of a message class.
    """
    messages: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    imports: set[str] = set()
    waiting = [descriptor]
    while waiting:
        found = waiting.pop()
        if found.file.name.startswith(GOOGLES):
            imports.add(found.file.name)
        elif hasattr(found, "values_by_number"):
            enums[found.full_name] = _enum(found)
        elif found.full_name not in messages:
            messages[found.full_name] = _message(found)
            types = [field.message_type or field.enum_type for field in found.fields]
            waiting += [kind for kind in types if kind is not None]
    return {
        "format": "protobuf",
        "message": descriptor.full_name,
        "messages": dict(sorted(messages.items())),
        "enums": dict(sorted(enums.items())),
        "imports": sorted(imports),
    }


def _message(descriptor: Any) -> dict[str, Any]:
    from google.protobuf import descriptor_pb2

    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    fields = sorted(proto.field, key=lambda field: int(field.number))
    described = {str(f.number): _field(f, descriptor.fields_by_name[f.name]) for f in fields}
    ranges = [[part.start, part.end - 1] for part in proto.reserved_range]
    found = {"fields": described} | _reserved(ranges, proto.reserved_name)
    return found | ({"map_entry": True} if proto.options.map_entry else {})


def _field(field: Any, descriptor: Any) -> dict[str, Any]:
    label, oneof = _LABELS[field.label], descriptor.containing_oneof
    if field.proto3_optional:
        label, oneof = "optional", None
    elif field.options.features.field_presence == _LEGACY_REQUIRED:
        label = "required"
    elif label == "singular" and oneof is None and descriptor.message_type is None:
        label = "optional" if descriptor.has_presence else "singular"
    found = {"name": field.name, "type": _type_of(field), "label": label}
    return found | ({"oneof": oneof.name} if oneof is not None else {})


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
    found: dict[str, Any] = {}
    if ranges:
        found["reserved_numbers"] = sorted(ranges)
    if names:
        found["reserved_names"] = sorted(names)
    return found
