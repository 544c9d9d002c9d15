"""A job as JSON, and for people. Payloads, results and tracebacks are shown only on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ucam_faas.actions.job_texts import error_text, progress
from ucam_faas.jobs.payloads.references import of_payload, of_result
from ucam_faas.jobs.rows import Entry, Row, Step
from ucam_faas.jobs.states import State
from ucam_faas.logs.columns import printable
from ucam_faas.logs.durations import duration_text
from ucam_faas.logs.times import time_text, with_local_times
from ucam_faas.tasks.lanes import DEFAULT_LANE

COLOURS = {
    State.SUCCESS: "green",
    State.FAILURE: "red",
    State.EXPIRED: "red",
    State.CANCELLED: "yellow",
    State.PAUSED: "yellow",
}
MOST_STEPS = 20
"""The latest steps that `details` shows."""
HEADINGS = ("JOB", "TASK", "STATE", "SENT", "RUNS", "NOTE")


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
        "sent": _utc(row.created),
        "due": _utc(row.due),
        "expires": _utc(row.expires),
        "executions": row.executions,
        "failed_attempts": row.attempts,
        "interruptions": row.interruptions,
        "cancel_requested": row.cancel_requested,
        "progress": row.progress,
        "error": _error(row, traceback=traceback),
        "payload_bytes": _payload_bytes(row),
        "history": [_entry(entry) for entry in row.history],
    }
    if data:
        document |= {
            "payload": _payload_text(row),
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


def _payload_text(row: Row) -> str:
    reference = of_payload(row)
    if reference is not None:
        return f"{reference.size} bytes in the payload store, as {reference.name}"
    return row.payload.decode("utf-8", "backslashreplace")


def _payload_bytes(row: Row) -> int:
    reference = of_payload(row)
    return len(row.payload) if reference is None else reference.size


def columns(row: Row, now: float) -> tuple[str, ...]:
    """Return a job's texts below HEADINGS."""
    sent = f"{duration_text(max(0.0, now - row.created))} ago"
    runs = str(row.executions) if row.executions else ""
    return (row.key.id, _task(row), str(row.state), sent, runs, note(row, now))


def _task(row: Row) -> str:
    """Return the name of a job's task, with its lane if it isn't `default`."""
    return row.key.task if row.lane == DEFAULT_LANE else f"{row.key.task}/{row.lane}"


def note(row: Row, now: float) -> str:
    """Return the one thing worth knowing beside a job's state, if there is any."""
    if row.state is State.PENDING and row.due > now:
        text = "runs again in" if row.executions else "starts in"
        return f"{text} {duration_text(row.due - now)}"
    if row.cancel_requested:
        return "cancellation requested"
    if row.is_waiting_callback:
        return "waits for its batch"
    if row.state is State.PAUSED:
        return f"waits for: ucam-faas jobs resume {row.key.id}"
    if row.state is State.STARTED and row.progress:
        return progress(row.progress)
    if row.state in (State.FAILURE, State.CANCELLED):
        return _cause(row)
    return ""


def details(
    row: Row,
    now: float,
    steps: Sequence[Step],
    members: Mapping[State, int],
    *,
    data: bool,
    traceback: bool,
) -> str:
    """Return a job for people, with its history and its steps; see `as_json`.

    Args:
        members: the number of jobs in each state, of the batch whose callback it is.
    """
    lines = [f"{row.key.id} of {_task(row)}: {row.state}"]
    facts = [
        ("sent", f"{time_text(row.created)}, {duration_text(max(0.0, now - row.created))} ago"),
        ("note", "" if (beside := note(row, now)) in _shown(row) else beside),
        ("batch", row.batch or ""),
        ("sent by", row.parent or row.source),
        ("members", ", ".join(f"{members[state]} {state}" for state in State if state in members)),
        ("runs", f"{row.executions}, {row.attempts} failed" if row.executions else ""),
        ("progress", progress(row.progress) if row.progress else ""),
        ("error" if row.state is State.FAILURE else "last error", error_text(row)),
        ("cause", f"{mark}  {_cause(row)}" if (mark := _fingerprint(row)) else ""),
        ("expires", time_text(row.expires) if row.expires is not None else ""),
        ("payload", _data(row, data=data)),
    ]
    if data:
        attributes = json.dumps(dict(row.attributes), ensure_ascii=False)
        facts += [("attributes", attributes if row.attributes else "")]
        facts += [("result", json.dumps(result_of(row)) if row.result is not None else "")]
    lines += [f"{name:<12}{text}" for name, text in facts if text]
    lines += ["", *(entry_text(entry) for entry in row.history)]
    if steps:
        earlier = len(steps) - MOST_STEPS
        lines += ["", f"{len(steps)} step{'s' * (len(steps) != 1)}"]
        lines += [f"{'…':<14}{earlier} earlier"] if earlier > 0 else []
        lines += [f"{_clock_time(step.time)}  {_step_name(step)}" for step in steps[-MOST_STEPS:]]
    if traceback and row.error and row.error.get("traceback"):
        lines += ["", str(row.error["traceback"]).rstrip()]
    return "\n".join(lines)


def _shown(row: Row) -> tuple[str, str]:
    """Return notes that `details` has in lines of their own."""
    return progress(row.progress) if row.progress else "", _cause(row)


def _fingerprint(row: Row) -> str:
    """Return that of the last error; earlier versions made none."""
    return printable(str((row.error or {}).get("fingerprint", "")))


def _cause(row: Row) -> str:
    """Return the last error without its message: `KeyError at shop.orders.price`."""
    error = row.error or {}
    return printable(str(error.get("summary") or error.get("type", "")))


def entry_text(entry: Entry) -> str:
    """Return a line of a history for people."""
    run = f", run {entry.execution}" if entry.execution else ""
    message = f": {printable(entry.message)}" if entry.message else ""
    if entry.cause == "sleeping":
        message = with_local_times(message)
    return f"{_clock_time(entry.time)}  {entry.state:<9} {entry.cause}{run}{message}"


def step_as_json(step: Step) -> dict[str, Any]:
    """Return a step as JSON, without its result."""
    return {"name": _step_name(step), "time": _utc(step.time), "bytes": len(step.value)}


def _step_name(step: Step) -> str:
    return printable(step.name) if step.name else "(cursor)"


def _data(row: Row, *, data: bool) -> str:
    if data:
        return printable(_payload_text(row))
    size = _payload_bytes(row)
    return f"{size} byte{'s' * (size != 1)}; --data shows them" if size else ""


def _error(row: Row, *, traceback: bool) -> dict[str, Any] | None:
    if row.error is None:
        return None
    names = ["type", "message", "summary", "fingerprint", *["traceback"] * traceback]
    return {name: row.error.get(name) for name in names}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "time": _utc(entry.time),
        "state": entry.state,
        "cause": entry.cause,
        "execution": entry.execution,
        "instance": entry.instance,
        "message": entry.message,
    }


def _clock_time(time: float) -> str:
    return datetime.fromtimestamp(time).strftime("%H:%M:%S.%f")[:-3]


def _utc(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat()
