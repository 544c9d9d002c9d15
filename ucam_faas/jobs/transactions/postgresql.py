"""A caller's connection to PostgreSQL, through psycopg 3, sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.columns import holder_values
from ucam_faas.jobs.stores.postgresql import PostgresqlStore, bare_cursor
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
    value_of,
)


class PsycopgCaller(DriverCaller):
    """A connection of psycopg, with or without autocommit."""

    def __init__(self, connection: Any, store: JobStore) -> None:
        super().__init__(connection, store)
        self.is_async = hasattr(connection, "__aenter__")
        self._block: Any = None
        """psycopg's own block of the transaction, which forbids commits inside of it."""

    async def begin(self) -> None:
        """Begin, with the connection's isolation level."""
        self._check_idle()
        block = self.connection.transaction()
        await value_of(block.__aenter__() if self.is_async else block.__enter__())
        self._block = block

    async def start(self) -> None:
        """Let the next statement begin."""
        self._check_idle()
        if self.connection.autocommit:
            raise commits_alone()

    async def join(self) -> None:
        """Take the open transaction."""
        if self._status == "IDLE":
            raise not_in_a_transaction()

    def check(self) -> None:
        """Refuse a transaction that has ended, or that PostgreSQL would roll back at its commit,
        without an error.
        """
        if self._status == "IDLE":
            raise ended_inside()
        if self._status == "INERROR":
            raise RuntimeError(
                "A statement of the block has failed, so PostgreSQL can't commit the others: let "
                "its error leave the block, or run it in a savepoint (connection.transaction())."
            )

    async def commit(self) -> None:
        """Commit."""
        self.check()
        if self._block is None:
            await value_of(self.connection.commit())
        else:
            await self._exit(None)

    async def rollback(self, error: BaseException) -> bool:
        """Roll back; psycopg.Rollback asks for that alone."""
        if self._block is not None:
            return await self._exit(error)
        await value_of(self.connection.rollback())
        return False

    async def bind(self, gate: Gate) -> BoundStore:
        """Return the store over this connection."""
        store, info = self.store, self.connection.info
        name = f"the PostgreSQL database {info.dbname} at {info.host}:{info.port}"
        if not isinstance(store, PostgresqlStore):
            raise elsewhere(name, store.name)
        bound = BoundPostgresqlStore(store, self, gate)
        (own,) = await bound.run("table", {})
        if not (await asyncio.to_thread(store.has, own) if self.is_async else store.has(own)):
            raise elsewhere(f"{name}, schema {own['schema']}", store.name)
        if own["jobs"] is None:
            raise JobStoreError(f"{store.name} has no table of jobs: run `ucam-faas jobs migrate`.")
        return bound

    @property
    def _status(self) -> str:
        return str(self.connection.info.transaction_status.name)

    def _check_idle(self) -> None:
        if self._status != "IDLE":
            raise in_a_transaction()

    async def _exit(self, error: BaseException | None) -> bool:
        block, self._block = self._block, None
        details = (None,) * 3 if error is None else (type(error), error, error.__traceback__)
        end = block.__aexit__ if self.is_async else block.__exit__
        return bool(await value_of(end(*details)))


class BoundPostgresqlStore(PostgresqlStore, BoundStore):
    """The store's statements over a caller's connection, in its transaction.

    Args:
        store: of the same database and schema.
        caller: the connection's.
        gate: of the transaction.
    """

    def __init__(self, store: PostgresqlStore, caller: PsycopgCaller, gate: Gate) -> None:
        self._psycopg, self._url = store._psycopg, store._url
        self._clock, self._sql = store._clock, store._sql
        self._caller, self._gate = caller, gate

    def end_of(self, key: Key) -> Future[Row]:
        """Refuse to wait in a transaction."""
        return unending(key)

    async def hold(self, row: Row) -> bool:
        """Keep other processes from a claimed job; see `BoundStore`."""
        self._caller.check()
        return bool(await self.run("hold", holder_values(row)))

    async def run(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a statement that has records on the connection, and return them."""
        with self._errors():
            cursor = bare_cursor(self._caller.connection, is_async=self._caller.is_async)
            await value_of(cursor.execute(self._sql[statement], self._timed(values)))
            records: list[dict[str, Any]] = await value_of(cursor.fetchall())
            return records

    def _read(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        async def checked() -> list[dict[str, Any]]:
            self._caller.check()
            return await self.run(statement, values)

        return self._gate.run(checked)

    _write = _read
