"""A JSON Schema taken apart into alternatives, none of which is a union or a reference.

`int | None`, `Cat | Dog`, a list of types and a reference become one plain schema for each way to
be valid. Where a keyword is said twice, the second stays in `allOf`: nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.payloads.schemas import ALSO_NAMED, KEYS, LIMITS, STRICT

Schema = dict[str, Any]

_OURS = (ALSO_NAMED, KEYS, LIMITS, STRICT)
_TAKEN_APART = ("$ref", "anyOf", "oneOf", "allOf", "discriminator")
_SAYS_NOTHING = {
    *("description", "examples", "example", "default", "deprecated", "readOnly", "writeOnly"),
    *("externalDocs", "$comment", "$schema", "$id", "$defs", "definitions"),
}
_DEFINITIONS = "#/$defs/"
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def alternatives(
    schema: Any, definitions: Schema, seen: frozenset[str] = frozenset()
) -> list[Schema]:
    """Return the alternatives of a schema.

    Args:
        schema: a schema, or True (anything) or False (nothing).
        definitions: what it refers to.
        seen: references on the way here; one that leads to itself adds nothing.
    """
    if not isinstance(schema, dict):
        return [{}] if schema else []
    reference = schema.get("$ref", "")
    name = reference.removeprefix(_DEFINITIONS)
    found = [_own(schema)]
    if reference in seen:
        return []
    if reference and name not in definitions:
        found[0]["$ref"] = reference  # elsewhere: it is compared as it stands
    elif reference:
        found = _both(alternatives(definitions[name], definitions, seen | {reference}), found)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            options = [alternatives(option, definitions, seen) for option in schema[key]]
            found = _both([alternative for option in options for alternative in option], found)
    for part in schema.get("allOf", []):
        found = _both(found, alternatives(part, definitions, seen))
    return [alternative for united in found for alternative in _one_type(united)]


def is_any(schema: Schema) -> bool:
    """Tell whether an alternative takes anything."""
    return not schema.keys() - {"title"}


def shown(schema: Schema) -> str:
    """Return what a schema is, in a word or two."""
    kind = schema.get("type", "anything")
    if "enum" in schema:
        values = ", ".join(map(json.dumps, schema["enum"]))
        return f"one of {values}" if len(schema["enum"]) > 1 else values
    if kind == "object" and "title" in schema and "properties" in schema:
        return str(schema["title"])
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _type_of(value: Any) -> str:
    return _TYPES.get(type(value)) or ("array" if isinstance(value, list) else "object")


def _own(schema: Schema) -> Schema:
    found = {
        key: value
        for key, value in schema.items()
        if key not in _SAYS_NOTHING
        and key not in _TAKEN_APART
        and (key in _OURS or not key.startswith("x-"))
    }
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if isinstance(schema.get("discriminator"), dict):
        tag = schema["discriminator"]["propertyName"]
        found["required"] = sorted({*found.get("required", []), tag})  # even if it has a default
    return found


def _both(firsts: list[Schema], seconds: list[Schema]) -> list[Schema]:
    return [_joined(first, second) for first in firsts for second in seconds]


def _joined(first: Schema, second: Schema) -> Schema:
    found = dict(first)
    for key, value in second.items():
        if key not in found or key == "title":
            found.setdefault(key, value)
        elif key == "required":
            found[key] = sorted({*found[key], *value})
        elif found[key] != value:
            found["allOf"] = [*found.get("allOf", []), {key: value}]
    return found


def _one_type(schema: Schema) -> Iterator[Schema]:
    """Split a list of types, and find the type of values that say none."""
    if isinstance(schema.get("type"), list):
        yield from ({**schema, "type": kind} for kind in schema["type"])
    elif "enum" in schema and "type" not in schema:
        kinds = {_type_of(value): None for value in schema["enum"]}
        for kind in kinds:
            values = [value for value in schema["enum"] if _type_of(value) == kind]
            yield {**schema, "type": kind, "enum": values}
    else:
        yield schema
