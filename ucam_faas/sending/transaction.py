"""`ucam_faas.transaction(connection)`: the jobs of a block are sent with its commit, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

from ucam_faas.jobs.rows import lost
from ucam_faas.jobs.stores.by_reference import rows_of, with_rows
from ucam_faas.jobs.transactions import CURRENT, Transaction, current
from ucam_faas.jobs.transactions.callers import Caller, Gate, drive
from ucam_faas.jobs.transactions.drivers import driver_caller_of
from ucam_faas.jobs.transactions.sqlalchemy import SqlAlchemyCaller, is_of_sqlalchemy
from ucam_faas.sending.children import PARENT
from ucam_faas.sending.sender import sender

ConnectionT = TypeVar("ConnectionT")


class Block(Generic[ConnectionT]):
    """A transaction on a connection, as a context manager; see `transaction`.

    Args:
        connection: the caller's.
        joins: commit the transaction that is open, in place of a new one.

    Raises:
        NoJobStoreError: there is no store.
        TypeError: the connection's driver isn't supported.
    """

    def __init__(self, connection: ConnectionT, *, joins: bool = False) -> None:
        self._connection, self._joins = connection, joins
        self._store = sender().jobs_for("nothing can be sent in a transaction")
        kind = SqlAlchemyCaller if is_of_sqlalchemy(connection) else driver_caller_of
        self._caller: Caller = kind(connection, rows_of(self._store))

    def __enter__(self) -> ConnectionT:
        """Begin.

        Raises:
            TypeError: the connection is async.
        """
        if self._caller.is_async:
            raise TypeError("The connection is async: write `async with ucam_faas.transaction(…)`.")
        return drive(self._begin())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Commit, or roll back after an exception."""
        return drive(self._end(error))

    async def __aenter__(self) -> ConnectionT:
        """Begin.

        Raises:
            TypeError: the connection isn't async.
        """
        if not self._caller.is_async:
            raise TypeError("The connection isn't async: write `with ucam_faas.transaction(…)`.")
        return await self._begin()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Commit, or roll back after an exception."""
        return await self._end(error)

    async def _begin(self) -> ConnectionT:
        if current() is not None:
            raise RuntimeError(
                "A block of ucam_faas.transaction is in another one, which commits for both: leave "
                "the inner one out, or use a savepoint of the driver for it."
            )
        caller = self._caller
        await (caller.join() if self._joins else caller.begin())
        self._gate = Gate(is_async=caller.is_async)
        on_commit: list[Callable[[], object]] = []
        try:
            self._rows = await caller.bind(self._gate)
            bound = with_rows(self._store, self._rows, on_commit.append)
        except BaseException as error:
            with suppress(Exception):
                await caller.rollback(error)
            raise
        self._transaction = Transaction(
            self._connection, self._store, bound, caller.is_async, on_commit
        )
        CURRENT.set(self._transaction)
        return self._connection

    async def _end(self, error: BaseException | None) -> bool:
        transaction = self._transaction
        transaction.is_open = False
        CURRENT.set(None)
        try:
            await self._gate.close()
            if error is None:
                await self._check()
                await self._caller.commit()
        except BaseException as failure:
            await self._rolled_back(failure)
            raise
        if error is not None:
            return await self._rolled_back(error)
        for action in transaction.on_commit:
            if self._caller.is_async:
                await asyncio.to_thread(action)  # it may publish
            else:
                action()
        return False

    async def _check(self) -> None:
        """Refuse to commit for a job that another process may hold by now.

        Raises:
            JobLostError: it may.
        """
        transaction, parent = self._transaction, PARENT.get()
        if transaction.refusal is not None:
            raise transaction.refusal
        row = None if parent is None else parent.row
        if row is not None and transaction.completed != row.key and not await self._rows.hold(row):
            raise lost(row.key)

    async def _rolled_back(self, error: BaseException) -> bool:
        """Roll back, and return True if the error asked for that alone; an error of the rollback,
        such as a lost connection's, doesn't hide it.
        """
        for action in self._transaction.on_rollback:
            action()
        try:
            return await self._caller.rollback(error)
        except Exception:
            return False


def transaction(connection: ConnectionT) -> Block[ConnectionT]:
    """Send jobs in a transaction: a commit sends them, and a rollback sends nothing.

    The block begins the transaction and commits it, or rolls back after an exception:

        with ucam_faas.transaction(connection):
            connection.execute("INSERT INTO orders …")
            charge.send(order)

    Jobs that this thread or task sends in the block are rows of the same transaction. Their tasks
    are woken after the commit; if the process ends between the two, the sweep does it.

    Args:
        connection: of sqlite3 or psycopg 3, or a connection or session of SQLAlchemy over one of
            them, to the database that has the jobs. An async one takes `async with`. It may not be
            in a transaction.

    Raises:
        NoJobStoreError: there is no store.
        TypeError: the connection is of another kind; or `with` and `async with` are mixed up.
        ConfigurationError: the jobs are kept in another database. Raised by `with`.
        RuntimeError: the connection is in a transaction, or the block is in another one; at its
            end, a statement has failed, or the block has committed by itself.
        JobLostError: at its end: the running job isn't this execution's any more, or
            `current_job().complete(…)` was refused.
    """
    return Block(connection)
