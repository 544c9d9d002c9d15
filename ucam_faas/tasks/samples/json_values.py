"""Values that fit a JSON Schema, as pydantic writes one."""

from __future__ import annotations

import json
import math
from typing import Any

from ucam_faas.tasks.samples.patterns import matching

_BY_FORMAT = {
    "date-time": "2026-01-31T09:00:00Z",
    "date": "2026-01-31",
    "time": "09:00:00",
    "duration": "PT1H",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "uuid1": "12345678-1234-1234-8234-123456789abc",
    "uuid3": "12345678-1234-3234-8234-123456789abc",
    "uuid4": "12345678-1234-4234-8234-123456789abc",
    "uuid5": "12345678-1234-5234-8234-123456789abc",
    "email": "someone@example.com",
    "name-email": "Someone <someone@example.com>",
    "uri": "https://example.com/",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "ipvanyaddress": "127.0.0.1",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
    "ipvanynetwork": "192.0.2.0/24",
    "ipv4interface": "192.0.2.1/24",
    "ipv6interface": "2001:db8::1/32",
    "ipvanyinterface": "192.0.2.1/24",
    "base64": "dGV4dA==",
    "base64url": "dGV4dA==",
}
_DEEPEST = 8
_MOST_ITEMS = 1000


def make_value(schema: dict[str, Any], variation: int = 0) -> Any:
    """Make a value for a JSON Schema.

    Args:
        schema: of an object, or of any value.
        variation: 0: the simplest, with the required properties only; 1: with all properties;
            others take other branches of unions, too, and other values.

    Raises:
        ValueError: no text was found for a pattern.
    """
    maker = _Maker(schema.get("$defs", {}), all_properties=variation > 0)
    return maker.make(schema, max(variation - 1, 0), 0)


class _Maker:
    def __init__(self, defs: dict[str, Any], *, all_properties: bool) -> None:
        self._defs = defs
        self._all_properties = all_properties

    def make(self, schema: dict[str, Any], variation: int, depth: int) -> Any:
        if depth > _DEEPEST:
            return None
        if "$ref" in schema:
            schema = self._defs.get(schema["$ref"].rpartition("/")[2], {}) | {
                key: value for key, value in schema.items() if key != "$ref"
            }
        if "const" in schema:
            return schema["const"]
        if "default" in schema and not self._all_properties:
            return schema["default"]
        for key in ("examples", "enum"):
            if schema.get(key):
                return _pick(schema[key], variation)
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                choices = schema[key]
                branch = _pick(choices, variation)
                return self.make(branch, variation // len(choices), depth + 1)
        return self._plain(schema, variation, depth)

    def _plain(self, schema: dict[str, Any], variation: int, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, variation, depth)
            case "array":
                return self._array(schema, variation, depth)
            case "integer" | "number":
                return _number(schema, variation)
            case "boolean":
                return variation % 2 == 0
            case "string":
                return self._text(schema, variation, depth)
            case None if self._all_properties:  # anything
                return "text"
            case _:
                return None

    def _object(self, schema: dict[str, Any], variation: int, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        # All of a tree's optional branches would never end.
        names = list(properties) if self._all_properties and depth < _DEEPEST // 2 else required
        sample = {name: self.make(properties[name], variation, depth + 1) for name in names}
        number = 0
        while len(sample) < schema.get("minProperties", 0) and number < _MOST_ITEMS:
            name, value = self._other_property(schema, number, depth)
            sample[name] = value
            number += 1
        return sample

    def _other_property(self, schema: dict[str, Any], number: int, depth: int) -> tuple[str, Any]:
        names = {"type": "string", **schema.get("propertyNames", {})}
        values = schema.get("additionalProperties", {})
        for pattern, pattern_schema in schema.get("patternProperties", {}).items():
            names, values = {**names, "pattern": pattern}, pattern_schema
        values = values if isinstance(values, dict) else {}
        return str(self.make(names, number, depth + 1)), self.make(values, number, depth + 1)

    def _array(self, schema: dict[str, Any], variation: int, depth: int) -> list[Any]:
        items_made = [
            self.make(item, variation, depth + 1) for item in schema.get("prefixItems", [])
        ]
        items, wanted = schema.get("items", {}), schema.get("minItems", 0)
        if (self._all_properties or depth == 0) and not items_made:  # one item says more than none
            wanted = max(wanted, min(1, schema.get("maxItems", 1)))
        unique, number = schema.get("uniqueItems", False), variation
        while isinstance(items, dict) and len(items_made) < wanted and number < _MOST_ITEMS:
            item = self.make(items, number, depth + 1)
            if not (unique and item in items_made):
                items_made.append(item)
            number += unique
        return items_made

    def _text(self, schema: dict[str, Any], variation: int, depth: int) -> str:
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
        if "contentSchema" in schema:
            return json.dumps(self.make(schema["contentSchema"], variation, depth + 1))
        if "pattern" in schema:
            pattern = schema["pattern"]
            return matching(pattern, shortest=shortest, longest=longest, variation=variation)
        text = _BY_FORMAT.get(schema.get("format", ""), "text")
        if variation and "format" not in schema:
            # As short as may be, and another one each time: `b`, `c`, … `ab`
            ending = _word(variation)
            text = (text.ljust(shortest, "t") + ending)[:longest]
            if longest is not None and not text.endswith(ending):
                text = text[: max(longest - len(ending), 0)] + ending[:longest]
        return text.ljust(shortest, "t")[:longest]


def _pick(choices: list[Any], variation: int) -> Any:
    return choices[variation % len(choices)]


def _word(number: int) -> str:
    """Return the letters that stand for a number from 1: a, b, … z, aa, ab, …"""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def _number(schema: dict[str, Any], variation: int) -> float:
    """Return a number in bounds; where there is none, one that is not."""
    whole = schema["type"] == "integer"
    step = schema.get("multipleOf", 1 if whole else 0.5)
    lowest, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)
    highest, below = schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf)
    bottom, top = max(lowest, above), min(highest, below)
    starts = [step]
    if math.isfinite(bottom):
        starts += [step * math.ceil(bottom / step), step * (math.ceil(bottom / step) + 1)]
    if math.isfinite(top):
        starts += [step * math.floor(top / step), step * (math.floor(top / step) - 1)]
    if math.isfinite(top - bottom) and "multipleOf" not in schema:
        starts.append((bottom + top) / 2)

    def fits(number: float) -> bool:
        return bool(lowest <= number <= highest and above < number < below)

    first = next(filter(fits, starts), step)
    # Up to the highest, and then down from the first.
    ups = math.floor((top - first) / step) if math.isfinite(top) else variation
    down = first - step * (variation - ups)
    number = next(filter(fits, (first + step * variation, down)), first)
    return int(number) if whole else float(number)
