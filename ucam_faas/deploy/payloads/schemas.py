"""From a task to what its payload is: a JSON Schema, a description of protobuf messages, or None.

All of it is plain JSON, and the same each time: it is kept in the plan, for the next one to be
compared with. Sources: JSON Schema 2020-12, in pydantic's dialect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import core_schema, to_jsonable_python

from ucam_faas.tasks.parsers import CloudEventType
from ucam_faas.tasks.payload_types import is_json, protobuf_class
from ucam_faas.tasks.task import Kind, Task

ALSO_NAMED, LIMITS, KEYS, STRICT = "x-also-named", "x-limits", "x-keys", "x-strict"
"""What pydantic checks and JSON Schema does not say: a field's other names, limits of dates and
decimals, the type of a map's keys, and that nothing is converted."""

_VALUES = ("default", "examples", "example")
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "propertyNames", "contains", "contentSchema", "not"),
    *("if", "then", "else", KEYS),
)


def schema_of(task: Task, *, values: bool = False) -> dict[str, Any] | None:
    """Return what a task's payload is; None if only the task's own code can tell.

    Args:
        task: any.
        values: with the defaults and examples, which a plan does without: they change nothing for
            who sends, may hold what is private, and may be others in each process.
    """
    kind = task.message_type
    if task.kind is Kind.EVENT_DATA:
        if not isinstance(task.parse, CloudEventType):
            return None
        found = _json_schema(task.parse.event_data_model, values=values)
        return found and {**found, "event_type": task.parse.event_type}
    message_class = protobuf_class(kind)
    if message_class is not None:
        from ucam_faas.deploy.payloads.protobuf_schemas import describe

        return describe(message_class.DESCRIPTOR)
    if is_json(kind):
        return _json_schema(kind, values=values)
    return None


def map_schema(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a JSON Schema with each schema in it changed, the innermost first."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    for key in found.keys() & {*_MAPS}:
        if isinstance(found[key], dict):
            found[key] = {name: map_schema(part, change) for name, part in found[key].items()}
    for key in found.keys() & {*_LISTS}:
        found[key] = [map_schema(part, change) for part in found[key]]
    for key in found.keys() & {*_SINGLE}:
        found[key] = map_schema(found[key], change)
    return change(found)


def _json_schema(kind: Any, *, values: bool) -> dict[str, Any] | None:
    try:
        schema = TypeAdapter(kind).json_schema(mode="validation", schema_generator=_Generator)
    except PydanticUserError:  # a type of the user's own, which has none
        return None
    text = json.dumps(to_jsonable_python(schema, inf_nan_mode="constants", fallback=_type_name))
    schema = json.loads(text, parse_constant=str)  # Infinity is no JSON
    left_out = () if values else _VALUES
    return {"format": "json", "schema": map_schema(schema, lambda found: _tidy(found, left_out))}


def _type_name(value: Any) -> str:
    return type(value).__name__


def _tidy(schema: dict[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    """Leave out keywords, and limits that are infinite."""
    return {
        key: found
        for key, found in schema.items()
        if key not in left_out and not (key in _BOUNDS and isinstance(found, str))
    }


_HIDDEN = {
    "datetime": ("gt", "ge", "lt", "le", "tz_constraint", "now_op"),
    "date": ("gt", "ge", "lt", "le", "now_op"),
    "time": ("gt", "ge", "lt", "le", "tz_constraint"),
    "timedelta": ("gt", "ge", "lt", "le"),
    "decimal": ("gt", "ge", "lt", "le", "multiple_of", "max_digits", "decimal_places"),
}
"""By pydantic's type: the limits that JSON Schema has no word for."""


class _Generator(GenerateJsonSchema):
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 (pydantic's own attribute)
        *("skipped-choice", "non-serializable-default")
    }

    def generate_inner(self, schema: Any) -> dict[str, Any]:
        found = super().generate_inner(schema)
        hidden = {key: schema[key] for key in _HIDDEN.get(schema["type"], ()) if key in schema}
        if hidden:
            found[LIMITS] = to_jsonable_python(hidden)
        if schema["type"] == "decimal":
            texts = (part for part in found.get("anyOf", []) if part.get("type") == "string")
            for part in texts:  # any text, says pydantic
                part.setdefault("format", "decimal")
        if schema.get("strict") and "$ref" not in found:
            found[STRICT] = True
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        found = super().dict_schema(schema)
        keys = self.generate_inner(schema.get("keys_schema", core_schema.any_schema())).copy()
        keys.pop("title", None)
        if keys not in ({}, {"type": "string"}, found.get("propertyNames")):
            found[KEYS] = keys
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        found = super().model_schema(schema)
        model = schema["cls"]
        if model.model_config.get("strict"):
            found[STRICT] = True
        for name, names in _names_of_fields(model).items():
            field = found.get("properties", {}).get(name)
            if field is not None and names:
                field[ALSO_NAMED] = names
        return found


def _names_of_fields(model: type[BaseModel]) -> dict[str, list[str]]:
    """Return the name of each field in the schema, and the others that it is read from."""
    config, found = model.model_config, {}
    both = config.get("populate_by_name") or config.get("validate_by_name")
    for name, field in model.model_fields.items():
        given = field.validation_alias
        choices = given.choices if isinstance(given, AliasChoices) else [given]
        names = [_path(choice) for choice in choices if choice is not None]
        names += [name] if both or not names else []
        first = next((choice for choice in choices if isinstance(choice, str)), name)
        found[first] = sorted({*names} - {first})
    return found


def _path(choice: str | AliasPath) -> str:
    return choice if isinstance(choice, str) else ".".join(str(part) for part in choice.path)
