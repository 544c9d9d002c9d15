"""Building trees of fields: for a new value, of a value, or of the controls that were submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ucam_faas.dashboard.forms.fields import (
    ABSENT,
    CHOICE,
    COUNT,
    JSON,
    KEY,
    NULL,
    OTHERS,
    ROOT,
    TYPE,
    Field,
    escape,
    is_plain,
)
from ucam_faas.dashboard.forms.shapes import INPUTS, MISSING, Schema, Shape
from ucam_faas.dashboard.forms.values import can_show, dump, same

DEEPEST = 12
MOST_FIELDS = 2000
MOST_FIRST_ITEMS = 10
DEEPEST_GUESS, MOST_LOOKS = 4, 20_000
"""How far, and how often, values are compared with the variants of a union."""

NEW = object()
"""In the place of a value: the form of a new payload."""


class TooLargeError(Exception):
    """A form of this would have more than MOST_FIELDS fields."""


def empty_field(schema: Schema, part: Any, *, optional: bool = False) -> Field:
    """Return the field of a new value."""
    return _Builder(schema).of_value(part, NEW, optional, 0)


def of_value(schema: Schema, value: Any) -> Field:
    """Return the field of a value.

    Raises:
        TooLargeError: it would have too many parts.
    """
    return _Builder(schema).of_value(schema.root, value, False, 0)


def of_submitted(schema: Schema, controls: Mapping[str, str], path: str = ROOT) -> Field:
    """Return the field that was submitted.

    Args:
        schema: of the form.
        controls: by their names.
        path: of the whole form.

    Raises:
        TooLargeError: it has too many parts.
    """
    return _Builder(schema).of_controls(schema.root, controls, path, False, 0)


def of_variant(schema: Schema, field: Field, chosen: str) -> Field:
    """Return a field after another choice."""
    changed = replace(field, chosen=chosen, text="", parts=[], others="", problems=[])
    _Builder(schema).fill(changed, NEW, 0)
    return changed


class _Builder:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._left = MOST_FIELDS
        self._looks = MOST_LOOKS

    def _field(self, part: Any, optional: bool) -> Field:
        self._left -= 1
        if self._left < 0:
            raise TooLargeError
        return Field(part, self._schema.variants(part), optional)

    # -- of a value --

    def of_value(self, part: Any, value: Any, optional: bool, depth: int) -> Field:
        new = self._field(part, optional)
        if value is NEW:
            value = _first_value(new)
        new.chosen = self._choice(new, value, depth)
        self.fill(new, value, depth)
        return new

    def fill(self, new: Field, value: Any, depth: int) -> None:
        """Give a field the text and the parts of a value."""
        shape = new.shape
        if shape is not None and shape.kind in ("boolean", "enum") and new.chosen == NULL:
            new.text = NULL
        if value is MISSING or shape is None or (value is None and shape.kind != "json"):
            return
        if value is NEW and shape.kind not in ("object", "tuple", "list"):
            new.text = ""
        elif shape.kind == "object":
            self._fill_object(new, shape, value, depth)
        elif shape.kind in ("list", "tuple"):
            self._fill_list(new, shape, value, depth)
        elif shape.kind == "map":
            new.parts = [
                (key, self.of_value(shape.items, item, False, depth + 1))
                for key, item in value.items()
            ]
        else:
            new.is_number = not isinstance(value, str)
            is_text = shape.kind in INPUTS and isinstance(value, str)
            new.text = value if is_text else dump(value, indent=2 if shape.kind == "json" else None)
            if new.is_simple and shape.kind in INPUTS and value != "":
                new.chosen = new.default_choice

    def _fill_object(self, new: Field, shape: Shape, value: Any, depth: int) -> None:
        there = {} if value is NEW else value
        for name, part in shape.properties.items():
            inner = NEW if value is NEW else there.get(name, MISSING)
            optional = name not in shape.required
            new.parts.append((name, self.of_value(part, inner, optional, depth + 1)))
        others = {name: inner for name, inner in there.items() if name not in shape.properties}
        new.others = dump(others, indent=2) if others else ""

    def _fill_list(self, new: Field, shape: Shape, value: Any, depth: int) -> None:
        parts = shape.positions
        if value is NEW:
            value = [NEW] * (len(parts) or min(shape.least, MOST_FIRST_ITEMS))
        for number, item in enumerate(value):
            part = parts[number] if parts else shape.items
            new.parts.append((str(number), self.of_value(part, item, False, depth + 1)))

    def _choice(self, new: Field, value: Any, depth: int) -> str:
        if value is MISSING:
            return ABSENT
        if value is None and new.variants.nullable:
            return NULL
        if value is NEW:
            return "0" if depth <= DEEPEST or new.variants.is_simple else JSON
        if depth > DEEPEST and not new.variants.is_simple:
            return JSON
        shapes = new.variants.shapes
        scores = [self._score(shape, value, DEEPEST_GUESS) for shape in shapes]
        return str(scores.index(max(scores))) if max(scores) else JSON

    def _score(self, shape: Shape, value: Any, steps: int) -> int:
        """Return how well a shape fits a value, as far as is worth a look; 0: it can't show it."""
        if not _can_show(shape, value):
            return 0
        if shape.kind == "json":
            return 1
        self._looks -= 1
        known = shape.kind != "object" or value.keys() <= shape.properties.keys()
        if shape.kind == "object" and not (shape.required <= value.keys() and known >= shape.fixed):
            return 2
        if steps and not all(self._fits(*pair, steps - 1) for pair in _inner(shape, value)):
            return 2
        return 4 if known else 3

    def _fits(self, part: Any, value: Any, steps: int) -> bool:
        variants = self._schema.variants(part)
        if value is None:
            return variants.nullable or variants.shapes[0].kind == "json"
        return self._looks < 0 or any(
            shape.kind == "json" or self._score(shape, value, steps) > 2
            for shape in variants.shapes
        )

    # -- of the controls that were submitted --

    def of_controls(
        self, part: Any, controls: Mapping[str, str], path: str, optional: bool, depth: int
    ) -> Field:
        new = self._field(part, optional)
        new.chosen = _submitted_choice(new, controls.get(path + CHOICE), depth)
        new.text = controls.get(path, "").replace("\r\n", "\n")
        new.is_number = controls.get(path + TYPE) == "number"
        shape = new.shape
        if shape is None or shape.kind not in ("object", "list", "tuple", "map"):
            return new
        if shape.kind == "object":
            new.others = controls.get(path + OTHERS, "").replace("\r\n", "\n")
            for name, inner in shape.properties.items():
                inside = f"{path}/{escape(name)}"
                needed = name in shape.required
                new.parts.append(
                    (name, self.of_controls(inner, controls, inside, not needed, depth + 1))
                )
            return new
        count = len(shape.positions) or _count(controls.get(path + COUNT))
        for number in range(count):
            inside = f"{path}/{number}"
            key = controls.get(inside + KEY, "") if shape.kind == "map" else str(number)
            inner = shape.positions[number] if shape.positions else shape.items
            new.parts.append((key, self.of_controls(inner, controls, inside, False, depth + 1)))
        return new


