"""Jobs in PostgreSQL, through psycopg 3: a few connections for all threads of a process.

Times are those of the database's clock, so that a process whose clock is wrong does no harm.
`migrate` makes the table (`ucam-faas jobs migrate`); nothing else does.
"""

from __future__ import annotations

import base64
import math
import os
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from ucam_faas._optional import require
from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobConflictError, JobStoreError
from ucam_faas.forks import reset_in_child
from ucam_faas.jobs.rows import Key, Row, lost
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.columns import holder_values, json_text, new_values, row_of
from ucam_faas.jobs.stores.connections import Connections
from ucam_faas.jobs.stores.sql_store import SqlStore
from ucam_faas.jobs.stores.statements import statements

_require = partial(require, extra="postgresql", purpose="keep jobs in PostgreSQL")
CHANNEL = "ucam_faas_jobs"
_DATABASE_TIME = "extract(epoch FROM statement_timestamp())::float8"
_PARAMETER = re.compile(r"(?<!:):(\w+)")
_INSERT_TRIES = 5
_LOCK_SECONDS = 0.2
"""Between two tries to be the one process that migrates: one that waits in the database holds up
the indexes of the other.
"""
_TABLE_LOCK_SECONDS, _TABLE_PAUSE_SECONDS, _TABLE_TRIES = 1.0, 2.0, 60
"""The longest wait of a migration for a table, the pause before the next, and how often."""


