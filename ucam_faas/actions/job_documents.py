"""Jobs as JSON. Payloads, results and tracebacks are shown only on request."""

from __future__ import annotations

import json
from typing import Any

from ucam_faas.jobs.payloads.references import of_payload, of_result
from ucam_faas.jobs.rows import Entry, Row, Step
from ucam_faas.logs.columns import printable
from ucam_faas.logs.times import utc_text


def as_json(row: Row, *, data: bool = False, traceback: bool = False) -> dict[str, Any]:
    """Return a job as JSON.

    Args:
        row: the job.
        data: with its payload, attributes and result.
        traceback: with that of its last error.
    """
    document: dict[str, Any] = {
        "id": row.key.id,
        "task": row.key.task,
        "app": row.key.app,
        "lane": row.lane,
        "batch": row.batch,
        "parent": row.parent,
        "state": row.state,
        "sent": utc_text(row.created),
        "due": utc_text(row.due),
        "expires": utc_text(row.expires),
        "executions": row.executions,
        "failed_attempts": row.attempts,
        "interruptions": row.interruptions,
        "cancel_requested": row.cancel_requested,
        "progress": row.progress,
        "error": _error(row, traceback=traceback),
        "payload_bytes": payload_bytes(row),
        "history": [_entry(entry) for entry in row.history],
    }
    if data:
        document |= {
            "payload": payload_text(row),
            "attributes": dict(row.attributes),
            "ordering_key": row.ordering_key,
            "result": result_of(row),
        }
    return document


def result_of(row: Row) -> Any:
    """Return a job's result, as JSON has it, or its object; None: it has none, or it is null."""
    reference = of_result(row)
    if reference is not None:
        return {"object": reference.name, "bytes": reference.size}
    return None if row.result is None else json.loads(row.result)


def payload_text(row: Row) -> str:
    """Return a job's payload as text, or where it is kept."""
    reference = of_payload(row)
    if reference is not None:
        return f"{reference.size} bytes in the payload store, as {reference.name}"
    return row.payload.decode("utf-8", "backslashreplace")


def payload_bytes(row: Row) -> int:
    """Return the size of a job's payload, wherever it is kept."""
    reference = of_payload(row)
    return len(row.payload) if reference is None else reference.size


def step_as_json(step: Step) -> dict[str, Any]:
    """Return a step as JSON, without its result."""
    return {"name": step_name(step), "time": utc_text(step.time), "bytes": len(step.value)}


def _error(row: Row, *, traceback: bool) -> dict[str, Any] | None:
    if row.error is None:
        return None
    names = ["type", "message", "summary", "fingerprint", *["traceback"] * traceback]
    return {name: row.error.get(name) for name in names}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "time": utc_text(entry.time),
        "state": entry.state,
        "cause": entry.cause,
        "execution": entry.execution,
        "instance": entry.instance,
        "message": entry.message,
    }


def step_name(step: Step) -> str:
    """Return a step's name for people."""
    return printable(step.name) if step.name else "(cursor)"
