"""Rows as SQL stores keep them: a column a field, JSON where SQL has no type for a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State

_COLUMNS = tuple(field.name for field in fields(Row) if field.name not in ("key", "log"))
_JSON = ("attributes", "options", "error", "progress")


def row_of(record: Mapping[str, Any]) -> Row:
    """Return the row of a record, which may have columns of a later version.

    Raises:
        JobStoreError: it lacks a column: its table is that of an earlier version.
    """
    key = Key(record["app"], record["task"], record["id"])
    try:
        values: dict[str, Any] = {name: record[name] for name in _COLUMNS}
    except KeyError as error:
        raise JobStoreError(
            f"The table of the job store is that of an earlier version, without the column {error}"
            ": run `ucam-faas jobs migrate`."
        ) from None
    for name in _JSON:
        text = values[name]
        if text is not None:
            values[name] = {} if text == "{}" else json.loads(text)
    values["state"] = State(values["state"])
    for name in ("cancel_requested", "event_due", "in_order"):
        values[name] = bool(values[name])
    return Row(key=key, log=record["history"], **values)


def new_values(row: Row, wait: float) -> dict[str, Any]:
    """Return the values that insert a row; its times are seconds from now."""
    return {
        **row.key._asdict(),
        "payload": row.payload,
        "attributes": _object(row.attributes),
        "ordering_key": row.ordering_key,
        "lane": row.lane,
        "options": _object(row.options),
        "source": row.source,
        "owner": row.owner,
        "unique": row.unique,
        "limit_key": row.limit_key,
        "in_order": row.in_order,
        "batch": row.batch,
        "parent": row.parent,
        "state": row.state,
        "wait": wait,
        "ttl": row.expires,
        "visit": new_visit(row),
    }


def holder_values(row: Row) -> dict[str, Any]:
    """Return the values that tell the claim on a row from later ones."""
    return {**row.key._asdict(), "fence": row.fence}


def inserted(row: Row, wait: float, now: float) -> Row:
    """Return a row as it is after its insert at a time."""
    return replace(
        row,
        created=now,
        due=now + wait,
        expires=None if row.expires is None else now + row.expires,
        visit=now + new_visit(row),
        log=sent_at(now, row.state),
    )


def new_visit(row: Row) -> float:
    """Return the seconds until the sweep looks at a new row: at its expiry at the latest."""
    return row.visit if row.expires is None else min(row.visit, row.expires)


def sent_at(now: float, state: State = State.PENDING) -> str:
    """Return the history of a row that is inserted at a time."""
    return json.dumps([[now, state, "sent", 0, "", ""]])


def change_values(change: Change) -> dict[str, Any]:
    """Return the values that a change gives a row."""
    values = {name: getattr(change, name) for name in _CHANGES}
    if change.error is not None:
        values["error"] = _object(change.error)
    return values


_CHANGES = tuple(field.name for field in fields(Change))


def _object(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values)) if values else "{}"


def json_text(value: Any) -> str:
    """Return a value as JSON."""
    return json.dumps(value)
