"""The limits of two JSON Schemas that are no unions, compared: values, lengths, ranges, forms."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from ucam_faas.deploy.payloads.changes import Change, ChangeKind
from ucam_faas.deploy.payloads.json_alternatives import shown
from ucam_faas.deploy.payloads.schemas import ALSO_NAMED, KEYS, LIMITS, STRICT

Schema = dict[str, Any]

_LEAST = ("minLength", "minItems", "minProperties")
_MOST = ("maxLength", "maxItems", "maxProperties")
_RANGE = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_ELSEWHERE = {
    *("title", "type", "enum", "properties", "required", "additionalProperties"),
    *("patternProperties", "propertyNames", "items", "prefixItems", "contentSchema"),
    *(ALSO_NAMED, KEYS, LIMITS, STRICT, *_LEAST, *_MOST, *_RANGE, "multipleOf", "uniqueItems"),
    "format",
}
"""Keywords that are not to be compared as they stand."""
_FREE_FORMATS = ("binary", "password", "path")
"""They say what a text is for, and refuse none."""


def narrowed(old: Schema, new: Schema) -> Iterator[Change]:
    """Find what the new schema refuses and the old one does not.

    Types, fields and items are not looked at.
    """
    if "enum" in old:
        yield from _values(old["enum"], new)
        return
    if "enum" in new:
        what = f"may only be one of {json.dumps(new['enum'])} now"
        yield Change("", ChangeKind.NARROWED, what)
    for key in _LEAST:
        if _number(new, key, 0) > _number(old, key, 0):
            yield _limit(key, old, new)
    for key in _MOST:
        if _number(new, key, math.inf) < _number(old, key, math.inf):
            yield _limit(key, old, new)
    if _lowest(new) > _lowest(old) or _highest(new) < _highest(old):
        yield _limit("range", {"range": _range(old)}, {"range": _range(new)})
    if not _divides(new.get("multipleOf"), old):
        yield _limit("multipleOf", old, new)
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield _limit("uniqueItems", old, new)
    if new.get("format") not in (None, old.get("format"), *_FREE_FORMATS):
        yield Change("", ChangeKind.RETYPED, f"was {shown(old)}, is {shown(new)} now")
    for key in sorted(new.keys() - _ELSEWHERE):
        if old.get(key) != new[key]:
            yield _limit(key, old, new)
    yield from _of_pydantic(old, new)


def _values(values: list[Any], new: Schema) -> Iterator[Change]:
    allowed = [json.dumps(value, sort_keys=True) for value in new.get("enum", [])]
    for value in values:
        if "enum" in new:
            fits = json.dumps(value, sort_keys=True) in allowed
        else:
            fits = _fits(value, new)
        if not fits:
            yield Change("", ChangeKind.VALUE, f"may no longer be {json.dumps(value)}")


def _fits(value: Any, new: Schema) -> bool:
    """Tell whether a value is within the limits; if in doubt, it is not."""
    unknown = new.keys() - _ELSEWHERE - {"pattern"} | new.keys() & {"format", LIMITS, STRICT}
    if isinstance(value, str):
        pattern = new.get("pattern")
        fits = pattern is None or _matches(pattern, value)
        return fits and not unknown and _within(len(value), new, "minLength", "maxLength")
    if isinstance(value, int | float) and not isinstance(value, bool):
        exactly = {"minimum": value, "maximum": value, "multipleOf": value or None}
        fits = _lowest(new) <= _lowest(exactly) and _highest(new) >= _highest(exactly)
        return fits and not unknown and (not value or _divides(new.get("multipleOf"), exactly))
    return not new.keys() - {"title", "type"}


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # pydantic's patterns are those of Rust
        return False


def _within(size: int, new: Schema, least: str, most: str) -> bool:
    return _number(new, least, 0) <= size <= _number(new, most, math.inf)


def _number(schema: Schema, key: str, missing: float) -> float:
    found = schema.get(key)
    return missing if found is None else float(found)


def _lowest(schema: Schema) -> tuple[float, bool]:
    """Return the lowest number, and whether it is itself outside."""
    inside = _number(schema, "minimum", -math.inf), False
    outside = _number(schema, "exclusiveMinimum", -math.inf), True
    found = max(inside, outside) if outside[0] > -math.inf else inside
    if schema.get("type") == "integer" and math.isfinite(found[0]):
        return (math.floor(found[0]) + 1 if found[1] else math.ceil(found[0])), False
    return found


def _highest(schema: Schema) -> tuple[float, bool]:
    """Return the highest number, and whether it is itself inside."""
    inside = _number(schema, "maximum", math.inf), True
    outside = _number(schema, "exclusiveMaximum", math.inf), False
    found = min(inside, outside) if outside[0] < math.inf else inside
    if schema.get("type") == "integer" and math.isfinite(found[0]):
        return (math.floor(found[0]) if found[1] else math.ceil(found[0]) - 1), True
    return found


def _range(schema: Schema) -> str:
    return ", ".join(f"{key} {schema[key]}" for key in _RANGE if key in schema) or "any"


def _divides(step: float | None, old: Schema) -> bool:
    if step is None:
        return True
    before = old.get("multipleOf") or (1 if old.get("type") == "integer" else None)
    return before is not None and Decimal(str(before)) % Decimal(str(step)) == 0


def _of_pydantic(old: Schema, new: Schema) -> Iterator[Change]:
    if new.get(STRICT) and not old.get(STRICT):
        yield Change("", ChangeKind.NARROWED, "is strict now: nothing is converted")
    before, after = old.get(LIMITS, {}), new.get(LIMITS, {})
    for key in sorted(after):
        if not _is_looser(key, before.get(key), after[key]):
            yield _limit(key, before, after)


def _is_looser(key: str, old: Any, new: Any) -> bool:
    if old == new:
        return True
    try:
        before, after = Decimal(str(old)), Decimal(str(new))
    except InvalidOperation:
        return False
    return after <= before if key in ("ge", "gt") else after >= before


def _limit(key: str, old: Schema, new: Schema) -> Change:
    before = f"had {json.dumps(old[key])}" if key in old else "had none"
    what = f"has the limit {key} {json.dumps(new[key])} now, and {before}"
    return Change("", ChangeKind.NARROWED, what)
