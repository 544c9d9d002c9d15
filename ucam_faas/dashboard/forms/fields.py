"""Fields: a schema and a value, or what was submitted, as a tree that a template shows.

A field's controls are named after its path: `f/items/0/name` has the text, and a character behind
the path says what else it is (`MARKS`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ucam_faas.dashboard.forms.shapes import MISSING, Shape, Variants, shown
from ucam_faas.dashboard.forms.values import dump, is_date

ROOT = "f"
CHOICE, COUNT, KEY, TYPE, OTHERS = MARKS = "?#=%+"
"""The choice of a variant, or of an empty text's meaning; the number of items; the key of an entry;
the type of a decimal; the properties that the schema doesn't name."""

PLACEHOLDERS = {
    "date-time": "2026-01-31T09:00:00Z",
    "date": "2026-01-31",
    "time": "09:00:00",
    "duration": "PT1H30M",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "decimal": "12.50",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "int64": "12",
    "byte": "aGVsbG8=",
}
"""Examples of formats."""

ABSENT, NULL, JSON = "absent", "null", "json"
"""Choices that aren't variants."""


@dataclass(slots=True)
class Field:
    """A value and the controls for it.

    Args:
        part: its schema.
        optional: the value may be left out.
        chosen: a variant's number, ABSENT, NULL, or JSON for a value that no variant can show. A
            simple field's says how to read an empty text.
        text: of an input, JSON of a choice, or JSON.
        is_number: a decimal that isn't written as a text.
        parts: of an object by name, of a list by number, of a map by key.
        others: JSON of the properties that the schema doesn't name.
        problems: for people.
    """

    part: Any
    variants: Variants
    optional: bool
    chosen: str = "0"
    text: str = ""
    is_number: bool = False
    parts: list[tuple[str, Field]] = field(default_factory=list)
    others: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_simple(self) -> bool:
        """One control shows it, and its absence."""
        return self.variants.is_simple and self.chosen != JSON

    @property
    def shape(self) -> Shape | None:
        """The shape of its value; None without a value."""
        if self.chosen == JSON:
            return Shape(kind="json")
        if self.is_simple:
            return self.variants.shapes[0]
        return self.variants.shapes[int(self.chosen)] if self.chosen.isdigit() else None

    @property
    def is_checkbox(self) -> bool:
        """It is yes or no, and nothing else."""
        if self.shape is None or self.shape.kind != "boolean":
            return False
        return not self.is_simple or (not self.empties and self.chosen == "0")

    @property
    def default_choice(self) -> str:
        """The meaning of an empty text, unless another is chosen."""
        return next((key for key, _ in self.empties if key != "0"), ABSENT)

    @property
    def empties(self) -> list[tuple[str, str]]:
        """The meanings that an empty text can have, and their labels."""
        nullable = self.variants.nullable
        is_left_out = self.optional or (nullable and self.chosen == ABSENT)
        choices = [(ABSENT, "leave out")] if is_left_out else []
        choices += [(NULL, "null")] if nullable else []
        return choices + ([("0", "empty text")] if is_plain(self.variants.shapes[0]) else [])

    @property
    def default(self) -> str:
        """The value that a task has if this one is left out, for people; empty: none."""
        default = self.variants.default
        if not self.optional or default in (MISSING, None, "", [], {}):
            return ""
        text = {True: "yes", False: "no"}[default] if isinstance(default, bool) else shown(default)
        return text if len(text) < 60 else text[:60] + "…"

    @property
    def constant(self) -> str | None:
        """Its only possible value, as an option has it; None: there are others."""
        if self.shape is None or self.shape.kind != "enum" or len(self.options) != 2:
            return None
        return self.text if self.text == self.options[1][0] else None

    @property
    def options(self) -> list[tuple[str, str]]:
        """The options of a list to choose from: values, and their labels."""
        shape = self.shape
        assert shape is not None
        options = [(dump(value), shown(value)) for value in shape.options]
        if shape.kind == "boolean":
            options = [("true", "yes"), ("false", "no")]
        if self.is_simple and self.variants.nullable:
            options.insert(0, (NULL, "null"))
        absent = "choose …"
        if self.is_simple and self.optional:
            absent = f"leave out ({self.default})" if self.default else "leave out"
        return [("", absent), *options]

    def paths(self, path: str) -> list[tuple[str, str, Field]]:
        """Return the key, the path and the field of each part.

        Args:
            path: of this field.
        """
        is_object = self.shape is not None and self.shape.kind == "object"
        steps = (escape(key) if is_object else i for i, (key, _) in enumerate(self.parts))
        return [
            (key, f"{path}/{step}", part)
            for step, (key, part) in zip(steps, self.parts, strict=True)
        ]

    @property
    def is_date(self) -> bool:
        """A control of the browser for dates would keep its text."""
        return (
            self.shape is not None
            and self.shape.kind == "date"
            and (not self.text or is_date(self.text))
        )

    @property
    def placeholder(self) -> str:
        """An example of a value, or the default."""
        if self.default or self.variants.example or self.shape is None:
            return f"default: {self.default}" if self.default else self.variants.example[:80]
        return PLACEHOLDERS.get(self.shape.detail, "")

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The choices of a field that isn't simple, and their labels; none if there is only one."""
        choices = [(ABSENT, "leave out")] if self.optional or self.chosen == ABSENT else []
        choices += [(NULL, "null")] if self.variants.nullable else []
        choices += [(str(i), label) for i, label in enumerate(_labels(self.variants.shapes))]
        choices += [(JSON, "JSON")] if self.chosen == JSON else []
        return choices if len(choices) > 1 else []


def escape(name: str) -> str:
    """Return a property's name as a path has it.

    >>> escape("a/b?")
    'a~1b~2'
    """
    for number, letter in enumerate(f"~/{MARKS}"):
        name = name.replace(letter, f"~{number}")
    return name


def unescape(step: str) -> str:
    """Return the property's name of a step of a path.

    >>> unescape("a~1b~2~00")
    'a/b?~0'
    """
    for number, letter in reversed([*enumerate(f"~/{MARKS}")]):
        step = step.replace(f"~{number}", letter)
    return step


def is_plain(shape: Shape) -> bool:
    """Return True for a text that may be empty."""
    return shape.kind == "text" and shape.detail not in PLACEHOLDERS


def _labels(shapes: tuple[Shape, ...]) -> list[str]:
    words = {"text": "text", "list": "list", "map": "map", "json": "JSON", "boolean": "yes or no"}
    labels = [shape.title or words.get(shape.kind) or shape.name or shape.kind for shape in shapes]
    return [
        f"{label} {i + 1}" if labels.count(label) > 1 else label for i, label in enumerate(labels)
    ]
