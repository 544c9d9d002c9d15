"""Sample payloads of tasks, to paste into a shell."""

from __future__ import annotations

import base64
import json
import math
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from ucam_faas.task import Task

_BY_FORMAT = {
    "date-time": "2026-01-31T09:00:00Z",
    "date": "2026-01-31",
    "time": "09:00:00",
    "duration": "PT1H",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_DEEPEST = 8


def sample_push(task: Task) -> str:
    """Return the body of a push of a sample message, as JSON."""
    data = base64.b64encode(sample_data(task)).decode()
    message = {"data": data, "messageId": "1", "attributes": {}}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/try"})


def sample_data(task: Task) -> bytes:
    """Return message data that the task accepts, where its message type says what that is."""
    kind = task.message_type
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        with suppress(Exception):  # a model need not have a schema
            schema = kind.model_json_schema()
            return json.dumps(_sample(schema, schema.get("$defs", {}))).encode()
    if hasattr(kind, "SerializeToString"):
        return bytes(kind().SerializeToString())
    return b"hello"


def _sample(schema: dict[str, Any], defs: dict[str, Any], depth: int = 0) -> Any:
    """Make a value for a JSON schema; only what is required."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        schema = defs.get(schema["$ref"].rpartition("/")[2], {})
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _sample(schema[key][0], defs, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: _sample(properties[name], defs, depth + 1) for name in schema.get("required", [])
        }
    if kind == "array":
        items = list(schema.get("prefixItems", []))
        items += [schema.get("items", {})] * (schema.get("minItems", 0) - len(items))
        return [_sample(item, defs, depth + 1) for item in items]
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return True
    return _text(schema) if kind == "string" else None


def _number(schema: dict[str, Any]) -> float:
    whole = schema["type"] == "integer"
    step = schema.get("multipleOf", 1 if whole else 0.5)
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    highest = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    found = min(max(step, lowest), highest)
    found = step * (math.floor(found / step) if highest <= step else math.ceil(found / step))
    if found <= schema.get("exclusiveMinimum", -math.inf):
        found += step
    if found >= schema.get("exclusiveMaximum", math.inf):
        found -= step
    return int(found) if whole else float(found)


def _text(schema: dict[str, Any]) -> str:
    text: str = _BY_FORMAT.get(schema.get("format", ""), "text")
    return text.ljust(schema.get("minLength", 0), "t")[: schema.get("maxLength")]
