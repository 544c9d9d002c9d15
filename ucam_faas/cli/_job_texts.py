"""A job for people. Payloads, results and tracebacks are shown only on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from ucam_faas.actions.job_documents import payload_bytes, payload_text, result_of, step_name
from ucam_faas.actions.job_texts import error_text, progress
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
        lines += [f"{_clock_time(step.time)}  {step_name(step)}" for step in steps[-MOST_STEPS:]]
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


def _data(row: Row, *, data: bool) -> str:
    if data:
        return printable(payload_text(row))
    size = payload_bytes(row)
    return f"{size} byte{'s' * (size != 1)}; --data shows them" if size else ""


def _clock_time(time: float) -> str:
    return datetime.fromtimestamp(time).strftime("%H:%M:%S.%f")[:-3]
