"""A handler that writes each log record for the history, in the process of the tasks.

It packs the few values that a history keeps: a line as JSON would take three times as long to make.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic_core import to_json

from ucam_faas.events.context import CLOUD_EVENT_CONTEXT
from ucam_faas.history.events import LOGGED, Row, pack
from ucam_faas.logs.records import context_of, fields_of, message_of, readable
from ucam_faas.logs.tracebacks import name_of, render
from ucam_faas.logs.writer import BackgroundHandler

ENDS = {
    "ucam_faas_function_completed": False,
    "ucam_faas_function_aborted": True,
    "function_failed_gracefully": True,
    "function_failed_uncaught_exception": True,
}
"""The messages of lines that say how an execution ended, and whether it failed."""
PIECE_BYTES = 100_000
PAUSE_SECONDS = 0.05
"""Between two writes: a thread that wakes costs as much as several lines."""
MOST_ATTEMPTS = 1_000_000
"""That are told apart: a request may claim any number."""
_PLACED = {
    *("task", "outcome", "execution_id", "job_id", "message_id", "subscription", "reason"),
    *("delivery_attempt", "duration_seconds", "execution_info", "request"),
}
_USUAL = {
    *("execution", "execution_id", "cloudevents", "cloud_event_handler", "pubsub_message"),
    "message_handler",
}
"""Fields of an execution's report that its run or its message has."""


class LineHandler(BackgroundHandler):
    """Hands each record over to the process that writes the history, and never waits for it.

    Args:
        descriptor: that the process reads.
        job_id: returns the id of the job that runs in this context; "": none does.
    """

    def __init__(self, descriptor: int, job_id: Callable[[], str] = str) -> None:
        super().__init__(descriptor, piece_bytes=PIECE_BYTES, batch_seconds=PAUSE_SECONDS)
        self._job_id = job_id

    def _line(self, record: logging.LogRecord) -> bytes:
        return pack([row_of_line(record, self._job_id)])


def row_of_line(record: logging.LogRecord, job_id: Callable[[], str] = str) -> Row:
    """Return a record as the row of a `Logged`."""
    fields = fields_of(record)
    if record.msg in ENDS and record.name == "ucam_faas" and "outcome" in fields:
        return _end(record, fields)
    context = context_of(record)
    error = record.exc_info[1] if record.exc_info else None
    traceback = "" if error is None else render(error, texts=True)
    line = (LOGGED, record.created, record.levelname, message_of(record))
    more = (_json(fields), traceback, None)
    if context is None:
        return (*line, "", "", "", "", "", 0, *more)
    event = CLOUD_EVENT_CONTEXT.get(None)
    message_id = subscription = ""
    if event is not None and event.attributes.event_source.startswith("//pubsub."):
        message_id = event.attributes.event_id
        _, _, subscription = event.attributes.event_source.partition("/subscriptions/")
    ids = (context.task, context.execution_id, message_id, subscription, job_id())
    return (*line, *ids, 0, *more)


def _end(record: logging.LogRecord, fields: dict[str, Any]) -> Row:
    get = fields.get
    text = kind = traceback = ""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        traceback = render(error, texts=True)
    else:
        error = getattr(record, "expected", None)
    if error is not None:
        text = name_of(error, texts=True)
        kind = name_of(error, texts=False).partition(":")[0]
    reason = (traceback and text) or get("reason") or text
    seconds = get("duration_seconds") or 0.0
    return (
        LOGGED, record.created, record.levelname, record.msg, fields["task"],
        fields["execution_id"], get("message_id") or "",
        (get("subscription") or "").rpartition("/")[2], get("job_id") or "",
        min(get("delivery_attempt") or 0, MOST_ATTEMPTS), _unusual(fields), traceback,
        (fields["outcome"], reason, kind, seconds, ENDS[record.msg]),
    )  # fmt: skip


def _unusual(fields: dict[str, Any]) -> str:
    """Return the JSON of an end's fields that neither its run nor its message has; "": none."""
    report = fields.get("execution_info")
    if not isinstance(report, dict):
        report = {}
    if fields.keys() <= _PLACED and report.keys() <= _USUAL:
        return ""
    more = {name: value for name, value in fields.items() if name not in _PLACED}
    return _json(more | {name: value for name, value in report.items() if name not in _USUAL})


def _json(fields: dict[str, Any]) -> str:
    if not fields:
        return ""
    try:
        return to_json(fields, fallback=readable, inf_nan_mode="null").decode()
    except Exception:  # circles, keys that aren't text
        return to_json({readable(key): readable(value) for key, value in fields.items()}).decode()
