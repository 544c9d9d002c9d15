"""Topics, subscriptions and jobs to start with, from a JSON file.

The file has the form of the REST API: `{"topics": [{"name": "projects/P/topics/T"}, …],
"subscriptions": [{"name": …, "topic": …, …}, …], "jobs": [{"name": …, "schedule": …}, …]}`. A
topic may be its name alone. Existing resources stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.emulator import Emulator
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.scheduler import api
from ucam_faas.exceptions import ConfigurationError

_KINDS = ("topics", "subscriptions", "jobs")


async def sow(emulator: Emulator, path: Path) -> None:
    """Create the resources that a file names.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong.
    """
    content = _read(path)
    for kind in _KINDS:
        for number, item in enumerate(content.get(kind, [])):
            try:
                _make(emulator, kind, {"name": item} if isinstance(item, str) else item)
            except (RpcError, protos.ParseError) as error:
                if not (isinstance(error, RpcError) and error.code == "ALREADY_EXISTS"):
                    raise ConfigurationError(f"{path}: {kind}[{number}]: {error}") from error
    await emulator.hub.saved()


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


def _make(emulator: Emulator, kind: str, item: dict[str, Any]) -> None:
    if kind == "topics":
        emulator.publisher.create_topic(protos.ParseDict(item, protos.Topic()))
    elif kind == "subscriptions":
        emulator.subscriber.create_subscription(protos.ParseDict(item, protos.Subscription()))
    else:
        make = api.methods()["CreateJob"][0]
        parent, is_name, _ = str(item.get("name", "")).rpartition("/jobs/")
        if not is_name:
            raise invalid("Invalid name: expected projects/P/locations/L/jobs/ID.")
        request = protos.ParseDict({"parent": parent, "job": item}, make())
        emulator.scheduler.create_job(request)
