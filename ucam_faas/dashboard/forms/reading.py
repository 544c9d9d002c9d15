"""From a field to its value, and from a parser's errors to the fields that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.dashboard.forms.building import empty_field, of_variant
from ucam_faas.dashboard.forms.fields import NULL, ROOT, Field, unescape
from ucam_faas.dashboard.forms.shapes import MISSING, Schema, Shape
from ucam_faas.dashboard.forms.values import load, number

FILL_IN = "Fill this in."


def value_of(field: Field) -> Any:
    """Return a field's value, or MISSING; problems are noted at the fields that have them."""
    shape = field.shape
    if shape is not None and shape.kind == "json":
        return _json(field, field.text)
    if field.is_simple:
        return _simple(field, field.variants.shapes[0])
    if shape is None:
        return None if field.chosen == NULL else _absent(field)
    if shape.kind == "object":
        return _object(field)
    if shape.kind in ("list", "tuple"):
        return [value_of(part) for _, part in field.parts]
    if shape.kind == "map":
        return _map(field)
    return _scalar(field, shape)


def _simple(field: Field, shape: Shape) -> Any:
    if field.text == "" and not field.is_checkbox:
        if field.chosen == NULL and shape.kind not in ("boolean", "enum"):
            return None
        if shape.kind == "text" and field.chosen == "0":
            return ""
        return _absent(field)
    if shape.kind in ("boolean", "enum") and field.text == NULL and field.variants.nullable:
        return None
    return _scalar(field, shape)


def _absent(field: Field) -> Any:
    if not field.optional:
        field.problems.append(FILL_IN)
    return MISSING


def _scalar(field: Field, shape: Shape) -> Any:
    if shape.kind == "text":
        return field.text
    if shape.kind == "boolean" and field.is_checkbox:
        return field.text == "true"
    text = field.text.strip()
    if not text:
        field.problems.append(FILL_IN)
    elif shape.kind in ("boolean", "enum"):
        return _json(field, text)
    elif shape.kind == "number" or (shape.kind == "decimal" and field.is_number):
        return _number(field, text)
    return text


def _number(field: Field, text: str) -> Any:
    try:
        return number(text)
    except ValueError:
        field.problems.append("Expected a number, such as 12 or 0.5.")
        return MISSING


def _json(field: Field, text: str) -> Any:
    if not text.strip():
        field.problems.append(FILL_IN)
        return MISSING
    try:
        return load(text)
    except ValueError as error:
        field.problems.append(f"Expected JSON: {error}.")
        return MISSING


def _object(field: Field) -> Any:
    value = {name: inner for name, part in field.parts if (inner := value_of(part)) is not MISSING}
    if not field.others.strip():
        return value
    others = _json(field, field.others)
    if not isinstance(others, dict):
        field.problems.append("Other fields: expected a JSON object.")
    elif both := others.keys() & {name for name, _ in field.parts}:
        field.problems.append(f"Other fields: {sorted(both)[0]!r} has a field of its own.")
    else:
        value |= others
    return value


def _map(field: Field) -> Any:
    value: dict[str, Any] = {}
    for key, part in field.parts:
        if key in value:
            part.problems.append(f"The key {key!r} occurs twice.")
        value[key] = value_of(part)
    return value


def problems_of(field: Field) -> list[tuple[str, str]]:
    """Return all problems, each with the path of its field."""
    return list(_problems(field, ROOT))


def _problems(field: Field, path: str) -> list[tuple[str, str]]:
    problems = [(path, problem) for problem in field.problems]
    for _, inner, part in field.paths(path):
        problems += _problems(part, inner)
    return problems


def name_of(path: str) -> str:
    """Return a field's path for people.

    >>> name_of("f/lines/0/a~1b")
    'lines.0.a/b'
    """
    return ".".join(unescape(step) for step in path.split("/")[1:])


# -- errors of a parser ---------------------------------------------------------------------------


def place(field: Field, path: Sequence[str | int], message: str) -> None:
    """Note an error at the field that it is about.

    Args:
        field: the whole form.
        path: as pydantic's `loc`: names, numbers, and the tags or types of a union's variants.
        message: for people.
    """
    rest = list(path)
    while rest:
        inner = _part(field, rest[0])
        if inner is not None:
            field, rest = inner, rest[1:]
        elif len(field.variants.shapes) > 1 and _is_of_another_variant(field, str(rest[0])):
            return
        elif len(rest) > 1 and _part(field, rest[1]) is not None:
            rest = rest[1:]  # a variant's name
        else:
            break
    known = len(field.variants.shapes) > 1 or rest == ["[key]"]
    where = "" if known else ".".join(map(str, rest))
    text = f"{where}: {message}" if where else message
    if text not in field.problems:
        field.problems.append(text)


def _part(field: Field, name: str | int) -> Field | None:
    return next((part for key, part in field.parts if key == str(name)), None)


def _is_of_another_variant(field: Field, name: str) -> bool:
    """Return True if an error is about a variant that wasn't chosen."""
    if field.shape is None:
        return False
    names = {shape.name: i for i, shape in enumerate(field.variants.shapes) if shape.name}
    return names.get(_PYTHON.get(name, name), int(field.chosen)) != int(field.chosen)


_PYTHON = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
"""The names of pydantic's errors for types of JSON Schema."""


# -- buttons --------------------------------------------------------------------------------------


def act(schema: Schema, field: Field, action: str) -> str:
    """Do what a button of the form says, and return the path of the field to look at.

    Args:
        schema: of the form.
        field: the whole form, which is changed.
        action: `add PATH`, `remove PATH` or `choose PATH CHOICE`; any other does nothing.
    """
    verb, _, rest = action.partition(" ")
    path, _, chosen = rest.partition(" ")
    steps = path.split("/")[1:]
    if verb == "remove" and steps:
        parent = _at(field, steps[:-1])
        if parent is not None and steps[-1].isdecimal() and parent.chosen.isdigit():
            _remove(parent, int(steps[-1]))
            return path.rpartition("/")[0]
    target = _at(field, steps)
    if target is None:
        return ""
    if verb == "add" and target.shape is not None and target.shape.kind in ("list", "map"):
        key = str(len(target.parts)) if target.shape.kind == "list" else ""
        target.parts.append((key, empty_field(schema, target.shape.items)))
        return f"{path}/{len(target.parts) - 1}"
    if verb == "choose" and chosen in dict(target.choices):
        changed = of_variant(schema, target, chosen)
        target.chosen, target.text = chosen, changed.text
        target.parts, target.others, target.problems = changed.parts, changed.others, []
        return path
    return ""


def _remove(parent: Field, number_: int) -> None:
    if parent.shape is None or parent.shape.kind not in ("list", "map"):
        return
    del parent.parts[number_ : number_ + 1]
    if parent.shape.kind == "list":
        parent.parts = [(str(i), part) for i, (_, part) in enumerate(parent.parts)]


def _at(field: Field, steps: Sequence[str]) -> Field | None:
    """Return the field at a path, whose steps are those of the controls' names."""
    for step in steps:
        parts = {path: part for _, path, part in field.paths("")}
        if f"/{step}" not in parts:
            return None
        field = parts[f"/{step}"]
    return field
