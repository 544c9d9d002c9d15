"""The rows that a `Ledger` only adds: messages, lines of the log, events and counters."""

from __future__ import annotations

import sqlite3
from operator import itemgetter

from ucam_faas.history.database import SPANS
from ucam_faas.history.events import Logged
from ucam_faas.history.rows import EventKind
from ucam_faas.history.tables import Delivery, Run

PUBLISHED, DONE, FAILED, DEAD_LETTERED = range(4)
"""The columns of counters, in their order."""
_COUNTED = ("published", "done", "failed", "dead_lettered")
_PUT_COUNTER = (
    "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTED)
)


class Entries:
    """The entries of a batch.

    Args:
        database: see `open_for_writing`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._messages: list[tuple[object, ...]] = []
        self._lines: list[tuple[object, ...]] = []
        self._events: list[tuple[float, EventKind, Delivery | Run | None, tuple[str, ...]]] = []
        self._counts: dict[tuple[int, str], list[int]] = {}
        self._dropped = 0
        self._last_message = last_number(database, "messages")
        self._last_line = last_number(database, "lines")
        self._last_event = last_number(database, "events")

    @property
    def is_waiting(self) -> bool:
        """There are failures without their lines."""
        return bool(self._events)

    def message(
        self, message_id: str, time: float, topic: str, key: str, attributes: str, data: bytes
    ) -> int:
        """Add a message, and return its number."""
        self._last_message += 1
        self._messages.append((self._last_message, message_id, time, topic, key, attributes, data))
        return self._last_message

    def line(self, line: Logged) -> None:
        """Add a line of the log."""
        self._last_line += 1
        about = (line.execution_id, line.time, line.task, line.severity, line.message)
        self._lines.append((self._last_line, *about, line.fields or "{}", line.traceback))

    def event(
        self, time: float, kind: EventKind, about: Delivery | Run | None, *texts: str
    ) -> None:
        """Add an event.

        Args:
            time: in epoch seconds.
            kind: of event.
            about: the delivery or run that it is about.
            texts: task, message, job and text; of a delivery, the text; of a run, none.
        """
        self._events.append((time, kind, about, texts))

    def count(self, time: float, task: str, what: int, by: int = 1) -> None:
        """Count one of `PUBLISHED`, `DONE`, `FAILED` and `DEAD_LETTERED`."""
        counts = self._counts.setdefault((int(time) // 60, task), [0, 0, 0, 0])
        counts[what] += by

    def dropped(self, number: int) -> None:
        """Count events that were dropped."""
        self._dropped += number

    def write(self) -> None:
        """Write the entries, in the transaction that has begun."""
        many = self._db.executemany
        many("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", self._messages)
        many("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._lines)
        many("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", self._event_rows())
        many(_PUT_COUNTER, self._counter_rows())
        if self._dropped:
            statement = "UPDATE facts SET value = value + ? WHERE name = 'dropped'"
            self._db.execute(statement, (self._dropped,))

    def forget(self, *, is_written: bool) -> None:
        """Begin the next batch; with the failures that wait, if the others were written."""
        self._messages.clear()
        self._lines.clear()
        self._counts.clear()
        self._dropped = 0
        if not is_written:
            self._events.clear()

    def _counter_rows(self) -> list[tuple[object, ...]]:
        return [
            (span, minute * 60 // span * span, task, *counts)
            for (minute, task), counts in self._counts.items()
            for span in SPANS
        ]

    def _event_rows(self) -> list[tuple[object, ...]]:
        rows = []
        events, self._events = self._events, []
        events.sort(key=itemgetter(0))
        for time, kind, about, texts in events:
            if isinstance(about, Run):
                if kind is EventKind.DELIVERED and about.ended is not None:
                    continue  # its end is in this batch, too
                is_late = about.ended is not None and about.status.isdigit() and not about.outcome
                if is_late and not texts:  # its line has the outcome, and comes in a moment
                    self._events.append((time, kind, about, ("waited",)))
                    continue
                if kind is EventKind.DONE and about.failed:
                    kind = EventKind.FAILED  # answered as handled: the task itself gave it up
                text = f"attempt {about.attempt}" if about.attempt else ""
                if kind is EventKind.FAILED:
                    text = ", ".join(filter(None, (text, about.reason or about.status)))
                texts = (about.task, about.message_id, about.job_id, text)
            elif about is not None:
                texts = (about.task or "", about.id, "", texts[0])
            self._last_event += 1
            rows.append((self._last_event, time, kind, *texts))
        return rows


def last_number(database: sqlite3.Connection, table: str) -> int:
    """Return the highest number of a table's rows; 0 if there is none."""
    return int(database.execute(f"SELECT ifnull(max(seq), 0) FROM {table}").fetchone()[0])
