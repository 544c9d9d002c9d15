"""Tools about messages and their attempts, from the history of `ucam-faas dev`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from ucam_faas.backends.ports import Backends
from ucam_faas.clock import SystemClock
from ucam_faas.dead_letters.documents import attributes_json
from ucam_faas.history.reader import History
from ucam_faas.history.rows import Line, Message, MessageRow, MessageState, Run
from ucam_faas.logs.times import utc_text
from ucam_faas.mcp.tools import Limit, Tool, ToolError, check_task, look, payload, reject_values

LINES = 50
"""Log lines of an attempt that a tool shows: the first ones."""


class ListMessages(Tool):
    """List messages, the latest first, once for each task that reads them.

    `state` is `unread` (no task takes it), `waiting`, `running`, `done`, `failed` (it will be tried
    again) or `dead_lettered`.
    """

    task: str | None = None
    """Name of the task that reads the messages; null: any."""
    topic: str | None = None
    """Topic that the messages were published to, as list_messages shows it; null: any."""
    state: MessageState | None = None
    """How far the messages are; null: in any state."""
    text: str | None = None
    """Words that the payload, the ordering key or the attributes contain."""
    attribute: str | None = None
    """An attribute that the messages have, as `name=value`."""
    within_minutes: Annotated[float, Field(gt=0)] | None = None
    """Only messages published within so many minutes from now; null: all that are kept."""
    before: Annotated[int, Field(ge=0, le=2**62)] | None = None
    """For the next page: `next_before` of the page before."""
    limit: Limit = 20

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the messages."""
        history = _history(backends)
        reject_values(backends, self.text, self.attribute)
        since = None
        if self.within_minutes is not None:
            since = SystemClock().now().timestamp() - self.within_minutes * 60
        rows = history.messages(
            task=self.task,
            topic=self.topic,
            state=self.state,
            since=since,
            attribute=self.attribute,
            text=self.text,
            before=self.before,
            limit=self.limit,
        )
        check_task(backends, self.task, rows)
        return {
            "messages": [_row(row, hidden=backends.hides_payloads) for row in rows],
            "next_before": rows[-1].key if len(rows) == self.limit else None,
        }


class ExplainMessage(Tool):
    """Show why a message failed, or how far it is: each attempt with its outcome, log lines and
    traceback, its dead letter and replays, and its payload.
    """

    message_id: str
    """Id of the message, as publish and list_messages return it."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the life of the message."""
        history, hidden = _history(backends), backends.hides_payloads
        message = history.message(self.message_id)
        if message is None:
            raise ToolError(
                f"The history has no message {self.message_id!r}. It keeps some days, or some "
                "megabytes; list_messages lists those that it has."
            )
        readers = [row for row in history.deliveries(message.id) if row.subscription is not None]
        runs = history.message_runs(message.id)
        return {
            "message_id": message.id,
            "readers": [_row(row, hidden=hidden) for row in readers],
            "attempts": [_run(run, history, hidden=hidden) for run in runs],
            **_content(message, hidden=hidden),
            **_letters(backends, message.id),
        }


def _history(backends: Backends) -> History:
    if backends.history is None:
        raise ToolError(
            backends.notice
            or "No history of messages is kept here: Pub/Sub itself keeps none, "
            "and `ucam-faas dev --memory` neither."
        )
    return backends.history


def _row(row: MessageRow, *, hidden: bool) -> dict[str, Any]:
    """Return a message in a list; its reason quotes the exception."""
    document = asdict(row) | {"time": utc_text(row.time)}
    del document["key"]  # of the row, and not the ordering key
    return document | ({"reason": "(hidden)"} if hidden and row.reason else {})


def _run(run: Run, history: History, *, hidden: bool) -> dict[str, Any]:
    lines = [] if hidden or not run.execution_id else history.lines(run.execution_id, limit=LINES)
    names = ("execution_id", "task", "attempt", "outcome", "status", "error_type", "failed")
    return {
        **{name: getattr(run, name) for name in names},
        "reason": "(hidden)" if hidden and run.reason else run.reason,
        "began": utc_text(run.began),
        "seconds": None if run.ended is None else round(run.ended - run.began, 3),
        "log_lines": list(map(_line, lines)),
    }


def _line(line: Line) -> dict[str, Any]:
    document: dict[str, Any] = {
        "time": utc_text(line.time),
        "severity": line.severity,
        "message": line.message,
    }
    if line.fields:
        document["fields"] = line.fields
    if line.traceback:
        document["traceback"] = line.traceback
    return document


def _content(message: Message, *, hidden: bool) -> dict[str, Any]:
    return {
        "published": utc_text(message.time),
        "topic": message.topic,
        "attributes": attributes_json(message.attributes, reveal=not hidden),
        "ordering_key": "(hidden)" if hidden and message.key else message.key,
        "payload": payload(message.data, hidden=hidden),
    }


def _letters(backends: Backends, message_id: str) -> dict[str, Any]:
    if backends.workbench is None:
        return {}
    look(backends, backends.workbench)
    return {"dead_letters": backends.workbench.find(message_id)}
