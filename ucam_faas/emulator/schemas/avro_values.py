"""Values for an Avro schema: from plain JSON, from Avro's JSON encoding, and made up. Pure.

In plain JSON, a value of a union is the value alone, and a field with a default may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.emulator.schemas.avro_json import branch_name, check_json
from ucam_faas.emulator.schemas.definitions import MismatchError

_DEEPEST = 5
"""Of a value that is made up from a schema that refers to itself."""
_SAMPLES: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "string": "text",
    "bytes": "",
}


def in_avro_json(value: Any, schema: Any, names: Mapping[str, Any], path: str = "") -> Any:
    """Return a value in Avro's JSON encoding; one that has it already stays as it is.

    Args:
        value: as `json.loads` returned it.
        schema: a schema that fastavro parsed.
        names: the schemas of named types, by full name.
        path: of the value, for the error.

    Raises:
        MismatchError: the value fits the schema in neither form.
    """
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        return _in_a_branch(value, schema, names, path)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("record", "error") and isinstance(value, dict):
        return _record(value, schema, names, path)
    if kind == "array" and isinstance(value, list):
        items = schema["items"]
        return [
            in_avro_json(item, items, names, f"{path}[{index}]") for index, item in enumerate(value)
        ]
    if kind == "map" and isinstance(value, dict):
        values = schema["values"]
        return {
            key: in_avro_json(item, values, names, f"{path}.{key}") for key, item in value.items()
        }
    check_json(value, schema, names, path)
    return value


def _record(value: dict[str, Any], schema: Any, names: Mapping[str, Any], path: str) -> Any:
    fields = {field["name"]: field for field in schema["fields"]}
    for name in value:
        if name not in fields:
            raise MismatchError(f"{f'{path}.{name}'.lstrip('.')} isn't a field of the schema.")
    record = {}
    for name, field in fields.items():
        if name in value:
            record[name] = in_avro_json(value[name], field["type"], names, f"{path}.{name}")
        elif "default" in field:
            record[name] = in_avro_json(field["default"], field["type"], names, f"{path}.{name}")
    check_json(record, schema, names, path)  # a field without a default may be missing
    return record


def _in_a_branch(value: Any, schema: list[Any], names: Mapping[str, Any], path: str) -> Any:
    try:
        check_json(value, schema, names, path)
        return value
    except MismatchError as error:
        mismatch = error
    for branch in schema:
        try:
            inner = in_avro_json(value, branch, names, path)
        except MismatchError:
            continue
        return None if branch == "null" else {branch_name(branch): inner}
    raise mismatch


def datum(value: Any, schema: Any, names: Mapping[str, Any]) -> Any:
    """Return a value as fastavro writes it: unions as pairs, and bytes as bytes.

    Args:
        value: in Avro's JSON encoding, and checked.
        schema: a schema that fastavro parsed.
        names: the schemas of named types, by full name.
    """
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        if value is None:
            return None
        ((name, inner),) = value.items()
        branch = next(branch for branch in schema if branch_name(branch) == name)
        return name, datum(inner, branch, names)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("record", "error"):
        fields = schema["fields"]
        return {
            field["name"]: datum(value[field["name"]], field["type"], names) for field in fields
        }
    if kind == "array":
        return [datum(item, schema["items"], names) for item in value]
    if kind == "map":
        return {key: datum(item, schema["values"], names) for key, item in value.items()}
    if kind in ("bytes", "fixed"):
        return value.encode("latin-1")
    return int(value) if kind in ("int", "long") else value


def plain_json(value: Any) -> Any:
    """Return a value that fastavro has read as plain JSON: bytes as a text."""
    match value:
        case bytes():
            return value.decode("latin-1")
        case dict():
            return {key: plain_json(item) for key, item in value.items()}
        case list():
            return [plain_json(item) for item in value]
    return value


def sample(schema: Any, names: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a made-up value in Avro's JSON encoding."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        chosen = [branch for branch in schema if branch != "null"]
        if not chosen or (depth >= _DEEPEST and "null" in schema):
            return None
        return {branch_name(chosen[0]): sample(chosen[0], names, depth + 1)}
    kind = schema if isinstance(schema, str) else schema["type"]
    match kind:
        case "record" | "error":
            fields = schema["fields"]
            return {field["name"]: sample(field["type"], names, depth + 1) for field in fields}
        case "array":
            return [] if depth >= _DEEPEST else [sample(schema["items"], names, depth + 1)]
        case "map":
            return {} if depth >= _DEEPEST else {"key": sample(schema["values"], names, depth + 1)}
        case "enum":
            return schema["symbols"][0]
        case "fixed":
            return "\0" * schema["size"]
    return _SAMPLES[kind]
