"""Jobs in SQLite: a file that several processes of one machine share, or the memory of one.

Write-ahead logging with `synchronous=NORMAL`: a job survives the end of any process, but not
always a loss of power (SQLite's page "Write-Ahead Logging").
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobConflictError, JobStoreError
from ucam_faas.jobs.rows import Key, Row, lost
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores.columns import holder_values, inserted, new_values, row_of, sent_at
from ucam_faas.jobs.stores.sql_store import SqlStore
from ucam_faas.jobs.stores.statements import statements

MEMORY = ":memory:"
POLL_SECONDS = 0.01
"""Between two looks at the file's version, while ends are waited for."""
BUSY_SECONDS = 10
"""How long a write waits for another process's."""
SCHEMA = 9
"""The version of the tables, in `PRAGMA user_version`; files from before version 1 have 0."""
ADDED_COLUMNS = {
    "unique": "TEXT",
    "steady": "REAL",
    "boot": "TEXT",
    "limit_key": "TEXT",
    "in_order": "INTEGER NOT NULL DEFAULT 0",
    "event_due": "INTEGER NOT NULL DEFAULT 0",
    "lane": "TEXT NOT NULL DEFAULT 'default'",
    "batch": "TEXT",
    "parent": "TEXT",
}
"""Columns that tables of earlier versions lack."""


