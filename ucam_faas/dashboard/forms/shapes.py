"""Shapes: the part of a JSON Schema that a form shows. Nothing in a schema is trusted.

A schema that a form has no controls for has the shape `json`, which a text area shows.
Source: JSON Schema 2020-12, in pydantic's dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

INPUTS = frozenset({"text", "number", "decimal", "date"})
"""Shapes of one line of text."""
SIMPLE = INPUTS | {"boolean", "enum"}
"""Shapes of a single control."""
LONGEST_PATH = 20
"""References that lead to references."""
MOST_VARIANTS = 20
MOST_OPTIONS = 500

_ANNOTATIONS = ("title", "description", "default", "examples")


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""No value at all, which isn't null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way to write a value.

    Args:
        kind: `text`, `number`, `decimal`, `date`, `boolean`, `enum`, `object`, `list`, `tuple`,
            `map` or `json`.
        name: for people; it is also how pydantic names a variant in its errors.
        options: of an enum.
        properties: of an object, by name.
        positions: of a tuple.
        items: of a list or a map.
        least: the number of items that a list must have.
        fixed: an object takes no other properties.
        detail: `integer`, or the format, such as `date-time`.
    """

    kind: str
    name: str = ""
    title: str = ""
    options: tuple[Any, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    positions: tuple[Any, ...] = ()
    items: Any = None
    least: int = 0
    fixed: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """All the ways to write a value: at least one shape, and null.

    Args:
        example: for people, of the schema's examples.
    """

    shapes: tuple[Shape, ...]
    nullable: bool = False
    title: str = ""
    hint: str = ""
    default: Any = MISSING
    example: str = ""

    @property
    def is_simple(self) -> bool:
        """A single control shows it."""
        return len(self.shapes) == 1 and self.shapes[0].kind in SIMPLE


class Schema:
    """A JSON Schema, read as needed: it may contain itself."""

    def __init__(self, root: Any) -> None:
        self.root = root

    def variants(self, part: Any) -> Variants:
        """Return the ways to write a value of a part of the schema."""
        resolved = self._resolve(part)
        shapes: list[Shape] = []
        nullable = self._collect(resolved, shapes, 0)
        if _is_decimal(shapes):
            shapes = [replace(shapes[1], kind="decimal")]
        shapes = shapes[:MOST_VARIANTS] or [Shape(kind="json", name="null" if nullable else "")]
        examples = resolved.get("examples")
        return Variants(
            shapes=tuple(shapes),
            nullable=nullable,
            title=_text(resolved, "title"),
            hint=_text(resolved, "description"),
            default=resolved.get("default", MISSING),
            example=shown(examples[0]) if isinstance(examples, list) and examples else "",
        )

    def _resolve(self, part: Any) -> dict[str, Any]:
        """Return a part of the schema in the place of the reference to it."""
        beside: dict[str, Any] = {}
        for _ in range(LONGEST_PATH):
            if not isinstance(part, dict):
                break
            several = part.get("allOf")
            inner: Any
            if "$ref" in part:
                inner, name = self._pointed_at(part["$ref"]), "$ref"
            elif isinstance(several, list) and len(several) == 1 and "type" not in part:
                inner, name = several[0], "allOf"
            else:
                return {**part, **beside}
            siblings = {key: value for key, value in part.items() if key != name}
            if siblings.keys() - _ANNOTATIONS - {"$defs"}:
                break  # they restrict it further
            beside = {**siblings, **beside}
            part = inner
        return {key: value for key, value in beside.items() if key in _ANNOTATIONS}

    def _pointed_at(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        inner = self.root
        for step in unquote(reference).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(inner, dict) or name not in inner:
                return None
            inner = inner[name]
        return inner

    def _collect(self, schema: dict[str, Any], shapes: list[Shape], depth: int) -> bool:
        """Add the shapes of a schema, and return True if null is allowed."""
        union = next((schema[key] for key in ("anyOf", "oneOf") if key in schema), None)
        if union is None:
            return _add_shapes(schema, shapes)
        nullable = False
        if not isinstance(union, list) or depth > LONGEST_PATH or schema.keys() & _PARTS:
            shapes.append(Shape(kind="json"))
            return nullable
        for variant in union:
            if len(shapes) > MOST_VARIANTS:
                break
            nullable |= self._collect(self._resolve(variant), shapes, depth + 1)
        return nullable


_PARTS = frozenset({"properties", "items", "prefixItems", "type", "allOf"})


def _add_shapes(schema: dict[str, Any], shapes: list[Shape]) -> bool:
    if "enum" in schema or "const" in schema:
        values = [schema["const"]] if "const" in schema else schema["enum"]
        if not isinstance(values, list) or len(values) > MOST_OPTIONS:
            shapes.append(Shape(kind="json"))
            return False
        options = tuple(value for value in values if value is not None)
        if options:
            name = shown(options[0]) if len(options) == 1 else _text(schema, "title")
            shapes.append(Shape(kind="enum", name=name, options=options))
        return len(options) < len(values)
    kinds = schema.get("type")
    nullable = False
    for kind in (kinds if isinstance(kinds, list) else [kinds])[:MOST_VARIANTS]:
        if kind == "null":
            nullable = True
        else:
            shapes.append(_shape(kind, schema))
    return nullable


def _shape(kind: Any, schema: dict[str, Any]) -> Shape:
    title = _text(schema, "title")
    name = title or (kind if isinstance(kind, str) else "")
    if kind == "string":
        text = _text(schema, "format")
        return Shape(kind="date" if text == "date" else "text", name=name, detail=text)
    if kind in ("integer", "number"):
        return Shape(kind="number", name=name, detail=kind)
    if kind == "boolean":
        return Shape(kind="boolean", name=name)
    if kind == "object" or (kind is None and isinstance(schema.get("properties"), dict)):
        return _object(schema, replace(Shape(kind="json"), name=name, title=title))
    if kind == "array":
        return _array(schema, replace(Shape(kind="json"), name=name, title=title))
    return Shape(kind="json", name=name)


def _object(schema: dict[str, Any], shape: Shape) -> Shape:
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    required = schema.get("required")
    names = frozenset(name for name in _list(required) if isinstance(name, str))
    if isinstance(properties, dict) and properties.keys() >= names:
        return replace(
            shape,
            kind="object",
            properties=properties,
            required=names,
            fixed=additional is False,
        )
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict) and len(patterns) == 1 and additional in (None, False):
        additional = next(iter(patterns.values()))
    if isinstance(additional, dict) and additional and not properties:
        return replace(shape, kind="map", items=additional)
    if additional is False and not properties:
        return replace(shape, kind="object", fixed=True)
    return shape


def _array(schema: dict[str, Any], shape: Shape) -> Shape:
    positions, items = schema.get("prefixItems"), schema.get("items")
    if isinstance(positions, list):
        ends = items is False or schema.get("maxItems") == len(positions)
        return replace(shape, kind="tuple", positions=tuple(positions)) if ends else shape
    if isinstance(items, dict):
        return replace(shape, kind="list", items=items, least=_count(schema.get("minItems")))
    return shape


def shown(value: Any) -> str:
    """Return a JSON value for people: a text without its quotes.

    >>> shown("red"), shown(3), shown([True])
    ('red', '3', '[true]')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_decimal(shapes: list[Shape]) -> bool:
    """Pydantic writes a decimal as a number or a text."""
    return (
        len(shapes) == 2
        and (shapes[0].kind, shapes[1].kind) == ("number", "text")
        and shapes[1].detail == "decimal"
    )


def _text(schema: dict[str, Any], key: str) -> str:
    value = schema.get(key)
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_count else 0
