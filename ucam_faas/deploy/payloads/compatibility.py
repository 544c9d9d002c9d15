"""From the payload in the last plan and the payload now to what old messages would meet.

Found is what the schemas show. What they do not show is the user's own: validators, parsers that
are functions, and what a field means.
"""

from __future__ import annotations

from typing import Any

from ucam_faas.deploy.payloads import json_compatibility, protobuf_compatibility
from ucam_faas.deploy.payloads.changes import Change, ChangeKind
from ucam_faas.exceptions import ConfigurationError


def changes(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[Change]:
    """Return the incompatible changes from one payload to another, in a stable order.

    A payload of None (bytes, or a parser that is a function) takes anything, and nothing is known
    of what it took: no change to or from it is found.

    Args:
        old: `schemas.schema_of` of the last plan.
        new: that of now.

    Raises:
        ConfigurationError: the old one is none that a plan has: files are edited by hand, too.
    """
    if old is None or new is None:
        return []
    try:
        return sorted(set(_changes(old, new)))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            "A payload in the last plan is not as `ucam-faas plan` writes it: plan again, or take "
            "the file from version control."
        ) from error


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    if old["format"] != new["format"]:
        return [Change("", ChangeKind.FORMAT, f"was {old['format']}, is {new['format']} now")]
    found: list[Change] = []
    events = old.get("event_type"), new.get("event_type")
    if events[0] != events[1]:
        what = f"came in CloudEvents of type {events[0]!r}, and comes in {events[1]!r} now"
        found.append(Change("", ChangeKind.FORMAT, what))
    if old["format"] == "json":
        found += json_compatibility.changes(old["schema"], new["schema"])
    else:
        found += protobuf_compatibility.changes(old, new)
    return found
