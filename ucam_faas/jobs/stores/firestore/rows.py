"""The documents of jobs: a row in, the fields of a document out, and back.

Fields that a query looks at are at the top; all others are in the map `data`, which no index has.
`firestore.indexes.json` beside this module has the indexes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ucam_faas.jobs.payloads.references import references
from ucam_faas.jobs.rows import Key, Row, Step
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.firestore.values import Timestamp

JOBS, KEYS = "ucam-faas-jobs", "ucam-faas-job-keys"
"""Collections: a document for each job, and one for each unique key of a live one."""
LANES = "ucam-faas-paused-lanes"
"""The collection of paused lanes, a document each."""
SENT = "sent"
"""The field with the server's time of the sending of a job that has a limit's key."""
SHARDS = 4
"""Ranges of an index over times: Firestore takes about 500 writes a second in each."""
TTL_GRACE_SECONDS = 3 * 24 * 3600.0
"""The time that a TTL policy has to remove a document after its retention; then the sweep does, for
a read more."""

_WRITTEN_ONCE = (
    *("payload", "attributes", "ordering_key", "options", "source", "owner", "unique"),
    *("limit_key", "in_order", "lane", "batch", "parent"),
)
_CHANGING = (
    *("due", "expires", "visit", "fence", "attempts", "interruptions", "lease"),
    *("cancel_requested", "event_due", "result", "error", "progress"),
)
_JSON = ("attributes", "options", "error", "progress")
CHANGING = (
    *("state", "live", "ended", "sweep", "remove", "limit", "ready", "live_in"),
    *(f"data.{name}" for name in (*_CHANGING, "history", "writer")),
)
"""The paths of the fields that a change of a row writes."""
_FOR_SWEEP = ("due", "expires", "visit", "lease", "fence", "attempts", "interruptions", "event_due")
SWEEP = (
    *("app", "task", "id", "state", "created", "remove"),
    *(f"data.{name}" for name in (*_FOR_SWEEP, "lane", "batch", "options", "unique", "writer")),
)
"""The paths of the fields that the sweep reads: payloads and results of many rows may be large."""
VISIT = ("sweep", "remove", "data.visit", "data.event_due", "data.writer")
"""The paths of the fields that a visit of the sweep writes."""


def document_id(*parts: str) -> str:
    """Return the id of a document: hashed, so that neighbours in time aren't neighbours there."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def fields_of(row: Row, writer: str) -> dict[str, Any]:
    """Return the fields of a job's document.

    Args:
        writer: a name of this write, so that a repeated one knows itself.
    """
    id = document_id(*row.key)
    data = {name: getattr(row, name) for name in (*_WRITTEN_ONCE, *_CHANGING)}
    for name in _JSON:
        if data[name] is not None:
            data[name] = json.dumps(dict(data[name]), ensure_ascii=False)
    fields = {
        **row.key._asdict(),
        "state": row.state.value,
        "created": row.created,
        "shard": int(id[:4], 16) % SHARDS,
        "data": data | {"history": row.log, "writer": writer},
    }
    if row.batch is not None:
        fields["batch"] = batch_id(row.key.app, row.batch)
    if row.parent is not None:
        fields["parent"] = parent_id(row.key.app, row.parent)
    is_kept = references(row) or row.batch is not None
    if row.event_due or (row.state.is_completed and is_kept):  # no policy may remove it
        return fields | {"ended": id, "sweep": row.visit}
    if row.state.is_completed:
        removal = Timestamp(row.visit)
        return fields | {"ended": id, "sweep": row.visit + TTL_GRACE_SECONDS, "remove": removal}
    live = {} if row.batch is None else {"live_in": fields["batch"]}
    return fields | {"live": id, "sweep": row.visit} | live | _limited(row)


def _limited(row: Row) -> dict[str, Any]:
    """Return the fields by which a live job's limit is checked: its key, and when it may start."""
    if row.limit_key is None:
        return {}
    due = row.due if row.due > row.created else 0.0  # at once, also by a clock that lags
    ready = {State.PENDING: due, State.STARTED: row.lease}.get(row.state)
    return {"limit": limit_id(row.key, row.limit_key), "ready": ready}


def step_path(name: str) -> str:
    """Return the path of a step in a job's document."""
    return f"data.steps.s{document_id(name)}"


def step_fields(step: Step, writer: str) -> dict[str, Any]:
    """Return the fields that the write of a step has; see `fields_of`."""
    (*_, id) = step_path(step.name).split(".")
    return {"data": {"steps": {id: step._asdict()}, "writer": writer}}


def steps_of(fields: Mapping[str, Any]) -> list[Step]:
    """Return the steps in a job's document, the earliest first."""
    steps = (Step(**values) for values in fields["data"].get("steps", {}).values())
    return sorted(steps, key=lambda step: (step.time, step.name))


def row_of(fields: Mapping[str, Any]) -> Row:
    """Return the row of a job's document; one that the sweep reads has no payload."""
    data = dict(fields["data"])
    del data["writer"]
    data.pop("steps", None)
    for name in _JSON:
        if data.get(name) is not None:
            data[name] = json.loads(data[name])
    return Row(
        key=Key(fields["app"], fields["task"], fields["id"]),
        payload=data.pop("payload", b""),
        state=State(fields["state"]),
        created=fields["created"],
        log=data.pop("history", "[]"),
        **data,
    )


def is_forgotten(row: Row, now: float) -> bool:
    """Return True if the retention of a job has ended: a TTL policy removes documents later.

    Args:
        now: in epoch seconds.
    """
    is_kept = row.event_due or row.batch is not None  # until the sweep has looked at it
    return row.state.is_completed and row.visit <= now and not is_kept


def key_id(key: Key, unique: str) -> str:
    """Return the id of the document of a unique key."""
    return document_id(key.app, key.task, unique)


def batch_id(app: str, batch: str) -> str:
    """Return the value of a batch by which its members are found."""
    return document_id(app, batch, "batch")


def parent_id(app: str, parent: str) -> str:
    """Return the value of a job by which its children are found."""
    return document_id(app, parent, "parent")


def limit_id(key: Key, limit_key: str) -> str:
    """Return the id of a limit's key, and of the document that guards it."""
    return document_id(key.app, key.task, limit_key, "limit")
