"""The values of Firestore's documents, as its REST API has them.

Source: Google's page "REST Resource: projects.databases.documents", `Value`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time, in epoch seconds: a value that a TTL policy reads."""

    seconds: float


def encoded(value: Any) -> dict[str, Any]:
    """Return a value as JSON has it."""
    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": str(value)}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case Timestamp():
            time = datetime.fromtimestamp(value.seconds, UTC)
            return {"timestampValue": time.isoformat().replace("+00:00", "Z")}
        case list():
            return {"arrayValue": {"values": [encoded(item) for item in value]}}
        case _:
            return {"mapValue": {"fields": encoded_fields(value)}}


def encoded_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a document or a map as JSON has them."""
    return {name: encoded(value) for name, value in fields.items()}


def decoded_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a document or a map."""
    return {name: _decoded(value) for name, value in fields.items()}


def _decoded(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "integerValue":
            return int(content)
        case "doubleValue":
            return float(content)
        case "bytesValue":
            return base64.b64decode(content)
        case "timestampValue":
            return Timestamp(seconds(content))
        case "mapValue":
            return decoded_fields(content.get("fields", {}))
        case _:
            return content


def seconds(time: str) -> float:
    """Return a time of Google's in epoch seconds; its nanoseconds are cut to microseconds."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