def _first_value(new: Field) -> Any:
    """Return the value that a new form begins with."""
    shape = new.variants.shapes[0]
    if len(new.variants.shapes) == 1 and shape.kind == "enum" and len(shape.options) == 1:
        return shape.options[0]
    if new.optional:
        return MISSING
    if new.variants.default is not MISSING:
        return new.variants.default
    if not new.variants.is_simple or shape.kind == "boolean":
        return NEW
    return None if new.variants.nullable else MISSING


def _can_show(shape: Shape, value: Any) -> bool:
    kind = shape.kind
    if kind in ("number", "decimal") and isinstance(value, int | float):
        return not isinstance(value, bool)
    if kind == "text":
        return isinstance(value, str) and can_show(value) and bool(value or is_plain(shape))
    if kind in ("decimal", "date"):  # an empty or a padded one would be read differently
        return isinstance(value, str) and _is_line(value) and value == value.strip() != ""
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "enum":
        return any(same(value, option) for option in shape.options)
    if kind == "tuple":
        return isinstance(value, list) and len(value) == len(shape.positions)
    if kind == "list":
        return isinstance(value, list)
    if kind in ("object", "map"):
        keys = kind == "object" or (isinstance(value, dict) and all(map(_is_line, value)))
        return isinstance(value, dict) and keys
    return kind == "json"


def _inner(shape: Shape, value: Any) -> list[tuple[Any, Any]]:
    """Return parts of a shape, each with a value that it must fit."""
    if shape.kind == "object":
        return [(part, value[name]) for name, part in shape.properties.items() if name in value]
    if shape.kind == "tuple":
        return list(zip(shape.positions, value, strict=True))
    if shape.kind in ("list", "map"):
        items = value if shape.kind == "list" else list(value.values())
        return [(shape.items, item) for item in items[:5]]
    return []


def _is_line(text: str) -> bool:
    return can_show(text) and "\n" not in text


def _submitted_choice(new: Field, chosen: str | None, depth: int) -> str:
    if chosen == JSON or (depth > DEEPEST and not new.variants.is_simple):
        return JSON
    if chosen == ABSENT or (chosen == NULL and new.variants.nullable):
        return chosen
    if chosen is not None and chosen in map(str, range(len(new.variants.shapes))):
        return chosen
    return new.default_choice if new.variants.is_simple else "0"


def _count(text: str | None) -> int:
    return min(int(text), MOST_FIELDS + 1) if text and text.isdecimal() and len(text) < 9 else 0
