"""Log lines for people: time, severity, task, what happened, and the fields that matter."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ucam_faas._records import context_of, fields_of, message_of, readable
from ucam_faas._tracebacks import name_of, render

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_LEFT_OUT = ("execution_info", "execution_id", "duration_seconds", "task", "outcome")
_STANDARD = (
    "execution",
    "execution_id",
    "cloudevents",
    "cloud_event_handler",
    "pubsub_message",
    "message_handler",
)


class ConsoleFormatter(logging.Formatter):
    """One line for each record, and tracebacks below.

    Args:
        texts: show what exceptions say.
        colours: use ANSI escapes.
    """

    def __init__(self, *, texts: bool, colours: bool) -> None:
        super().__init__()
        self.texts = texts
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields, context = fields_of(record), context_of(record)
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        parts = [
            self._paint(time, "2"),
            self._paint(f"{record.levelname:<8}", _COLOURS.get(record.levelname, "0")),
        ]
        if context is not None or "task" in fields:
            parts.append(self._paint(context.task if context else readable(fields["task"]), "36"))
        seconds = fields.get("duration_seconds")
        ours = record.name == "ucam_faas" and "outcome" in fields and isinstance(seconds, float)
        took = f"{seconds * 1000:.1f} ms" if isinstance(seconds, float) else ""
        parts.append(f"{fields['outcome']} in {took}" if ours else _plain(message_of(record)))
        expected = getattr(record, "expected", None)
        if isinstance(expected, BaseException):
            parts.append(_printable(name_of(expected, texts=self.texts)))
        left_out = _LEFT_OUT if ours else ("task",)
        parts += self._pairs(fields, left_out)
        if ours:
            parts += self._pairs(fields.get("execution_info") or {}, _STANDARD)
        line = "  ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + _plain(render(record.exc_info[1], texts=self.texts))
        return line

    def _pairs(self, fields: Mapping[str, Any], left_out: tuple[str, ...]) -> list[str]:
        shown = {
            readable(key): _printable(readable(value))
            for key, value in fields.items()
            if key not in left_out and value is not None
        }
        return [f"{self._paint(key, '2')}={value}" for key, value in shown.items() if value]

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colours else text


def _plain(text: str) -> str:
    """Escape what would steer a terminal, in a text of several lines."""
    return "\n".join(map(_printable, text.replace("\t", "    ").split("\n")))


def _printable(text: str) -> str:
    """Escape what would end a line or steer a terminal: fields may come from a request."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
