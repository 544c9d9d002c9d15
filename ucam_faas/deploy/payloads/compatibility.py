"""Compare the payload of the last plan with the payload of the code.

Provably safe edits pass, and everything else is a change. Schemas don't show validators, parser
functions, and the meaning of a field.
"""

from __future__ import annotations

from typing import Any

from ucam_faas.deploy.payloads import json_compatibility, protobuf_compatibility
from ucam_faas.deploy.payloads.changes import Change
from ucam_faas.exceptions import ConfigurationError


def changes(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[Change]:
    """Return the changes from one payload to another, in a stable order.

    A payload of None (bytes, or a parser function) is unknown: nothing is a change of it.

    Args:
        old: `payload_schemas.schema_of` of the last plan.
        new: `payload_schemas.schema_of` of the code.

    Raises:
        ConfigurationError: no plan has such an old payload: people edit files by hand.
    """
    if old is None or new is None:
        return []
    try:
        return sorted(set(_changes(old, new)))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            "A payload in the last plan is not as `ucam-faas plan` writes it: plan again, or take "
            "the file from version control."
        ) from error


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    changes: list[Change] = []
    for key, name in (("format", "format"), ("event_type", "CloudEvent type")):
        before, after = old.get(key), new.get(key)
        if before != after:
            text = f"had the {name} {before}, and has {after} now: old messages are refused"
            changes.append(Change("", text))
    if old["format"] != new["format"]:
        return changes
    if old["format"] == "json":
        return changes + json_compatibility.changes(old["schema"], new["schema"])
    return changes + protobuf_compatibility.changes(old, new)
