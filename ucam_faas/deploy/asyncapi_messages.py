"""A task's message and the schemas of its payload, as an AsyncAPI 3 document has them.

AsyncAPI's Schema Object is JSON Schema draft 7; pydantic's schemas, of 2020-12, are rewritten
in the older words.
"""

from __future__ import annotations

import re
from typing import Any, get_origin

from ucam_faas.deploy.payloads.proto_text import render
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
from ucam_faas.tasks.payload_schemas import components, map_schema, schema_of
from ucam_faas.tasks.task import Kind, Task

BINDING_VERSION = "0.2.0"
_ATTRIBUTE = re.compile(r'attributes\s*[.:]\s*(?:"((?:[^"\\]|\\.)*)"|([\w-]+))')
"""In a filter."""

Object = dict[str, Any]


def name_of(task: Task) -> str:
    """Return the name of a task's message: that of its type, if it has one."""
    kind = task.message_type
    if task.kind is not Kind.MESSAGE or schema_of(task) is None:
        return task.name
    return str(kind if get_origin(kind) is not None else kind.__name__)  # not `list` of list[int]


def describe(task: Task, name: str) -> tuple[Object, dict[str, Object]]:
    """Return a task's message, and the schemas that it refers to.

    Args:
        task: one with a topic.
        name: of the message; the names of its schemas begin with it.
    """
    payload, schemas = schema_of(task, values=True), dict[str, Object]()
    message: Object = {"name": name, "title": name_of(task)}
    if payload is None or payload.get("event_type") == PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE:
        message["contentType"] = "application/octet-stream"
    elif payload["format"] == "protobuf":
        message["contentType"] = "application/protobuf"
        text, syntax = render(payload)
        version = syntax.removeprefix("proto")
        media_type = f"application/vnd.google.protobuf;version={version}"
        message["payload"] = {"schemaFormat": media_type, "schema": text}
    else:
        message["contentType"] = "application/json"
        message["payload"] = {"$ref": f"#/components/schemas/{name}"}
        parts = components(payload["schema"], name)
        schemas = {part: map_schema(schema, _draft_7) for part, schema in parts.items()}
    if payload is not None and "event_type" in payload:
        message["description"] = f"CloudEvents of the type `{payload['event_type']}`."
    binding: Object = {"bindingVersion": BINDING_VERSION}
    attributes = {name: {"type": "string"} for name in _attributes(task)}
    if attributes:
        message["headers"] = {"type": "object", "properties": attributes}
        binding["attributes"] = attributes
    message["bindings"] = {"googlepubsub": binding}
    return message, schemas


def _attributes(task: Task) -> list[str]:
    """Return the names of the attributes that a task's filter and schedules name."""
    if task.trigger is None:
        return []
    names = {quoted or plain for quoted, plain in _ATTRIBUTE.findall(task.trigger.filter or "")}
    return sorted(names.union(*(schedule.attributes for schedule in task.trigger.schedules)))


def _draft_7(schema: Object) -> Object:
    words = {word: part for word, part in schema.items() if word != "discriminator"}
    if "prefixItems" in words:
        rest = {"additionalItems": words["items"]} if "items" in words else {}
        words |= {"items": words.pop("prefixItems"), **rest}
    if "$ref" in words:
        reference = {"$ref": words.pop("$ref")}
        # Draft 7 ignores the words beside $ref.
        words = {"allOf": [reference], **words} if words else reference
    return words
