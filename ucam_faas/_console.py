"""Log lines for people: time, severity, message and the fields that matter."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from ucam_faas._tracebacks import render
from ucam_faas.context import LOG_CONTEXT, LogContext

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_LEFT_OUT = ("execution_info", "execution_id", "duration_seconds", "task", "outcome")


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
        fields: dict[str, Any] = getattr(record, "fields", {})
        context: LogContext | None = getattr(record, "context", None) or LOG_CONTEXT.get()
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        task = fields.get("task") or (context.task if context else "")
        parts = [
            self._paint(time, "2"),
            self._paint(f"{record.levelname:<8}", _COLOURS.get(record.levelname, "0")),
        ]
        if task:
            parts.append(self._paint(str(task), "36"))
        if "outcome" in fields and "duration_seconds" in fields:
            parts.append(f"{fields['outcome']} in {fields['duration_seconds'] * 1000:.1f} ms")
        else:
            parts.append(record.getMessage())
        shown = [(key, value) for key, value in fields.items() if key not in _LEFT_OUT]
        parts += [
            f"{self._paint(key, '2')}={value}" for key, value in shown if value not in (None, "")
        ]
        line = "  ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + render(record.exc_info[1], texts=self.texts)
        return line

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colours else text
