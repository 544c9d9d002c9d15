"""Compare two JSON Schemas of pydantic: provably safe edits pass, everything else is a change.

An edit is safe if each alternative of the old schema (`int | None` has two, an enum one for each
value) fits one of the new schema. A limit may widen; a keyword that is unknown here may go, but
neither come nor change. Fields that a model doesn't know, and ignores, are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from ucam_faas.deploy.payloads.changes import Change
from ucam_faas.tasks.payload_schemas import ALSO_NAMED, KEYS, LIMITS, STRICT

Schema = dict[str, Any]

_DEFINITIONS = "#/$defs/"
_IGNORED = {
    *("description", "examples", "example", "default", "deprecated", "readOnly", "writeOnly"),
    *("externalDocs", "$comment", "$schema", "$id", "$defs", "discriminator"),
}
_COMPARED = {"title", "type", "properties", "required", "additionalProperties", "items"}
"""Keywords that are compared one by one; all others are limits."""
_LEAST = {*("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "ge", "gt")}
_MOST = {
    *("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "le", "lt"),
    *("max_digits", "decimal_places"),
}
_FREE_FORMATS = ("binary", "password", "path")
"""Formats that refuse no text."""
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def changes(old: Any, new: Any) -> list[Change]:
    """Return the changes from one JSON Schema to another."""
    return _Comparison(definitions_of(old), definitions_of(new)).schemas(old, new)


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self.old, self.new = old, new
        self.known: dict[tuple[str, str], list[Change]] = {}

    def schemas(self, old: Any, new: Any) -> list[Change]:
        """Compare two schemas; a schema that contains itself is safe if the rest of it is."""
        pair = (json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True))
        if pair not in self.known:
            before = dict(self.known)
            self.known[pair] = []
            changes = list(self._unions(old, new))
            if changes:  # results that relied on this pair are void
                self.known = {**before, pair: changes}
        return self.known[pair]

    def _unions(self, old: Any, new: Any) -> Iterator[Change]:
        news = list(alternatives(new, self.new))
        for part in alternatives(old, self.old):
            for point in _points(part):
                attempts = [self._fit(point, other) for other in news]
                if not attempts:
                    yield _refused(point, {"type": "nothing"})
                elif all(attempts):
                    yield from min(attempts, key=len)

    def _fit(self, old: Schema, new: Schema) -> list[Change]:
        """Compare two schemas that aren't unions."""
        if not new.keys() - {"title"}:
            return []
        before, after = old.get("type"), new.get("type")
        if not isinstance(before, str):
            fits = self._is_same(old, new)
        else:
            fits = after in (None, before) or (before, after) == ("integer", "number")
        if not fits:
            return [_refused(old, new)]
        changes = list(self._limits(_flat(old), _flat(new)))
        if before == "object":
            changes += self._objects(old, new)
        elif before == "array":
            items = self.schemas(old.get("items", True), new.get("items", True))
            changes += [change.below("[]") for change in items]
        return changes

    def _is_same(self, old: Any, new: Any) -> bool:
        return bool(old == new and ("$ref" not in json.dumps(new) or self.old == self.new))

    def _limits(self, old: Schema, new: Schema) -> Iterator[Change]:
        for key in sorted(new.keys() - _COMPARED):
            if not self._is_same(old.get(key), new[key]) and not _is_wider(key, old, new):
                was = f"was {json.dumps(old[key])}" if key in old else "was not set"
                text = f"has the limit {key} {json.dumps(new[key])}, which {was}"
                if key == "enum":
                    text = f"was {_shown(old)}, may only be {_shown(new)} now"
                yield Change("", f"{text}: other old messages are refused")

    def _objects(self, old: Schema, new: Schema) -> Iterator[Change]:
        names, known = field_names(old), field_names(new)
        for name, field in names.items():
            if name in known:
                fields = self.schemas(old["properties"][field], new["properties"][known[name]])
                yield from (change.below(name) for change in fields)
            else:
                yield Change(name, "is gone: its values in old messages are dropped or refused")
        required = old.get("required", [])
        filled = {known.get(name) for name, field in names.items() if field in required}
        for name in sorted({*new.get("required", [])} - filled):
            yield Change(name, "is required now: old messages without it are refused")
        yield from self._other_fields(old, new)

    def _other_fields(self, old: Schema, new: Schema) -> Iterator[Change]:
        """Compare the fields without a name in the schema: the values of maps."""
        before, after = unnamed_fields(old), unnamed_fields(new)
        patterns = (schema.get("patternProperties") for schema in (old, new))
        if not self._is_same(*patterns):
            yield Change("*", "has other patterns of keys: old messages may be refused")
        if before is False:
            return
        if before is not None and new.get("properties") and "properties" not in old:
            yield Change("*", "was a map, and has fixed fields now: old messages may be refused")
        elif after is False:
            yield Change("", "refuses unknown fields now, which it ignored or kept")
        elif after is not None:
            values = self.schemas(True if before is None else before, after)
            yield from (change.below("*") for change in values)
        elif before is not None:
            yield Change("*", "are dropped now, unless the model knows their names")


