"""Payload models as plain values, which tests generate, change and turn into pydantic models.

A shape is a tuple: its kind and its parts. `type_of` returns its Python type, `payloads` generates
JSON that the type accepts, and `mutations` generates shapes that differ from it in one place.
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, Union

from hypothesis import strategies as st
from pydantic import ConfigDict, Field, create_model

Shape = tuple[Any, ...]

NAMES = ("a", "b", "c", "d")
UNKNOWN = "z"
"""A field that no model has."""
WORDS = ("red", "green", "blue", "x")
PATTERNS = (None, "^[a-z]+$", "^x", "e")
KEYS: dict[str, Any] = {
    "str": str,
    "int": int,
    "enum": Literal["red", "green"],
    "short": Annotated[str, Field(min_length=1, max_length=3)],
    "pattern": Annotated[str, Field(pattern="^[a-z]+$")],
}
SIMPLE: dict[str, Any] = {
    "float": float,
    "bool": bool,
    "any": Any,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "uuid": uuid.UUID,
    "bytes": bytes,
    "null": type(None),
    "decimal": Decimal,
}

_sizes = st.none() | st.integers(0, 3)
_leaves = st.one_of(
    st.tuples(st.just("int"), st.none() | st.integers(-3, 2), st.none() | st.integers(3, 9)),
    st.tuples(st.just("str"), _sizes, st.none() | st.integers(3, 5), st.sampled_from(PATTERNS)),
    st.tuples(
        st.sampled_from(("enum", "literal")),
        st.lists(st.sampled_from(WORDS), min_size=1, unique=True).map(tuple),
    ),
    st.tuples(st.just("simple"), st.sampled_from(list(SIMPLE))),
)


def _objects(shapes: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    """Models: class, treatment of extra fields, fields (name, shape, required, alias)."""
    alias = st.sampled_from((None, None, None, "A", "B"))
    field = st.tuples(st.sampled_from(NAMES), shapes, st.booleans(), alias)
    fields = st.lists(field, max_size=3, unique_by=(lambda f: f[0], lambda f: f[3] or f[0]))
    names, extras = st.sampled_from(("One", "Two")), st.sampled_from(("ignore", "forbid", "allow"))
    return st.tuples(st.just("object"), names, extras, fields.map(tuple))


def _several(shapes: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    objects = _objects(shapes)
    return st.one_of(
        st.tuples(st.just("list"), shapes, _sizes),
        st.tuples(st.just("set"), st.just(("int", None, None))),
        st.tuples(st.just("tuple"), shapes, shapes),
        st.tuples(st.just("dict"), st.sampled_from(list(KEYS)), shapes),
        st.tuples(st.just("union"), shapes, shapes),
        st.tuples(st.just("union"), shapes, st.just(("simple", "null"))),
        st.tuples(st.just("tagged"), st.booleans(), objects, objects),
        objects,
    )


shapes = st.recursive(_leaves, _several, max_leaves=6)
models = _objects(shapes)


def type_of(shape: Shape) -> Any:
    """Return the Python type of a shape."""
    match shape:
        case ("int", low, high):
            return Annotated[int, Field(ge=low, le=high)]
        case ("str", shortest, longest, pattern):
            limits = Field(min_length=shortest, max_length=longest, pattern=pattern)
            return Annotated[str, limits]
        case ("enum", values):
            return enum.Enum("Colour", {value: value for value in values})
        case ("literal", values):
            return Literal[values]
        case ("simple", name):
            return SIMPLE[name]
        case ("list", item, size):
            return Annotated[list[type_of(item)], Field(max_length=size)]
        case ("set", item):
            return set[type_of(item)]
        case ("tuple", first, second):
            return tuple[type_of(first), type_of(second)]
        case ("dict", key, value):
            return dict[KEYS[key], type_of(value)]
        case ("union", first, second):
            return Union[type_of(first), type_of(second)]  # noqa: UP007 (None | None fails)
        case ("tagged", discriminated, first, second):
            options = [_tagged(tag, option) for tag, option in (("one", first), ("two", second))]
            union = options[0] | options[1]
            return Annotated[union, Field(discriminator="tag")] if discriminated else union
        case ("object", name, extra, fields):
            return create_model(name, __config__=ConfigDict(extra=extra), **_fields(fields))
    raise AssertionError(shape)


def _fields(fields: tuple[Any, ...]) -> dict[str, Any]:
    return {
        name: (type_of(shape), Field(... if required else None, validation_alias=alias))
        for name, shape, required, alias in fields
    }


def _tagged(tag: str, shape: Shape) -> Any:
    _, name, extra, fields = shape
    config = ConfigDict(extra=extra)
    tags = {"tag": (Literal[tag], tag)}
    return create_model(f"{name}{tag.title()}", __config__=config, **tags, **_fields(fields))


_texts = st.sampled_from(("", "x", "xe", "red", "green", "12", "a-b", "xxxxxx", "eee"))
_values: dict[str, st.SearchStrategy[Any]] = {
    "float": st.integers(-3, 9) | st.sampled_from((0.5, -1.25, 7.75)),
    "bool": st.booleans(),
    "any": st.none() | st.booleans() | st.integers(-3, 9) | _texts | st.just([]) | st.just({}),
    "date": st.dates().map(str),
    "datetime": st.datetimes(timezones=st.none() | st.just(datetime.UTC)).map(
        datetime.datetime.isoformat
    ),
    "uuid": st.uuids().map(str),
    "bytes": _texts,
    "null": st.none(),
    "decimal": st.integers(-3, 9) | st.sampled_from((0.5, "0.25", "7")),
}


def payloads(shape: Shape) -> st.SearchStrategy[Any]:
    """Generate JSON values of a shape; its type accepts nearly all of them."""
    match shape:
        case ("int", low, high):
            return st.integers(-3 if low is None else low, 9 if high is None else high)
        case ("str", *_):
            return _texts
        case ("enum" | "literal", values):
            return st.sampled_from(values)
        case ("simple", name):
            return _values[name]
        case ("list", item, size):
            return st.lists(payloads(item), max_size=2 if size is None else size)
        case ("set", item):
            return st.lists(payloads(item), max_size=3, unique=True)
        case ("tuple", first, second):
            return st.tuples(payloads(first), payloads(second)).map(list)
        case ("dict", key, value):
            keys = st.sampled_from(("1", "-2")) if key == "int" else _texts
            return st.dictionaries(keys, payloads(value), max_size=2)
        case ("union", first, second):
            return payloads(first) | payloads(second)
        case ("tagged", _, first, second):
            return payloads_of_tagged("one", first) | payloads_of_tagged("two", second)
        case ("object", _, extra, fields):
            return _objects_of(fields, {} if extra == "forbid" else {UNKNOWN: _values["any"]})
    raise AssertionError(shape)


def payloads_of_tagged(tag: str, shape: Shape) -> st.SearchStrategy[Any]:
    """Generate an alternative, with and without its tag."""
    tagged = payloads(shape).map(lambda value: {**value, "tag": tag})
    return payloads(shape) | tagged


def _objects_of(fields: tuple[Any, ...], others: dict[str, Any]) -> st.SearchStrategy[Any]:
    required = {alias or name: payloads(part) for name, part, needed, alias in fields if needed}
    optional = {alias or name: payloads(part) for name, part, needed, alias in fields if not needed}
    return st.fixed_dictionaries(required, optional={**optional, **others})


def mutations(shape: Shape) -> st.SearchStrategy[Shape]:
    """Change the shape itself or one of its parts."""
    inner = [
        mutations(part).map(_replacing(shape, index))
        for index, part in enumerate(shape)
        if isinstance(part, tuple) and part and part[0] in _KINDS
    ]
    whole = models if shape[0] == "object" else shapes
    wider = st.just(("union", shape, ("simple", "null")))
    changes = [*([] if shape[0] == "object" else [whole, wider]), *inner]
    if shape[0] == "object":
        changes.append(_changed_objects(shape))
    elif shape[0] in ("int", "str", "enum", "literal", "tagged"):
        changes.append(whole.filter(lambda other: other[0] == shape[0]))
    return st.one_of(changes)


_KINDS = {
    *("int", "str", "enum", "literal", "simple", "list", "set", "tuple", "dict", "union"),
    *("tagged", "object"),
}


def _replacing(shape: Shape, index: int) -> Callable[[Any], Shape]:
    return lambda part: (*shape[:index], part, *shape[index + 1 :])


@st.composite
def _changed_objects(draw: st.DrawFn, shape: Shape) -> Shape:
    kind, name, extra, fields = shape
    what = draw(st.sampled_from(("name", "extra", "remove", "add", "part", "part", "option")))
    if what == "name":
        return (kind, draw(st.sampled_from(("One", "Two"))), extra, fields)
    if what == "extra":
        return (kind, name, draw(st.sampled_from(("ignore", "forbid", "allow"))), fields)
    if what == "add" or not fields:
        taken = {part for field in fields for part in (field[0], field[3])}
        added = draw(models)[3]
        free = [field for field in added if not taken & {field[0], field[3] or field[0]}]
        return (kind, name, extra, (*fields, *free[:1]))
    index = draw(st.integers(0, len(fields) - 1))
    field, part, required, alias = fields[index]
    others = {f[3] or f[0] for f in fields}
    if what == "remove":
        return (kind, name, extra, (*fields[:index], *fields[index + 1 :]))
    if what == "part":
        part = draw(mutations(part))
    elif draw(st.booleans()):
        required = not required
    else:
        wanted = draw(st.sampled_from((None, "A", "B")))
        alias = wanted if (wanted or field) not in others else alias
    return (
        kind,
        name,
        extra,
        (*fields[:index], (field, part, required, alias), *fields[index + 1 :]),
    )
