"""What a task takes, as a message and the schemas of an AsyncAPI 3 document.

AsyncAPI's Schema Object is JSON Schema draft 7; pydantic's schemas are of 2020-12, and are put into
the older words.
"""

from __future__ import annotations

import re
from typing import Any, get_origin

from ucam_faas.deploy.payloads.proto_text import render
from ucam_faas.deploy.payloads.schemas import map_schema, schema_of
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
from ucam_faas.tasks.task import Kind, Task

BINDING_VERSION = "0.2.0"
_ATTRIBUTE = re.compile(r'attributes\s*[.:]\s*(?:"((?:[^"\\]|\\.)*)"|([\w-]+))')
"""In a filter."""
_DEFINITIONS = "#/$defs/"

Object = dict[str, Any]


def key(name: str) -> str:
    """Return a name as AsyncAPI's components have them.

    >>> key("list[int]"), key("tea+time")
    ('list_int_', 'tea_time')
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def name_of(task: Task) -> str:
    """Return what a task's message is called: as its type, if it has one."""
    kind = task.message_type
    if task.kind is not Kind.MESSAGE or schema_of(task) is None:
        return task.name
    return str(kind if get_origin(kind) is not None else kind.__name__)  # list[int] is no list


def describe(task: Task, name: str) -> tuple[Object, dict[str, Object]]:
    """Return a task's message, and the schemas that it refers to.

    Args:
        task: one with a topic.
        name: of the message; the names of its schemas begin with it.
    """
    payload, schemas = schema_of(task, values=True), dict[str, Object]()
    found: Object = {"name": name, "title": name_of(task)}
    if payload is None or payload.get("event_type") == PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE:
        found["contentType"] = "application/octet-stream"
    elif payload["format"] == "protobuf":
        found["contentType"] = "application/protobuf"
        text, syntax = render(payload)
        version = syntax.removeprefix("proto")
        media_type = f"application/vnd.google.protobuf;version={version}"
        found["payload"] = {"schemaFormat": media_type, "schema": text}
    else:
        found["contentType"] = "application/json"
        found["payload"] = {"$ref": f"#/components/schemas/{name}"}
        schemas = _schemas(payload["schema"], name)
    if payload is not None and "event_type" in payload:
        found["description"] = f"CloudEvents of the type `{payload['event_type']}`."
    binding: Object = {"bindingVersion": BINDING_VERSION}
    attributes = {name: {"type": "string"} for name in _attributes(task)}
    if attributes:
        found["headers"] = {"type": "object", "properties": attributes}
        binding["attributes"] = attributes
    found["bindings"] = {"googlepubsub": binding}
    return found, schemas


def _attributes(task: Task) -> list[str]:
    """Return the names of the attributes that a task's filter and schedules name."""
    if task.trigger is None:
        return []
    names = {quoted or plain for quoted, plain in _ATTRIBUTE.findall(task.trigger.filter or "")}
    return sorted(names.union(*(schedule.attributes for schedule in task.trigger.schedules)))


def _schemas(schema: Any, name: str) -> dict[str, Object]:
    """Return a schema and its definitions, in AsyncAPI's words, by their names."""
    if not isinstance(schema, dict):
        return {name: schema}
    parts = {**schema.get("$defs", {}), "": {w: x for w, x in schema.items() if w != "$defs"}}
    names = {part: f"{name}.{key(part)}" if part else name for part in parts}
    if parts[""].keys() == {"$ref"}:  # it holds itself
        names[parts.pop("")["$ref"].removeprefix(_DEFINITIONS)] = name
    return {
        names[part]: map_schema(found, lambda inner: _draft_7(inner, names))
        for part, found in parts.items()
    }


def _draft_7(schema: Object, names: dict[str, str]) -> Object:
    found = {word: part for word, part in schema.items() if word != "discriminator"}
    if "prefixItems" in found:
        rest = {"additionalItems": found["items"]} if "items" in found else {}
        found |= {"items": found.pop("prefixItems"), **rest}
    if "$ref" in found:
        local = found.pop("$ref")
        if local.startswith(_DEFINITIONS):
            local = f"#/components/schemas/{names[local.removeprefix(_DEFINITIONS)]}"
        reference = {"$ref": local}
        found = {"allOf": [reference], **found} if found else reference  # what is beside it is void
    return found
