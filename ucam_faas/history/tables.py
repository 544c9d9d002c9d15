"""Runs and deliveries, as a `Ledger` keeps them in memory and writes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from ucam_faas.history.database import PLACES
from ucam_faas.tasks.topics import inbox_named

KNOWN = 20_000
"""Rows of each kind that are kept in memory."""


@dataclass(slots=True, eq=False)
class Run:
    """A row of `runs`, in the order of its columns."""

    seq: int
    began: float
    ended: float | None
    task: str
    subscription: str
    message_id: str
    job_id: str
    attempt: int
    execution_id: str
    outcome: str
    reason: str
    status: str
    error_type: str
    failed: bool


@dataclass(slots=True, eq=False)
class Delivery:
    """A row of `deliveries`, in the order of its columns; and its last runs, the newest last."""

    seq: int
    id: str
    time: float
    topic: str
    subscription: str | None
    task: str | None
    state: str
    attempts: int
    reason: str
    size: int
    letter: str | None
    died: float | None
    runs: list[Run]


_RUN = tuple(Run.__slots__)
_DELIVERY = tuple(Delivery.__slots__[:-1])


def _upsert(table: str, columns: Iterable[str]) -> str:
    names = list(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    places = ", ".join("?" * len(names))
    return f"INSERT INTO {table} VALUES ({places}) ON CONFLICT (seq) DO UPDATE SET {changes}"


_PUT_RUN, _PUT_DELIVERY = _upsert("runs", _RUN), _upsert("deliveries", _DELIVERY)
_RUN_ROW, _DELIVERY_ROW = attrgetter(*_RUN), attrgetter(*_DELIVERY)


class Rows:
    """Runs and deliveries: those that changed and aren't written yet, and those used last.

    Each row is one object, wherever it came from. Most events are about a message that came a
    moment ago.

    Args:
        database: see `open_for_writing`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._changed_runs: dict[int, Run] = {}
        self._changed_deliveries: dict[int, Delivery] = {}
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._by_execution: dict[str, Run] = {}

    def change(self, *rows: Run | Delivery) -> None:
        """Write these rows with the next batch."""
        for row in rows:
            if isinstance(row, Run):
                self._changed_runs[row.seq] = row
            else:
                self._changed_deliveries[row.seq] = row

    def add(self, delivery: Delivery) -> None:
        """Write a new delivery, and find it from now on."""
        self._changed_deliveries[delivery.seq] = delivery
        if delivery.subscription is not None:
            self._deliveries[delivery.subscription, delivery.id] = delivery

    def name(self, run: Run, execution_id: str) -> None:
        """Note the execution that a run is of."""
        run.execution_id = execution_id
        self._changed_runs[run.seq] = run
        self._by_execution[execution_id] = run

    def execution(self, execution_id: str) -> Run | None:
        """Return the run of an execution, if it is one of the last."""
        return self._by_execution.get(execution_id)

    def stored_execution(self, execution_id: str, message_id: str) -> Run | None:
        """Return the run of an execution from the file, of this message if there is one."""
        row = self._db.execute(
            f"SELECT {', '.join(_RUN)} FROM runs WHERE execution_id = ? AND execution_id <> '' "
            "AND ? IN ('', message_id) ORDER BY seq DESC LIMIT 1",
            (execution_id, message_id),
        ).fetchone()
        return None if row is None else self._run_of(row)

    def delivery(self, subscription: str, message_id: str) -> Delivery | None:
        """Return a delivery, with its last runs."""
        delivery = self._deliveries.get((subscription, message_id))
        if delivery is not None:
            return delivery
        row = self._db.execute(
            f"SELECT {', '.join(f'd.{name}' for name in _DELIVERY)} "
            "FROM messages m JOIN deliveries d ON d.seq BETWEEN m.seq * ? AND m.seq * ? + ? - 1 "
            "WHERE m.id = ? AND d.subscription = ? ORDER BY m.seq DESC LIMIT 1",
            (PLACES, PLACES, PLACES, message_id, subscription),
        ).fetchone()
        if row is None:
            return None
        runs = self._db.execute(
            f"SELECT {', '.join(_RUN)} FROM runs WHERE message_id = ? AND message_id <> '' "
            "AND subscription = ? AND began >= ? ORDER BY seq DESC LIMIT 2",
            (message_id, subscription, row[2]),
        ).fetchall()
        delivery = Delivery(*(*row, [self._run_of(run) for run in reversed(runs)]))
        self._deliveries[subscription, message_id] = delivery
        return delivery

    def write(self) -> None:
        """Write the rows that changed, in the transaction that has begun."""
        self._db.executemany(_PUT_DELIVERY, map(_DELIVERY_ROW, self._changed_deliveries.values()))
        self._db.executemany(_PUT_RUN, map(_RUN_ROW, self._changed_runs.values()))

    def forget(self, *, is_written: bool) -> None:
        """Begin the next batch; without what was changed, if it wasn't written."""
        self._changed_deliveries.clear()
        self._changed_runs.clear()
        if is_written:
            keep_last(self._deliveries)
            keep_last(self._by_execution)
        else:
            self._deliveries.clear()
            self._by_execution.clear()

    def _run_of(self, row: tuple[Any, ...]) -> Run:
        run = Run(*row)
        known = self._changed_runs.get(run.seq) or self._by_execution.get(run.execution_id)
        return known if known is not None and known.seq == run.seq else run


def keep_last(known: dict[Any, Any]) -> None:
    """Drop what was added first, of too much."""
    for key in list(known)[: max(0, len(known) - KNOWN)]:
        del known[key]


@lru_cache(1000)
def task_of(subscription: str) -> str:
    """Return the name of the task that a subscription is of."""
    inbox = inbox_named(subscription)
    return inbox.task if inbox else subscription
