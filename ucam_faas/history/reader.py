"""Queries of the history of a local cloud, while `ucam-faas dev` writes it.

Lists come newest first and by the page: `before` is the `key` of the last row of the page before.
No query counts or reads more than it returns, whatever the history holds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ucam_faas.clock import SystemClock
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.history.database import PLACES, SPANS, open_for_reading
from ucam_faas.history.queries import ROW, Selection
from ucam_faas.history.rows import (
    Event,
    EventKind,
    Line,
    Message,
    MessageRow,
    MessageState,
    Rates,
    Run,
    Step,
    StepKind,
)

LINES_OF_STEP = 200
"""Lines of an attempt that a timeline holds; `lines` has the others."""
ORIGINAL_ATTRIBUTE, REPLAY_ATTRIBUTE = "ucam_faas_message_id", "ucam_faas_replay_id"
"""Of a replay: the message that it repeats, and its own id."""
_RUN = (
    "execution_id, task, subscription, message_id, job_id, attempt, began, ended, outcome, reason, "
    "status, error_type, failed, seq"
)
_LAST = 2**62


class HistoryError(UCAMFAASException):
    """The file of a history is broken."""

    error_code = "history"


class History:
    """The history in a file; empty while there is no file. Any thread may use it.

    Args:
        path: the file, which `ucam-faas dev` writes.

    Methods raise HistoryError if the file is broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[tuple[int, sqlite3.Connection]] = []

    def close(self) -> None:
        """Release the file."""
        while self._idle:
            self._idle.pop()[1].close()

    # -- messages -----------------------------------------------------------------------------

    def messages(
        self,
        *,
        task: str | None = None,
        topic: str | None = None,
        state: MessageState | str | None = None,
        since: float | None = None,
        until: float | None = None,
        attribute: str | None = None,
        text: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[MessageRow]:
        """Return messages, each once for each of its readers.

        Args:
            task: that reads them.
            topic: that they are on.
            state: of `MessageState`.
            since: of their publication, at the earliest.
            until: of their publication, not included.
            attribute: that they have: `name=value`.
            text: whose words they have in their data, key or attributes; the last may be the
                beginning of one.
            before: the key of a row.
            limit: how many, at most.
        """
        with self._open() as database:
            if database is None:
                return []
            selection = Selection(limit, text=text, attribute=attribute)
            selection.where(task=task, topic=topic)
            if state is not None:
                selection.in_state(MessageState(state))
            if before is not None:
                selection.below(before)
            if until is not None:
                selection.below(_seq_at(database, until) * PLACES)
            if since is not None:
                selection.since(_seq_at(database, since) * PLACES)
            return [_message_row(row) for row in selection.rows(database)]

    def message(self, id: str) -> Message | None:
        """Return a message as it was published; None: it isn't kept."""
        row = self._one(
            "SELECT id, time, topic, key, attributes, data FROM messages "
            "WHERE id = ? AND topic <> '' ORDER BY seq DESC LIMIT 1",
            id,
        )
        if row is None:
            return None
        id, time, topic, key, attributes, data = row
        return Message(id, time, topic, key, json.loads(attributes), data)

    def deliveries(self, message_id: str) -> list[MessageRow]:
        """Return a message once for each of its readers, in their order."""
        return [_message_row(row[:-1]) for row in self._deliveries(message_id)]

    def _deliveries(self, message_id: str) -> list[Any]:
        seq = self._one("SELECT max(seq) FROM messages WHERE id = ?", message_id)
        if not seq or seq[0] is None:
            return []
        first = seq[0] * PLACES
        statement = f"SELECT {ROW}, d.died FROM deliveries d WHERE d.seq BETWEEN ? AND ? ORDER BY 9"
        return self._all(statement, first, first + PLACES - 1)

    def timeline(self, message_id: str) -> list[Step]:
        """Return the steps of a message's life, the oldest first; none if it isn't kept."""
        message = self.message(message_id)
        steps = [Step(message.time, StepKind.PUBLISHED, text=message.topic)] if message else []
        for run in self.message_runs(message_id):
            lines = tuple(self.lines(run.execution_id, limit=LINES_OF_STEP))
            place = (run.subscription, run.task, run.reason or (run.failed and run.status) or "")
            steps.append(Step(run.began, StepKind.ATTEMPT, *place, run=run, lines=lines))
        for *values, died in self._deliveries(message_id):
            row = _message_row(values)
            if row.letter_id is not None:
                place = (row.subscription or "", row.task or "", row.reason)
                letter = row.letter_id
                steps.append(Step(died, StepKind.DEAD_LETTERED, *place, message_id=letter))
        steps += self._replays(message_id)
        return sorted(steps, key=lambda step: step.time)

    def _replays(self, message_id: str) -> list[Step]:
        """Return the messages that say that they repeat this one, without its dead letters."""
        rows = self._all(
            "SELECT m.id, m.time, m.topic, m.attributes FROM attributes a JOIN messages m "
            "ON m.seq = a.message WHERE a.pair = ? ORDER BY a.message LIMIT 100",
            f"{ORIGINAL_ATTRIBUTE}={message_id}",
        )
        return [
            Step(time, StepKind.REPLAYED, text=topic, message_id=id)
            for id, time, topic, attributes in rows
            if REPLAY_ATTRIBUTE in json.loads(attributes)
        ]

    # -- runs and their lines -----------------------------------------------------------------

    def message_runs(self, message_id: str) -> list[Run]:
        """Return the attempts of a message with all of its readers, the oldest first."""
        return self._runs("message_id = ? AND message_id <> '' ORDER BY seq LIMIT 1000", message_id)

    def job_runs(self, task: str, job_id: str) -> list[Run]:
        """Return the runs of a job that are kept, the oldest first."""
        where = "job_id = ? AND job_id <> '' AND task = ? ORDER BY seq LIMIT 1000"
        return self._runs(where, job_id, task)

    def run(self, execution_id: str) -> Run | None:
        """Return the run of an execution, as the log names it."""
        where = "execution_id = ? AND execution_id <> '' ORDER BY seq DESC LIMIT 1"
        return next(iter(self._runs(where, execution_id)), None)

    def errors(self, since: float = 0.0, limit: int = 50, before: int | None = None) -> list[Run]:
        """Return the runs that failed, the newest first."""
        where = "failed AND seq < ? AND began >= ? ORDER BY seq DESC LIMIT ?"
        return self._runs(where, _LAST if before is None else before, since, limit)

    def lines(self, execution_id: str, *, after: int = 0, limit: int = 500) -> list[Line]:
        """Return the log lines of an execution, in order.

        Args:
            execution_id: as in the log.
            after: the key of a line.
            limit: how many, at most.
        """
        rows = self._all(
            "SELECT seq, time, severity, message, fields, traceback FROM lines "
            "WHERE execution_id = ? AND execution_id <> '' AND seq > ? ORDER BY seq LIMIT ?",
            execution_id, after, limit,
        )  # fmt: skip
        return [Line(*(*row[:4], json.loads(row[4]), row[5])) for row in rows]

    def _runs(self, where: str, *values: Any) -> list[Run]:
        rows = self._all(f"SELECT {_RUN} FROM runs WHERE {where}", *values)
        return [Run(*(*row[:12], bool(row[12]), row[13])) for row in rows]

    # -- what happens now ---------------------------------------------------------------------

    def last_seq(self) -> int:
        """Return the number of the last event; 0: there is none."""
        row = self._one("SELECT ifnull(max(seq), 0) FROM events")
        return int(row[0]) if row else 0

    def stream(self, after: int, limit: int = 500) -> list[Event]:
        """Return events after a number, the oldest first; only the newest are kept."""
        rows = self._all("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
        return [Event(row[0], row[1], EventKind(row[2]), *row[3:]) for row in rows]

    def rates(self, since: float, *, buckets: int, until: float | None = None) -> dict[str, Rates]:
        """Return how often things happened, by task; counts are kept by the minute.

        Args:
            since: the beginning of the first bucket.
            buckets: how many.
            until: the end of the last bucket; None: now.
        """
        until = SystemClock().now().timestamp() if until is None else until
        width = (until - since) / buckets
        span = next((span for span in reversed(SPANS) if span <= width), SPANS[0])
        rows = self._all(
            "SELECT task, CAST((start - ?) / ? AS INTEGER), sum(published), sum(done), "
            "sum(failed), sum(dead_lettered) FROM counters "
            "WHERE span = ? AND start > ? AND start < ? GROUP BY 1, 2",
            since, width, span, since - span, until,
        )  # fmt: skip
        counts: dict[str, list[list[int]]] = {}
        for task, bucket, *numbers in rows:
            columns = counts.setdefault(task, [[0] * buckets for _ in range(4)])
            for column, number in zip(columns, numbers, strict=True):
                column[min(max(bucket, 0), buckets - 1)] += number
        return {task: Rates(*map(tuple, columns)) for task, columns in counts.items()}

    def dropped(self) -> int:
        """Return how many events and lines were lost because they came too fast."""
        row = self._one("SELECT value FROM facts WHERE name = 'dropped'")
        return int(row[0]) if row else 0

    # -- the file -----------------------------------------------------------------------------

    def _one(self, statement: str, *values: Any) -> Any:
        return next(iter(self._all(statement, *values)), None)

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with self._open() as database:
            return [] if database is None else database.execute(statement, values).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        inode = self.path.stat().st_ino if self.path.exists() else 0
        try:
            opened, database = self._idle.pop()
            if opened != inode:  # another file has its name now
                database.close()
                raise IndexError
        except IndexError:
            new = open_for_reading(self.path)
            if new is None:
                yield None
                return
            database = new
        try:
            yield database
        except BaseException as error:
            database.close()
            if isinstance(error, sqlite3.DatabaseError):
                raise HistoryError(
                    f"The history in {self.path} can't be read ({error}). Stop `ucam-faas dev`, "
                    "delete this file, and start it again."
                ) from error
            raise
        self._idle.append((inode, database))


def _seq_at(database: sqlite3.Connection, time: float) -> int:
    """Return the number of the first message of a time, or later."""
    row = database.execute(
        "SELECT seq FROM messages WHERE time >= ? ORDER BY time LIMIT 1", (time,)
    ).fetchone()
    return int(row[0]) if row else _LAST // PLACES


def _message_row(row: Any) -> MessageRow:
    id, time, topic, task, state, *rest = row
    return MessageRow(id, time, topic, task, MessageState(state), *rest)
