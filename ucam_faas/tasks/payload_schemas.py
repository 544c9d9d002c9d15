"""The schema of a task's payload: a JSON Schema, a description of protobuf messages, or None.

It is plain JSON, and the same each time: the plan keeps it, and the next plan is compared with it.
Source: JSON Schema 2020-12, in pydantic's dialect.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind
from pydantic_core import core_schema, to_jsonable_python

from ucam_faas.tasks.parsers import CloudEventType
from ucam_faas.tasks.payload_types import is_json, protobuf_class
from ucam_faas.tasks.task import Kind, Task

ALSO_NAMED, LIMITS, KEYS, STRICT = "x-also-named", "x-limits", "x-keys", "x-strict"
"""Checks of pydantic that JSON Schema has no words for: a field's other names, limits of dates and
decimals, the type of a map's keys, and strictness."""

_DEFINITIONS = "#/$defs/"
_VALUES = ("default", "examples", "example")
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "propertyNames", "contains", "contentSchema", "not"),
    *("if", "then", "else", KEYS),
)


def schema_of(task: Task, *, values: bool = False) -> dict[str, Any] | None:
    """Return the schema of a task's payload; None if only the task's own code knows it.

    Args:
        task: any task.
        values: include defaults and examples. A plan leaves them out: they don't concern
            publishers, may be private, and may differ from process to process.
    """
    kind = task.message_type
    if task.kind is Kind.EVENT_DATA:
        if not isinstance(task.parse, CloudEventType):
            return None
        schema = _json_schema(task.parse.event_data_model, values=values)
        return schema and {**schema, "event_type": task.parse.event_type}
    message_class = protobuf_class(kind)
    if message_class is not None:
        from ucam_faas.tasks.protobuf_schemas import describe

        return describe(message_class.DESCRIPTOR)
    if is_json(kind):
        return _json_schema(kind, values=values)
    return None


def form_schema(task: Task) -> dict[str, Any] | None:
    """Return the schema of a task's payload for a form: with defaults and examples, and of a
    protobuf message also `descriptors`, in base64. None, also where a type of the user's has a bug.
    """
    with suppress(Exception):
        schema = schema_of(task, values=True)
        if schema is not None and schema["format"] == "protobuf":
            from ucam_faas.tasks.protobuf_schemas import files_of

            files = files_of(protobuf_class(task.message_type).DESCRIPTOR.file)
            schema["descriptors"] = base64.b64encode(files).decode()
        return schema
    return None


def result_schema(kind: Any) -> Any:
    """Return the JSON Schema of a result's type; that of any value, if there is none."""
    described = _json_schema(kind, values=False, mode="serialization")
    return {} if described is None else described["schema"]


def map_schema(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a JSON Schema with each schema in it changed, the innermost first."""
    if not isinstance(schema, dict):
        return schema
    changed = dict(schema)
    for key in changed.keys() & {*_MAPS}:
        if isinstance(changed[key], dict):
            changed[key] = {name: map_schema(part, change) for name, part in changed[key].items()}
    for key in changed.keys() & {*_LISTS}:
        changed[key] = [map_schema(part, change) for part in changed[key]]
    for key in changed.keys() & {*_SINGLE}:
        changed[key] = map_schema(changed[key], change)
    return change(changed)


def component_name(name: str) -> str:
    """Return a name as the components of AsyncAPI and OpenAPI have them.

    >>> component_name("list[int]"), component_name("tea+time")
    ('list_int_', 'tea_time')
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def components(schema: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return a JSON Schema and its definitions by the names that components have for them.

    Args:
        schema: as `schema_of` returns it.
        name: of its component; the names of its definitions begin with it.
    """
    if not isinstance(schema, dict):
        return {name: schema}
    parts = {**schema.get("$defs", {}), "": {w: x for w, x in schema.items() if w != "$defs"}}
    names = {part: f"{name}.{component_name(part)}" if part else name for part in parts}
    if parts[""].keys() == {"$ref"}:  # it holds itself
        names[parts.pop("")["$ref"].removeprefix(_DEFINITIONS)] = name

    def renamed(inner: dict[str, Any]) -> dict[str, Any]:
        local = inner.get("$ref", "")
        if not local.startswith(_DEFINITIONS):
            return inner
        return {**inner, "$ref": f"#/components/schemas/{names[local.removeprefix(_DEFINITIONS)]}"}

    return {names[part]: map_schema(part_schema, renamed) for part, part_schema in parts.items()}


def _json_schema(
    kind: Any, *, values: bool, mode: JsonSchemaMode = "validation"
) -> dict[str, Any] | None:
    try:
        schema = TypeAdapter(kind).json_schema(mode=mode, schema_generator=_Generator)
    except PydanticUserError:  # a type of the user's own without a schema
        return None
    text = json.dumps(to_jsonable_python(schema, inf_nan_mode="constants", fallback=_type_name))
    schema = json.loads(text, parse_constant=str)  # Infinity isn't JSON
    left_out = () if values else _VALUES
    return {"format": "json", "schema": map_schema(schema, lambda part: _tidy(part, left_out))}


def _type_name(value: Any) -> str:
    return type(value).__name__


def _tidy(schema: dict[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    """Leave out keywords and infinite limits."""
    return {
        key: value
        for key, value in schema.items()
        if key not in left_out and not (key in _BOUNDS and isinstance(value, str))
    }


_HIDDEN_TYPES = ("datetime", "date", "time", "timedelta", "decimal")
_HIDDEN = (
    *("gt", "ge", "lt", "le", "tz_constraint", "now_op"),
    *("multiple_of", "max_digits", "decimal_places"),
)
"""Limits of those types of pydantic that JSON Schema has no word for."""


class _Generator(GenerateJsonSchema):
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 (pydantic's own attribute)
        *("skipped-choice", "non-serializable-default")
    }

    def generate_inner(self, schema: Any) -> dict[str, Any]:
        described = super().generate_inner(schema)
        hidden = {key: schema[key] for key in _HIDDEN if key in schema}
        if hidden and schema["type"] in _HIDDEN_TYPES:
            described[LIMITS] = to_jsonable_python(hidden)
        if schema["type"] == "decimal":
            texts = (part for part in described.get("anyOf", []) if part.get("type") == "string")
            for part in texts:  # pydantic's schema allows any text
                part.setdefault("format", "decimal")
        if schema.get("strict") and "$ref" not in described:
            described[STRICT] = True
        return described

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        described = super().dict_schema(schema)
        keys = self.generate_inner(schema.get("keys_schema", core_schema.any_schema())).copy()
        keys.pop("title", None)
        if keys not in ({}, {"type": "string"}, described.get("propertyNames")):
            described[KEYS] = keys
        return described

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        described = super().model_schema(schema)
        model = schema["cls"]
        if model.model_config.get("strict"):
            described[STRICT] = True
        for name, names in _names_of_fields(model).items():
            field = described.get("properties", {}).get(name)
            if field is not None and names:
                field[ALSO_NAMED] = names
        return described


def _names_of_fields(model: type[BaseModel]) -> dict[str, list[str]]:
    """Return the fields by their names in the schema, each with its other names."""
    config, fields = model.model_config, {}
    both = config.get("populate_by_name") or config.get("validate_by_name")
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        names = [_path(choice) for choice in choices if choice is not None]
        names += [name] if both or not names else []
        first = next((choice for choice in choices if isinstance(choice, str)), name)
        fields[first] = sorted({*names} - {first})
    return fields


def _path(choice: str | AliasPath) -> str:
    return choice if isinstance(choice, str) else ".".join(str(part) for part in choice.path)