class PostgresqlStore(SqlStore):
    """Keeps jobs in a database.

    Args:
        url: of the database: `postgresql://…`.
        clock: tells the time of all rows; None: the database's clock.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._psycopg = _require("psycopg")
        self._clock = clock
        self._sql = _statements("%(now)s::float8" if clock else _DATABASE_TIME)
        self._connections = Connections(self._connect)
        self._url = url
        self._listener: Any = None
        self._table: Mapping[str, Any] | None = None
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Start without a listener; the parent's isn't closed."""
        self._listening = threading.Lock()  # libpq's connections are of one thread at a time
        self._inherited, self._listener = self._listener, None

    @property
    def name(self) -> str:
        """Its name in errors, without the password."""
        parts = _require("psycopg.conninfo").conninfo_to_dict(self._url)
        place = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
        return f"the PostgreSQL database {parts.get('dbname', '')} at {place}"

    def migrate(self) -> Sequence[str]:
        """Make the table, its columns and its indexes, where they are missing.

        No statement rewrites a table, and other processes go on while an index is made.

        Raises:
            JobStoreError: the database doesn't answer, or refuses.
        """
        with self._errors(), closing(self._connect()) as connection:
            connection.answer_seconds = math.inf  # an index takes minutes
            lock = "SELECT pg_try_advisory_lock(hashtext('ucam_faas_jobs')) AS is_taken"
            while not connection.execute(lock).fetchone()["is_taken"]:
                time.sleep(_LOCK_SECONDS)
            self._make_tables(connection)
            for record in connection.execute(self._sql["unfinished_indexes"]).fetchall():
                connection.execute(f"DROP INDEX CONCURRENTLY {record['name']}")
            for index in self._sql["indexes"].split(";"):
                connection.execute(index)
        return ()

    def _make_tables(self, connection: Any) -> None:
        """Make the tables and their columns. All that use a table would wait behind a statement
        that waits for an open transaction: it waits for a moment, and then again.
        """
        for is_last in (*[False] * _TABLE_TRIES, True):
            try:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{_TABLE_LOCK_SECONDS:g}s'")
                    connection.execute(self._sql["schema"], prepare=False)
                return
            except self._psycopg.errors.LockNotAvailable as error:
                if is_last:
                    raise JobStoreError(
                        "An open transaction uses the table ucam_faas_jobs: end it (its oldest is "
                        "in pg_stat_activity), and run the migration again."
                    ) from error
            time.sleep(_TABLE_PAUSE_SECONDS)

    def insert(
        self, rows: Sequence[Row], *, wait: Sequence[float], parent: Row | None = None
    ) -> list[Row]:
        """Insert rows, and return the stored row for each."""
        new = {
            number: {**new_values(row, seconds), "payload": _base64(row.payload), "number": number}
            for number, (row, seconds) in enumerate(zip(rows, wait, strict=True))
        }
        there: dict[int, Row] = {}
        holder = None if parent is None else json_text(holder_values(parent))
        for _ in range(_INSERT_TRIES):  # the other row may be removed, or end, between the two
            for statement in ("insert", "inserted"):
                values = {"rows": json_text(list(new.values())), "holder": holder}
                for record in self._read(statement, values):
                    number = record.pop("number")
                    if number is not None:
                        del new[number]
                        there[number] = row_of(record)
                    elif parent is not None:
                        raise lost(parent.key)
                if not new:
                    return [there[number] for number in range(len(rows))]
        raise JobStoreError("The job store inserts no row, and has none with its key either.")

    def existing(self, rows: Sequence[Row]) -> list[Row | None]:
        """Return the stored row in whose place each of these would be inserted, if any."""
        values = [
            {**row.key._asdict(), "unique": row.unique, "number": number}
            for number, row in enumerate(rows)
        ]
        records = self._read("inserted", {"rows": json_text(values)})
        by_number = {record["number"]: row_of(record) for record in records}
        return [by_number.get(number) for number in range(len(rows))]

    def claim(
        self, key: Key, *, lease: float, instance: str, limit: int | None = None
    ) -> Row | None:
        """Take a job that may start, or whose claim has ended.

        If the connection is lost, the claim is tried again, and knows its own row.
        """
        values = {**key._asdict(), "lease": lease, "instance": instance, "limit": limit}
        values["claimant"] = os.urandom(16).hex()
        with self._connection() as connection:
            try:
                return self._claim(connection, values)
            except self._psycopg.OperationalError:
                if not connection.closed:
                    raise
        with self._connection() as connection:
            if row := self._claim(connection, values):
                return row
            records = self._execute(connection, "get", values).fetchall()
            own = (each for each in records if each["claimant"] == values["claimant"])
            return next(map(row_of, own), None)

    def _claim(self, connection: Any, values: Mapping[str, Any]) -> Row | None:
        if values["limit"] is None:
            records = self._execute(connection, "claim", values).fetchall()
            if records:
                return row_of(records[0])
        with connection.transaction():
            if not self._execute(connection, "lock_limit", values).fetchall():
                return None
            records = self._execute(connection, "claim_within_limit", values).fetchall()
            return row_of(records[0]) if records else None

    def visit(
        self,
        keys: Sequence[Key],
        seconds: Sequence[float],
        *,
        published: Sequence[int] | None = None,
    ) -> None:
        """Let the sweep look at overdue rows again, each so many seconds from now."""
        fences = None if published is None else list(published)
        self._run("visit", {**_columns(keys), "seconds": list(seconds), "published": fences})

    def watch(self, keys: Sequence[Key]) -> None:
        """Have `changed` notice the ends of these jobs."""
        with self._errors(), self._listening:
            self._listen()  # before the jobs can end
        self._run("watch", _columns(keys))

    def ended(self, keys: Sequence[Key]) -> dict[Key, Row | None]:
        """Return the rows of the jobs that have ended, and None for each missing job."""
        rows: dict[Key, Row | None] = {}
        for record in self._read("ended", _columns(keys)):
            number = record.pop("number")
            rows[keys[number - 1]] = None if record["id"] is None else row_of(record)
        return rows

    def changed(self, seconds: float) -> bool:
        """Wait for the end of a watched job, and return True if there was one."""
        with self._listening:
            try:
                if self._listener is not None:
                    notifies = self._listener.notifies(timeout=seconds, stop_after=1)
                    return any(True for _ in notifies)
            except self._psycopg.Error as error:
                self._listener = None
                raise JobStoreError(f"The job store doesn't notify: {_text(error)}.") from error
        threading.Event().wait(seconds)
        return False

    def now(self) -> float:
        """Return the store's time, in epoch seconds."""
        (record,) = self._read("time", {})
        return float(record["now"])

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
        with self._listening:
            if self._listener is not None:
                self._listener.close()
                self._listener = None

    def has(self, table: Mapping[str, Any]) -> bool:
        """Return True if a table of jobs, as another connection sees it, is this store's."""
        if table != self._table:
            (self._table,) = self._read("table", {})
        return table == self._table

    def _read(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._connection() as connection:
            records: list[dict[str, Any]] = self._execute(connection, statement, values).fetchall()
            return records

    _write = _read  # each statement is a transaction of its own

    def _states(self, states: Collection[State]) -> list[str]:
        return [state.value for state in states]

    def _run(self, statement: str, values: Mapping[str, Any]) -> None:
        with self._connection() as connection:
            self._execute(connection, statement, values)

    def _execute(self, connection: Any, statement: str, values: Mapping[str, Any]) -> Any:
        sql, values = self._sql[statement], self._timed(values)
        try:
            return connection.execute(sql, values)
        except self._psycopg.errors.FeatureNotSupported:
            # It was prepared, and a migration has changed the table since: it didn't run.
            if connection.info.transaction_status != self._psycopg.pq.TransactionStatus.IDLE:
                connection.close()
                raise
            # psycopg forgets its prepared statements after this; older ones not after DEALLOCATE.
            connection.execute("ROLLBACK")
            return connection.execute(sql, values)

    def _timed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**values, "now": self._clock.now().timestamp()} if self._clock else values

    def _listen(self) -> None:
        if self._listener is None or self._listener.closed:
            self._listener = self._connect()
            self._listener.execute(f"LISTEN {CHANNEL}")

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Take a connection."""
        with self._errors(), self._connections.taken() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the driver's errors into the store's."""
        psycopg = self._psycopg
        try:
            yield
        except psycopg.errors.UniqueViolation as error:
            raise JobConflictError("Another job of the unique key hasn't ended.") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise JobStoreError(
                "The table ucam_faas_jobs of the job store is missing, or is that of an earlier "
                f"version ({_text(error)}): run `ucam-faas jobs migrate`."
            ) from error
        except psycopg.Error as error:
            raise JobStoreError(f"The job store of UCAM_FAAS_JOB_STORE: {_text(error)}.") from error

    def _connect(self) -> Any:
        from ucam_faas.jobs.stores.postgresql_connection import connect  # psycopg may be missing

        return connect(self._url)