def definitions_of(schema: Any) -> Schema:
    """Return the definitions to which a schema refers, by name."""
    return schema.get("$defs", {}) if isinstance(schema, dict) else {}


def alternatives(schema: Any, definitions: Schema) -> Iterator[Schema]:
    """Yield plain schemas, without unions and references, one for each way to be valid."""
    if not isinstance(schema, dict):
        yield from [{}] if schema else []
        return
    name = schema.get("$ref", "").removeprefix(_DEFINITIONS)
    key = next((key for key in ("anyOf", "oneOf") if key in schema), "$ref")
    if key == "$ref" and name not in definitions:
        yield _plain(schema)
        return
    rest = _plain({part: value for part, value in schema.items() if part not in (key, "title")})
    for part in [definitions[name]] if key == "$ref" else schema[key]:
        for alternative in alternatives(part, definitions):
            joined = {**rest, **alternative}
            twice = [word for word in rest if joined[word] != rest[word]]
            joined |= {f"also {word}": rest[word] for word in twice}
            if isinstance(schema.get("discriminator"), dict):  # required, in spite of a default
                tag = schema["discriminator"]["propertyName"]
                joined["required"] = sorted({*joined.get("required", []), tag})
            yield joined


def _plain(schema: Schema) -> Schema:
    """Leave out annotations, and write a constant as an enum."""
    ours = (KEYS, LIMITS, STRICT)
    plain = {
        key: value
        for key, value in schema.items()
        if key not in _IGNORED and (key in ours or not key.startswith("x-"))
    }
    if "properties" not in plain:
        plain.pop("title", None)
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    return plain


def _points(schema: Schema) -> Iterator[Schema]:
    """Yield a schema for each value of an enum."""
    if "enum" not in schema:
        yield schema
    for value in schema.get("enum", []):
        kind = _TYPES.get(type(value), "array" if isinstance(value, list) else "object")
        yield {**schema, "type": kind, "enum": [value]}


def _flat(schema: Schema) -> Schema:
    """Return a schema with pydantic's own limits beside the others."""
    limits: Schema = schema.get(LIMITS, {})
    return {key: value for key, value in schema.items() if key != LIMITS} | limits


def _is_wider(key: str, old: Schema, new: Schema) -> bool:
    """Return True if a new limit accepts whatever the old one did."""
    before, after = old.get(key, old.get(f"exclusive{key.capitalize()}")), new[key]
    if key == "format":
        return bool(after in _FREE_FORMATS)
    if key not in _LEAST | _MOST | {"enum", "multipleOf"} or before is None:
        return False
    if key == "enum":
        return {*map(json.dumps, before)} <= {*map(json.dumps, after)}
    try:
        numbers = Decimal(str(before)), Decimal(str(after))
    except InvalidOperation:  # a date
        return False
    if key == "multipleOf":
        return numbers[0] % numbers[1] == 0
    return numbers[0] >= numbers[1] if key in _LEAST else numbers[0] <= numbers[1]


def _refused(old: Schema, new: Schema) -> Change:
    return Change("", f"was {_shown(old)}, is {_shown(new)} now: old messages are refused")


def _shown(schema: Schema) -> str:
    """Return a schema in a word or two."""
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    kind = schema.get("title") or str(schema.get("type", "anything"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def field_names(schema: Schema) -> dict[str, str]:
    """Return the fields of a schema by all the names from which they are read."""
    names: dict[str, str] = {}
    for name, field in schema.get("properties", {}).items():
        others = field.get(ALSO_NAMED, []) if isinstance(field, dict) else []
        names |= dict.fromkeys((name, *others), name)
    return names


def unnamed_fields(schema: Schema) -> Any:
    """Return the schema of fields without a name; None: they are ignored."""
    return schema.get("additionalProperties", None if "properties" in schema else True)