class SqliteStore(SqlStore):
    """Keeps jobs in a file.

    Args:
        path: of the file, which is made if it is missing; `:memory:` for the process's memory.
        clock: tells the time of all rows.
    """

    _find_of_task = "find_of_task"

    _connection: sqlite3.Connection | None = None

    def __init__(self, path: str, clock: Clock) -> None:
        self.path = path if path == MEMORY else os.path.abspath(path)  # tasks may change folders
        self._clock = clock
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._seen = -1
        self._sql = statements("sqlite.sql")
        _STORES.add(self)

    @property
    def name(self) -> str:
        """Its name in errors."""
        return "this process's memory" if self.path == MEMORY else f"the SQLite file {self.path}"

    def migrate(self) -> Sequence[str]:
        """Open the file, which creates its table, or brings it up to date."""
        with self._open():
            return ()

    def insert(
        self, rows: Sequence[Row], *, wait: Sequence[float], parent: Row | None = None
    ) -> list[Row]:
        """Insert rows, and return the stored row for each."""
        new = list(zip(rows, wait, strict=True))
        with self._transaction() as connection:
            if parent is not None and not self._run(connection, "holds", holder_values(parent)):
                raise lost(parent.key)
            now = self.now()
            sent = {state: {"now": now, "history": sent_at(now, state)} for state in LIVE}
            values = [new_values(row, seconds) | sent[row.state] for row, seconds in new]
            cursor = connection.executemany(self._sql["insert"], values)
            if cursor.rowcount == len(new):  # the usual case: to read them takes as long again
                return [inserted(row, seconds, now) for row, seconds in new]
            there = (connection.execute(self._sql["inserted"], own).fetchone() for own in values)
            return [row_of(record) for record in there]

    def existing(self, rows: Sequence[Row]) -> list[Row | None]:
        """Return the stored row in whose place each of these would be inserted, if any."""
        with self._open() as connection:
            values = [{**row.key._asdict(), "unique": row.unique} for row in rows]
            records = [connection.execute(self._sql["inserted"], own).fetchone() for own in values]
            return [record and row_of(record) for record in records]

    def visit(
        self,
        keys: Sequence[Key],
        seconds: Sequence[float],
        *,
        published: Sequence[int] | None = None,
    ) -> None:
        """Let the sweep look at overdue rows again, each so many seconds from now."""
        with self._transaction() as connection:
            now = self.now()
            fences = [None] * len(keys) if published is None else published
            visits = [
                {**key._asdict(), "now": now, "seconds": wait, "published": fence}
                for key, wait, fence in zip(keys, seconds, fences, strict=True)
            ]
            connection.executemany(self._sql["visit"], visits)

    def watch(self, keys: Sequence[Key]) -> None:
        """Have `changed` notice the ends of these jobs: it notices every change of the file."""

    def ended(self, keys: Sequence[Key]) -> dict[Key, Row | None]:
        """Return the rows of the jobs that have ended, and None for each missing job."""
        with self._open() as connection:
            records = connection.execute(self._sql["ended"], {"keys": json.dumps(keys)})
            return {
                keys[record["number"]]: None if record["id"] is None else row_of(record)
                for record in records
            }

    def changed(self, seconds: float) -> bool:
        """Wait for a change of the file, and return True if there was one."""
        end = time.monotonic() + seconds
        while (version := self._version()) == self._seen:
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)
        self._seen = version
        return True

    def _version(self) -> int:
        """Return a number that differs after a change, of this process or another."""
        with self._open() as connection:
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return int(others) * 1_000_000_007 + connection.total_changes

    def now(self) -> float:
        """Return the store's time, in epoch seconds."""
        return self._clock.now().timestamp()

    def _steady(self) -> dict[str, Any]:
        """Return the time of a clock that is never set, and the run of the machine it counts in."""
        return {"steady": self._clock.monotonic(), "boot": _boot()}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def __del__(self) -> None:
        """Close the file of a store that was dropped: from Python 3.13 on, sqlite3 warns of it."""
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Close the file: of a connection that is there in both processes, SQLite believes that it
        holds the parent's locks, and the child's writes may be lost.
        """
        self._lock.acquire()
        if self.path != MEMORY:
            self._close()

    def after_fork(self) -> None:
        """Let the parent, or its child, open the file again."""
        self._lock.release()

    def _read(self, statement: str, values: Mapping[str, Any]) -> list[sqlite3.Row]:
        with self._open() as connection:
            return self._run(connection, statement, values)

    _write = _read  # a statement is a transaction, and waits for its lock like BEGIN IMMEDIATE

    def _run(
        self, connection: sqlite3.Connection, statement: str, values: Mapping[str, Any]
    ) -> list[sqlite3.Row]:
        values = {"now": self.now(), **self._steady(), **values}
        return connection.execute(self._sql[statement], values).fetchall()

    def _states(self, states: Collection[State]) -> str:
        return json.dumps(list(states))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write; IMMEDIATE, because a lock that is taken later fails at once when it is busy."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Take the connection."""
        with self._lock, self._errors():
            if self._is_moved():
                _keep_open(self._connection)
                self._connection = None
            if self._connection is None:
                self._connection = self._connect()
                self._file, self._seen = self._inode(), -1
            yield self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the driver's errors into the store's."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise JobConflictError("Another job of the unique key hasn't ended.") from error
        except sqlite3.Error as error:
            raise JobStoreError(f"The job store {self.path}: {error}.") from error

    def _is_moved(self) -> bool:
        """Return True if another file, or none, is where this process opened one: SQLite would
        go on, and the rows would be lost.
        """
        return self._connection is not None and self._inode() != self._file

    def _inode(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:  # there is none, as for :memory:
            return None
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        try:
            if self._schema_of(connection) < SCHEMA:
                self._bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _schema_of(self, connection: sqlite3.Connection) -> int:
        """Return the version of the file's table.

        Raises:
            JobStoreError: a newer ucam-faas made it.
        """
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise JobStoreError(
                f"A newer ucam-faas made the job store {self.path} (version {version} of its "
                f"table; this one knows {SCHEMA}). Install that version, or name another file; "
                "`ucam-faas dev --reset` makes a new one."
            )
        return version

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # of processes that open it at once, one does it
        if self._schema_of(connection) < SCHEMA:
            columns = connection.execute("PRAGMA table_info(ucam_faas_jobs)").fetchall()
            missing = ADDED_COLUMNS.keys() - {column["name"] for column in columns}
            for name in missing if columns else ():
                add = f'ALTER TABLE ucam_faas_jobs ADD COLUMN "{name}" {ADDED_COLUMNS[name]}'
                connection.execute(add)
            for statement in _split(self._sql["schema"]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")


_STORES: WeakSet[SqliteStore] = WeakSet()
_FORKING = threading.Lock()
_HELD: list[SqliteStore] = []
"""The stores that wait for a fork under way."""


def _before_fork() -> None:
    _FORKING.acquire()
    _HELD.extend(_STORES)
    for store in _HELD:
        store.before_fork()


def _after_fork() -> None:
    for store in _HELD:
        store.after_fork()
    _HELD.clear()
    _FORKING.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _split(script: str) -> Iterator[str]:
    """Yield the statements of a script: `executescript` would commit the open transaction."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):  # not in the middle of a trigger
            yield statement
            statement = ""


@cache
def _boot() -> str | None:
    """Return the id of the machine's present run, in which the steady clocks of its processes
    agree; None: unknown.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: leases go by the wall clock
        return None


def _keep_open(connection: object) -> None:
    """Never close a connection, not even at exit: SQLite would remove the log of the file that is
    there now, by its name.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
