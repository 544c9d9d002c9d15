"""Connections of callers, of every kind, to a database with orders beside the jobs."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import ManualClock

INBOX = "charge-inbox"
CREATE = "CREATE TABLE orders (id INTEGER PRIMARY KEY)"


def sqlalchemy(module: str = "sqlalchemy") -> Any:
    """Return SQLAlchemy, of which the package's tests need nothing else."""
    return pytest.importorskip(module)


async def value_of(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@dataclass
class Caller:
    """A connection, used in the same way whatever its kind."""

    connection: Any

    @property
    def is_async(self) -> bool:
        return hasattr(self.connection, "__aenter__")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        block = ucam_faas.transaction(self.connection)
        if self.is_async:
            async with block as connection:
                yield connection
        else:
            with block as connection:
                yield connection

    async def execute(self, statement: str) -> None:
        """Run a statement as the caller does."""
        of_sqlalchemy = hasattr(self.connection, "in_transaction") and not isinstance(
            self.connection, sqlite3.Connection
        )
        text: Any = sqlalchemy().text(statement) if of_sqlalchemy else statement
        await value_of(self.connection.execute(text))

    async def begin(self) -> None:
        """Begin, where the next statement doesn't."""
        if getattr(self.connection, "autocommit", False) is True or (
            getattr(self.connection, "isolation_level", "") is None
            and isinstance(self.connection, sqlite3.Connection)
        ):
            await self.execute("BEGIN")

    async def order(self, id: int) -> None:
        await self.execute(f"INSERT INTO orders VALUES ({id})")


@asynccontextmanager
async def closing(connection: Any, *owners: Any) -> AsyncIterator[Caller]:
    """Close a connection after its test, and the engine that made it."""
    try:
        yield Caller(connection)
    finally:
        await value_of(connection.close())
        for owner in owners:
            await value_of(owner.dispose())


def _sqlite(**options: Any) -> Callable[[str], Any]:
    return lambda url: closing(sqlite3.connect(url.removeprefix("sqlite:"), **options))


def _psycopg(**options: Any) -> Callable[[str], Any]:
    return lambda url: closing(psycopg.connect(url, **options))


def _async_psycopg(**options: Any) -> Callable[[str], Any]:
    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Caller]:
        connection = await psycopg.AsyncConnection.connect(url, **options)
        async with closing(connection) as caller:
            yield caller

    return connect


def engine_url(url: str) -> str:
    """Return a store's URL as SQLAlchemy has it."""
    if url.startswith("sqlite:"):
        return url.replace("sqlite:", "sqlite:///")
    return url.replace("postgresql:", "postgresql+psycopg:")


def _engine(connect: Callable[[Any], Any]) -> Callable[[str], Any]:
    def caller(url: str) -> Any:
        engine = sqlalchemy().create_engine(engine_url(url))
        return closing(connect(engine), engine)

    return caller


def _async_engine(connect: Callable[[Any], Any]) -> Callable[[str], Any]:
    @asynccontextmanager
    async def caller(url: str) -> AsyncIterator[Caller]:
        engine = sqlalchemy("sqlalchemy.ext.asyncio").create_async_engine(engine_url(url))
        connection = connect(engine)
        if inspect.isawaitable(connection):
            connection = await connection
        async with closing(connection, engine) as made:
            yield made

    return caller


def _session(engine: Any) -> Any:
    return sqlalchemy("sqlalchemy.orm").Session(engine)


def _async_session(engine: Any) -> Any:
    return sqlalchemy("sqlalchemy.ext.asyncio").AsyncSession(engine)


KINDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "sqlite3": ("sqlite", _sqlite()),
    "sqlite3 without isolation": ("sqlite", _sqlite(isolation_level=None)),
    "sqlite3 exclusive": ("sqlite", _sqlite(isolation_level="EXCLUSIVE", check_same_thread=False)),
    "psycopg": ("postgresql", _psycopg()),
    "psycopg with autocommit": ("postgresql", _psycopg(autocommit=True)),
    "psycopg with client cursors": ("postgresql", _psycopg(cursor_factory=psycopg.RawCursor)),
    "async psycopg": ("postgresql", _async_psycopg()),
    "async psycopg with autocommit": ("postgresql", _async_psycopg(autocommit=True)),
    "SQLAlchemy, SQLite": ("sqlite", _engine(lambda engine: engine.connect())),
    "SQLAlchemy, PostgreSQL": ("postgresql", _engine(lambda engine: engine.connect())),
    "session, SQLite": ("sqlite", _engine(_session)),
    "session, PostgreSQL": ("postgresql", _engine(_session)),
    "async SQLAlchemy": ("postgresql", _async_engine(lambda engine: engine.connect())),
    "async session": ("postgresql", _async_engine(_async_session)),
}
"""By name: the store that the connection is to, and a maker of connections to it."""


class Till:
    """A process with a store, a Pub/Sub, and a database with orders."""

    def __init__(self, url: str, kind: str) -> None:
        self.url, self.kind, self.caller = url, kind, lambda: KINDS[kind][1](url)
        store = runtime.store_of(Settings(job_store=url))
        assert store is not None
        self.store: JobStore = store
        self.publisher = MemoryPublisher({INBOX: []})
        runtime.CURRENT.set(Runtime(Settings(), ManualClock(), self.publisher, store=store))
        self.on_another_connection(CREATE)

    @contextmanager
    def database(self) -> Iterator[Any]:
        """Return another connection."""
        if self.url.startswith("sqlite:"):
            connection: Any = sqlite3.connect(self.url.removeprefix("sqlite:"))
        else:
            connection = psycopg.connect(self.url)
        try:
            yield connection
        finally:
            connection.close()

    def on_another_connection(self, statement: str) -> list[Any]:
        """Run a statement, and return its records."""
        with self.database() as connection:
            cursor = connection.execute(statement)
            records = cursor.fetchall() if cursor.description else []
            connection.commit()
        return list(records)

    @property
    def orders(self) -> list[int]:
        return [id for (id,) in self.on_another_connection("SELECT id FROM orders ORDER BY id")]

    @property
    def jobs(self) -> set[str]:
        return {row.key.id for row in self.store.find("default")}

    @property
    def wakes(self) -> list[str]:
        return [message.attributes["ucam_faas_job"] for message in self.publisher.topics[INBOX]]
