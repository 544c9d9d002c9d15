"""Sample payloads of tasks, to paste into a shell."""

from __future__ import annotations

import base64
import json
from typing import Any

from pydantic import BaseModel

from ucam_faas.task import Task

_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
_BY_FORMAT = {
    "date-time": "2026-01-31T09:00:00Z",
    "date": "2026-01-31",
    "time": "09:00:00",
    "uuid": "12345678-1234-4234-8234-123456789abc",
    "email": "someone@example.com",
    "uri": "https://example.com/",
}


def sample_push(task: Task) -> str:
    """Return the body of a push of a sample message, as JSON."""
    data = base64.b64encode(sample_data(task)).decode()
    message = {"data": data, "messageId": "1", "attributes": {}}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/try"})


def sample_data(task: Task) -> bytes:
    """Return message data that the task accepts, where its message type says what that is."""
    kind = task.message_type
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        schema = kind.model_json_schema()
        return json.dumps(_sample(schema, schema.get("$defs", {}))).encode()
    if hasattr(kind, "SerializeToString"):
        return bytes(kind().SerializeToString())
    return b"hello"


def _sample(schema: dict[str, Any], defs: dict[str, Any], depth: int = 0) -> Any:
    """Make a value for a JSON schema; only what is required."""
    if "$ref" in schema:
        schema = defs.get(schema["$ref"].rpartition("/")[2], {})
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if schema.get("anyOf") and depth < 8:
        return _sample(schema["anyOf"][0], defs, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        required, properties = schema.get("required", []), schema.get("properties", {})
        if depth >= 8:
            return {}
        return {name: _sample(properties[name], defs, depth + 1) for name in required}
    if kind == "array":
        count = schema.get("minItems", 0)
        return [_sample(schema.get("items", {}), defs, depth + 1) for _ in range(count)]
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind)))
