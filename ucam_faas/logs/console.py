"""Log lines for people: time, event, task, and the rest.

The line of an execution has a word for its outcome where others have their severity. What does not
fit into the terminal goes on below, indented: only a log line begins at the left edge.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from ucam_faas.logs.columns import INDENT, fold, paragraph, printable
from ucam_faas.logs.context import LogContext
from ucam_faas.logs.links import linked, path_of
from ucam_faas.logs.records import context_of, fields_of, message_of, readable
from ucam_faas.logs.sentences import SENTENCES
from ucam_faas.logs.times import with_local_times
from ucam_faas.logs.tracebacks import name_of, render

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_WORDS = {
    "done": "done",
    "ignore": "ignored",
    "paused": "paused",
    "sleeping": "asleep",
    "timed_out": "timed out",
    "invalid_payload": "rejected",
}
"""Of outcomes; all others are `failed`, or `crashed` with a traceback."""
_NOTES = {"dead_lettered": "dead-lettered", "retry": "asks for a retry"}
_TOLD = (
    *("execution_info", "execution_id", "duration_seconds", "task", "outcome", "reason"),
    *(
        "job_id",
        "subscription",
        "message_id",
        "delivery_attempt",
        "http_status",
        "request",
        "messages",
        "outcomes",
        "stack",
    ),
)
"""Fields that the line of an execution says in words, or elsewhere."""
_STANDARD = (
    "execution",
    "execution_id",
    "cloudevents",
    "cloud_event_handler",
    "pubsub_message",
    "message_handler",
)


class ConsoleFormatter(logging.Formatter):
    """One line for each record; its details below, indented.

    Args:
        texts: show the texts of exceptions.
        colours: use ANSI escapes.
        links: URL of a dashboard; the word of a line links to the page of its job, message or
            execution. None if it is empty.
        columns: returns how many columns there are now; None: as many as a line takes.
    """

    def __init__(
        self,
        *,
        texts: bool,
        colours: bool,
        links: str = "",
        columns: Callable[[], int | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.links = links
        self.texts = texts
        self.colours = colours
        self.columns = columns

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields, context, columns = fields_of(record), context_of(record), self.columns()
        seconds = fields.get("duration_seconds")
        ours = record.name == "ucam_faas" and "outcome" in fields and isinstance(seconds, float)
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        word = _word(record, fields) if ours else record.levelname
        about = ""
        if context is not None or "task" in fields:
            about = printable(context.task if context else readable(fields["task"])) + "  "
        message, *more = message_of(record).split("\n")
        if record.name == "ucam_faas":
            message = SENTENCES.get(message, message)
        parts = [self._execution(record, fields) if ours else printable(message)]
        parts += _pairs(fields, _TOLD if ours else ("task", "stack"))
        expected = getattr(record, "expected", None)
        if isinstance(expected, BaseException) and not ours:
            parts.append(printable(name_of(expected, texts=self.texts)))
        if ours:
            parts += self._of_info(fields.get("execution_info"))
        # As wide as the severities, and the outcomes of the stream of `ucam-faas dev`.
        head = f"{time}  {word:<9} {about}"
        text = "  ".join(parts)
        lines = (
            [text] if columns is None else fold(text, columns - INDENT, room=columns - len(head))
        )
        painted = self._paint(word, _COLOURS.get(record.levelname, "0"))
        if self.links and (path := _page(fields, context)):
            painted = linked(painted, self.links + path)
        painted += " " * (10 - len(word))
        lines[0] = f"{self._paint(time, '2')}  {painted}{self._paint(about, '36')}{lines[0]}"
        below = [*lines[1:], *more, *_stack(fields)]
        if record.exc_info and record.exc_info[1] is not None:
            below.append(render(record.exc_info[1], texts=self.texts))
        return "\n".join([lines[0], *(paragraph(text, columns) for text in below)])

    def _execution(self, record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
        """Return the event, then how long it took, and why."""
        seconds = fields["duration_seconds"]
        facts = [
            readable(fields["request"]) if "request" in fields else "",
            _subject(fields),
            f"attempt {fields['delivery_attempt']}" if fields.get("delivery_attempt") else "",
            "" if "job_id" in fields else _elsewhere(fields),
            f"status {fields['http_status']}" if "http_status" in fields else "",
            _NOTES.get(fields["outcome"], ""),
            f"took {seconds * 1000:.1f} ms" if seconds < 1 else f"took {seconds:.1f} s",
        ]
        why = fields.get("reason") or ""
        if fields["outcome"] == "sleeping":
            why = with_local_times(readable(why))
        expected = getattr(record, "expected", None)
        if isinstance(expected, ValidationError) and self.texts:
            why = _explain(expected)
        elif isinstance(expected, BaseException):
            why = name_of(expected, texts=self.texts).removeprefix("ucam_faas.exceptions.")
        return printable(", ".join(filter(None, facts)) + (f": {readable(why)}" if why else ""))

    def _of_info(self, info: object) -> list[str]:
        """Return the fields of the user's own ExecutionInfo, and of its message if it is there."""
        if not isinstance(info, Mapping):
            return []
        message = info.get("pubsub_message")
        payload = {}
        if isinstance(message, Mapping):
            payload = {name: message.get(name) for name in ("data", "attributes", "ordering_key")}
            payload["data"] = _decoded(payload["data"])
        return [*_pairs(payload, ()), *_pairs(info, _STANDARD)]

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colours and text else text


