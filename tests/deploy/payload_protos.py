"""Protobuf messages as plain values, which tests generate, change and turn into classes.

A shape is a tuple of fields, each a tuple: number, name, type, label, oneof. A type is the name of
a scalar, ("enum", ((number, name), …)) or ("message", shape).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import strategies as st

Shape = tuple[Any, ...]

PACKAGE = "made.up"
SCALARS = ("int32", "int64", "uint32", "sint32", "bool", "string", "bytes", "double", "fixed32")
_VALUES = {
    "string": ["", "a", "bc"],
    "bytes": [b"", b"x", b"\xff"],
    "bool": [False, True],
    "double": [0.0, 1.5],
    "uint32": [0, 7, 2**32 - 1],
    "fixed32": [0, 7],
    "int64": [0, -5, 2**40],
}
_enums = st.dictionaries(st.integers(1, 3), st.sampled_from(("A", "B", "C")), max_size=2)
_types = st.one_of(
    st.sampled_from(SCALARS),
    _enums.filter(lambda values: len(set(values.values())) == len(values)).map(
        lambda values: ("enum", tuple(sorted({0: "ZERO", **values}.items())))
    ),
)
_labels = st.sampled_from(("singular", "singular", "optional", "repeated"))


def _fields(types: st.SearchStrategy[Any]) -> st.SearchStrategy[Shape]:
    oneof = st.sampled_from((None, None, "pick"))
    field = st.tuples(st.integers(1, 6), st.sampled_from("abcdef"), types, _labels, oneof)
    fields = st.lists(field, max_size=4, unique_by=(lambda f: f[0], lambda f: f[1]))
    return fields.map(lambda fields: tuple(map(_plain, sorted(fields, key=lambda f: f[0]))))


def _plain(field: Shape) -> Shape:
    """Drop the labels of fields in a oneof, which protobuf doesn't allow."""
    number, name, kind, label, oneof = field
    return (number, name, kind, "singular" if oneof else label, oneof)


shapes = _fields(_types | _fields(_types).map(lambda fields: ("message", fields)))
reserved = st.sets(st.integers(1, 6))


@st.composite
def mutations(draw: st.DrawFn, shape: Shape) -> Shape:
    """Change, remove or add fields."""
    if not shape or draw(st.booleans()):
        added = [field for field in draw(shapes) if _is_free(field, shape)]
        return tuple(sorted((*shape, *added), key=lambda f: f[0]))
    index = draw(st.integers(0, len(shape) - 1))
    number, name, kind, label, oneof = shape[index]
    rest = (*shape[:index], *shape[index + 1 :])
    match draw(st.sampled_from(("remove", "number", "name", "type", "label", "oneof", "inner"))):
        case "remove":
            return rest
        case "number":
            number = draw(st.integers(1, 9))
        case "name":
            name = draw(st.sampled_from("abcdefgh"))
        case "type":
            kind = draw(_types)
        case "label":
            label = draw(_labels)
        case "oneof":
            oneof = None if oneof else "pick"
        case "inner" if kind[0] == "message":
            kind = ("message", draw(mutations(kind[1])))
    changed = _plain((number, name, kind, label, oneof))
    if not _is_free(changed, rest):
        return shape
    return tuple(sorted((*rest, changed), key=lambda f: f[0]))


def _is_free(field: Shape, others: Shape) -> bool:
    return all(field[0] != other[0] and field[1] != other[1] for other in others)


def class_of(shape: Shape, reserved: Iterable[int] = ()) -> Any:
    """Return the message class of a shape, with these numbers reserved."""
    file = descriptor_pb2.FileDescriptorProto(name="made_up.proto", package=PACKAGE)
    file.syntax = "proto3"
    _message(file.message_type.add(name="Top"), shape, f".{PACKAGE}.Top", sorted(reserved))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Top"))


def _message(proto: Any, shape: Shape, path: str, reserved: list[int]) -> None:
    for number in reserved:
        if number not in {field[0] for field in shape}:
            proto.reserved_range.add(start=number, end=number + 1)
    if any(field[4] for field in shape):
        proto.oneof_decl.add(name="pick")
    for number, name, kind, label, oneof in shape:
        field = proto.field.add(name=name, number=number, label=3 if label == "repeated" else 1)
        if oneof:
            field.oneof_index = 0
        if isinstance(kind, str):
            field.type = getattr(field, f"TYPE_{kind.upper()}")
            continue
        field.type_name = f"{path}.{name.upper()}Type"
        if kind[0] == "message":
            field.type = field.TYPE_MESSAGE
            _message(
                proto.nested_type.add(name=f"{name.upper()}Type"), kind[1], field.type_name, []
            )
        else:
            field.type = field.TYPE_ENUM
            enum = proto.enum_type.add(name=f"{name.upper()}Type")
            for value, label in kind[1]:
                enum.value.add(name=f"{name.upper()}_{label}", number=value)
    for field, (*_, label, _oneof) in zip(proto.field, shape, strict=True):
        if label == "optional":  # synthetic oneofs come after the others
            field.proto3_optional = True
            field.oneof_index = len(proto.oneof_decl)
            proto.oneof_decl.add(name=f"_{field.name}")


def values_of(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Generate a message's content."""
    return st.fixed_dictionaries({}, optional={f[1]: _value(f[2], f[3]) for f in shape})


def _value(kind: Any, label: str) -> st.SearchStrategy[Any]:
    if isinstance(kind, str):
        values: st.SearchStrategy[Any] = st.sampled_from(_VALUES.get(kind, [0, 5]))
    elif kind[0] == "message":
        values = values_of(kind[1])
    else:
        values = st.sampled_from([number for number, _ in kind[1]])
    return st.lists(values, max_size=2) if label == "repeated" else values


def is_same(old: Shape, before: Any, new: Shape, after: Any) -> bool:
    """Return True if two messages have equal values in the fields of the same name."""
    others = {field[1]: field for field in new}
    return all(
        _is_same_field(field, others[field[1]], before, after)
        for field in old
        if field[1] in others
    )


def _is_same_field(old: Shape, new: Shape, before: Any, after: Any) -> bool:
    _, name, kind, label, _ = old
    was, has = getattr(before, name), getattr(after, name)
    if kind[0] != "message":
        return _comparable(was) == _comparable(has)
    if label != "repeated":
        was, has = ([was] * before.HasField(name), [has] * after.HasField(name))
    inner = new[2][1]
    return len(was) == len(has) and all(
        is_same(kind[1], first, inner, second) for first, second in zip(was, has, strict=True)
    )


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()  # in a field of bytes it is that
    is_one = isinstance(value, bytes | int | float)
    return value if is_one else [_comparable(item) for item in value]
