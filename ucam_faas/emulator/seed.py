"""Schemas, topics, subscriptions, jobs and queues to start with, from a JSON file.

The file has the form of the REST API: `{"schemas": [{"name": "projects/P/schemas/S",
"type": "AVRO", "definition": …}, …], "topics": [{"name": "projects/P/topics/T"}, …],
"subscriptions": [{"name": …, "topic": …, …}, …], "jobs": [{"name": …, "schedule": …}, …],
"queues": [{"name": …}, …]}`. A topic may be its name alone. Existing resources stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.emulator import Emulator
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.wire.methods import CLOUD_TASKS, PUBLISHER, SCHEDULER, SCHEMAS, SUBSCRIBER
from ucam_faas.exceptions import ConfigurationError

_KINDS = {
    "schemas": (SCHEMAS, "CreateSchema", "schema"),
    "topics": (PUBLISHER, "CreateTopic", ""),
    "subscriptions": (SUBSCRIBER, "CreateSubscription", ""),
    "jobs": (SCHEDULER, "CreateJob", "job"),
    "queues": (CLOUD_TASKS, "CreateQueue", "queue"),
}
"""Each one's method, and the field of the request that holds it; none: it is the request."""


async def sow(emulator: Emulator, path: Path) -> None:
    """Create the resources that a file names.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong.
    """
    content = _read(path)
    for kind in _KINDS:
        for number, item in enumerate(content.get(kind, [])):
            try:
                await _make(emulator, kind, {"name": item} if isinstance(item, str) else item)
            except (RpcError, protos.ParseError) as error:
                if not (isinstance(error, RpcError) and error.code == "ALREADY_EXISTS"):
                    raise ConfigurationError(f"{path}: {kind}[{number}]: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or not set(content) <= set(_KINDS):
        raise ConfigurationError(f"{path}: expected an object with the keys {', '.join(_KINDS)}.")
    for kind, items in content.items():
        if not isinstance(items, list):
            raise ConfigurationError(f"{path}: {kind}: expected a list.")
        for number, item in enumerate(items):
            if not isinstance(item, dict) and not (kind == "topics" and isinstance(item, str)):
                raise ConfigurationError(
                    f"{path}: {kind}[{number}]: {item!r}: expected an object, as in the REST API."
                )
    return content


async def _make(emulator: Emulator, kind: str, item: dict[str, Any]) -> None:
    service, method, field = _KINDS[kind]
    create = emulator.services.find(service, method)
    assert create is not None, "the emulator has these services"
    fields: dict[str, Any] = item
    if field:
        parent, is_name, id = str(item.get("name", "")).rpartition(f"/{kind}/")
        if not is_name:
            form = "projects/P" if kind == "schemas" else "projects/P/locations/L"
            raise invalid(f"Invalid name: expected {form}/{kind}/ID.")
        fields = {"parent": parent, field: item}
        if kind == "schemas":
            fields["schemaId"] = id
    await create.call(protos.ParseDict(fields, create.request()))
