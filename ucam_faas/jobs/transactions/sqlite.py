"""A caller's connection to SQLite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import cast

from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.columns import holder_values
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.transactions.callers import (
    BoundStore,
    DriverCaller,
    Gate,
    commits_alone,
    elsewhere,
    ended_inside,
    in_a_transaction,
    not_in_a_transaction,
    unending,
)


class SqliteCaller(DriverCaller):
    """A connection of sqlite3, with any isolation level.

    Its methods `commit` and `rollback` aren't used: with autocommit=True, from Python 3.12 on, they
    do nothing.
    """

    async def begin(self) -> None:
        """Begin; IMMEDIATE, because a lock that is taken later fails at once when it is busy."""
        if getattr(self.connection, "autocommit", True) is False:
            raise RuntimeError(
                "The connection has autocommit=False, and so is always in a transaction, which may "
                "have earlier changes: open it with autocommit=True, or without autocommit=."
            )
        if self.connection.in_transaction:
            raise in_a_transaction()
        if isinstance(self.store, SqliteStore):
            self.store.migrate()  # makes the table of a new file, which is locked from now on
        self._execute("BEGIN IMMEDIATE")

    async def start(self) -> None:
        """Begin."""
        if getattr(self.connection, "autocommit", None) is True:
            raise commits_alone()
        await self.begin()

    async def join(self) -> None:
        """Take the open transaction."""
        if not self.connection.in_transaction:
            raise not_in_a_transaction()

    def check(self) -> None:
        """Refuse a transaction that has ended."""
        if not self.connection.in_transaction:
            raise ended_inside()

    async def commit(self) -> None:
        """Commit."""
        self.check()
        self._execute("COMMIT")

    async def rollback(self, error: BaseException) -> bool:
        """Roll back; after a failed commit the transaction is open, after a full disk it isn't."""
        if self.connection.in_transaction:
            self._execute("ROLLBACK")
        return False

    async def bind(self, gate: Gate) -> BoundStore:
        """Return the store over this connection."""
        store, file = self.store, self._file()
        if isinstance(store, SqliteStore):
            with suppress(OSError):  # one of them isn't a file
                if os.path.samefile(file, store.path):
                    return BoundSqliteStore(store, self, gate)
        raise elsewhere(f"the SQLite file {file}" if file else "SQLite in memory", store.name)

    def _file(self) -> str:
        """Return the path of the connection's file; empty: it has none."""
        with bare_cursor(self.connection) as cursor:
            databases = cursor.execute("PRAGMA database_list").fetchall()
        return next((row["file"] for row in databases if row["name"] == "main"), "") or ""

    def _execute(self, statement: str) -> None:
        with bare_cursor(self.connection) as cursor:
            cursor.execute(statement)


class BoundSqliteStore(SqliteStore, BoundStore):
    """The store's statements over a caller's connection, in its transaction.

    Args:
        store: of the same file.
        caller: the connection's.
        gate: of the transaction.
    """

    def __init__(self, store: SqliteStore, caller: SqliteCaller, gate: Gate) -> None:
        self.path, self._clock, self._sql = store.path, store._clock, store._sql
        self._caller, self._gate = caller, gate

    def end_of(self, key: Key) -> Future[Row]:
        """Refuse to wait in a transaction."""
        return unending(key)

    async def hold(self, row: Row) -> bool:
        """Keep other processes from a claimed job; see `BoundStore`."""
        self._caller.check()
        with self._errors(), bare_cursor(self._caller.connection) as cursor:
            return bool(cursor.execute(self._sql["hold"], holder_values(row)).fetchall())

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._gate.held(), self._errors():
            self._caller.check()
            with bare_cursor(self._caller.connection) as cursor:
                yield cast("sqlite3.Connection", cursor)  # which executes in the same way

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing, also if the caller goes on after an error."""
        with self._open() as cursor:
            cursor.execute("SAVEPOINT ucam_faas")
            try:
                yield cursor
            except BaseException:
                if self._caller.connection.in_transaction:  # a full disk may have ended it
                    cursor.execute("ROLLBACK TO ucam_faas")
                    cursor.execute("RELEASE ucam_faas")
                raise
            cursor.execute("RELEASE ucam_faas")


@contextmanager
def bare_cursor(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """Return a cursor with rows of our own, whatever the connection's are."""
    if connection.text_factory is not str:
        raise RuntimeError(
            f"The connection's text_factory is {connection.text_factory!r}, and jobs need str: set "
            "it on another connection."
        )
    cursor = connection.cursor(sqlite3.Cursor)
    cursor.row_factory = sqlite3.Row
    try:
        yield cursor
    finally:
        cursor.close()