def bare_cursor(connection: Any, *, is_async: bool) -> Any:
    """Return a cursor of any connection that has records as the store's own connections do."""
    psycopg, rows = _require("psycopg"), _require("psycopg.rows")
    kind = psycopg.AsyncCursor if is_async else psycopg.Cursor
    cursor = kind(connection, row_factory=rows.dict_row)
    from ucam_faas.jobs.stores.postgresql_connection import text_of  # psycopg may be missing

    _require("psycopg.types.json").set_json_loads(text_of, cursor)
    return cursor


def _statements(now: str) -> dict[str, str]:
    """Return the statements in psycopg's form, with an expression for the time."""

    def parameter(match: re.Match[str]) -> str:
        return now if match[1] == "now" else f"%({match[1]})s"

    sql = dict(statements("postgresql.sql"))
    claim = sql["claim"]
    sql["claim"] = f"{claim}\n{sql['has_no_limit']}"
    sql["claim_within_limit"] = f"{claim}\n{sql['is_within_limit']}"
    return {name: _PARAMETER.sub(parameter, text) for name, text in sql.items()}


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def _columns(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "apps": [key.app for key in keys],
        "tasks": [key.task for key in keys],
        "ids": [key.id for key in keys],
    }


def _text(error: Exception) -> str:
    """Return an error's first line: further ones may show values."""
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