def _word(record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
    if record.exc_info:
        return "crashed"
    return _WORDS.get(readable(fields["outcome"]), "failed")


def _page(fields: Mapping[str, Any], context: LogContext | None) -> str:
    """Return the path of a line's page in the dashboard, or nothing."""
    task, job, message = (
        readable(fields.get(key) or "") for key in ("task", "job_id", "message_id")
    )
    if job and task:
        return path_of("jobs", task, job)
    if message:
        return path_of("messages", message)
    return path_of("runs", context.execution_id) if context else ""


def _subject(fields: Mapping[str, Any]) -> str:
    """Name the job, or the message, or count those of a batch."""
    if "messages" in fields:
        ends = fields["outcomes"]
        shown = ", ".join(f"{number} {name}" for name, number in ends.items())
        count = fields["messages"]
        return f"{count} message{'s' * (count != 1)}" + f" ({shown})" * (len(ends) > 1)
    for name in ("job", "message"):
        if fields.get(f"{name}_id"):
            return f"{name} {readable(fields[f'{name}_id'])}"
    return ""


def _decoded(data: object) -> object:
    """Return a message's data, which are base64 in JSON, as text if they are that."""
    try:
        return base64.b64decode(readable(data), validate=True).decode()
    except ValueError:
        return data


def _elsewhere(fields: Mapping[str, Any]) -> str:
    """Name the subscription, unless it is the one that is named after the task."""
    name = readable(fields.get("subscription") or "").rpartition("/")[2]
    return "" if name.removesuffix("-dev") in ("", fields["task"]) else f"from {name}"


def _pairs(fields: Mapping[str, Any], left_out: tuple[str, ...]) -> list[str]:
    shown = {
        readable(key): printable(readable(value))
        for key, value in fields.items()
        if key not in left_out and value is not None
    }
    return [f"{key}={value}" for key, value in shown.items() if value]


def _stack(fields: Mapping[str, Any]) -> list[str]:
    """Return where an abandoned thread is."""
    return [fields["stack"].rstrip("\n")] if isinstance(fields.get("stack"), str) else []


def _explain(error: ValidationError) -> str:
    """Return a model's errors in pydantic's words: for a terminal, since it quotes values."""
    details = error.errors(include_url=False)
    parts = []
    for item in details[:5]:
        where = ".".join(map(str, item["loc"])) or "(whole)"
        quoted = (
            "" if item["type"] in ("missing", "json_invalid") else f", not {item['input']!r:.80}"
        )
        parts.append(f"{where}: {item['msg']}{quoted}")
    more = f" and {len(details) - 5} more" if len(details) > 5 else ""
    return "; ".join(parts) + more
