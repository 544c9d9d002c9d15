"""A caller's connection, whatever its driver: begun, committed and bound to the store.

Its methods are coroutines. Those of a sync connection never wait, and `drive` runs them without a
loop, so that sync and async connections share all code.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

ResultT = TypeVar("ResultT")


class Gate:
    """Lets statements through, one at a time, until the transaction ends.

    Args:
        is_async: the connection is used on the running event loop.
    """

    def __init__(self, *, is_async: bool) -> None:
        self._loop = asyncio.get_running_loop() if is_async else None
        self._on_loop, self._lock = asyncio.Lock(), threading.RLock()
        self._is_open = True

    def run(self, statement: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run a statement, from any thread.

        Raises:
            RuntimeError: the transaction has ended, or this is the thread of the event loop.
        """
        if self._loop is None:
            with self.held():
                return drive(statement())
        if asyncio._get_running_loop() is self._loop:
            raise RuntimeError(
                "The transaction's connection is async, and this call would block its event loop: "
                "await the method's twin, such as send_async or complete_async."
            )
        return asyncio.run_coroutine_threadsafe(self._run(statement), self._loop).result()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other threads from a sync connection.

        Raises:
            RuntimeError: the transaction has ended.
        """
        with self._lock:
            self._check()
            yield

    async def close(self) -> None:
        """Wait for the statement under way, and let no more through, also if that is cancelled."""
        try:
            if self._loop is None:
                with self._lock:
                    self._is_open = False
            else:
                async with self._on_loop:
                    self._is_open = False
        finally:
            self._is_open = False

    async def _run(self, statement: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        async with self._on_loop:
            self._check()
            return await statement()

    def _check(self) -> None:
        if not self._is_open:
            raise RuntimeError(
                "The transaction has ended: a thread or a task that began in its block can't use "
                "jobs after it. Wait for it inside of the block, or start it outside."
            )


class BoundStore(JobStore, Protocol):
    """A store over a caller's connection, in its transaction."""

    async def hold(self, row: Row) -> bool:
        """Keep other processes from a claimed job until the transaction ends, also after its gate
        is closed; return False if another claim has made this one void.

        A job that has ended with success under this claim is held: its own task completed it.
        """


class Caller(ABC):
    """A caller's connection.

    Args:
        connection: the caller's.
        store: of the jobs.
    """

    is_async = False

    def __init__(self, connection: Any, store: JobStore) -> None:
        self.connection = connection
        self.store = store

    @abstractmethod
    async def begin(self) -> None:
        """Begin a transaction.

        Raises:
            RuntimeError: there is one, or the connection commits by itself.
        """

    @abstractmethod
    async def join(self) -> None:
        """Take the transaction that is open, in order to commit it.

        Raises:
            RuntimeError: there is none.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Commit.

        Raises:
            RuntimeError: there is nothing to commit: the block has ended the transaction itself,
                or one of its statements has failed.
        """

    @abstractmethod
    async def rollback(self, error: BaseException) -> bool:
        """Roll back what is open, and return True if the error asked for that alone."""

    @abstractmethod
    async def bind(self, gate: Gate) -> BoundStore:
        """Return the store over this connection.

        Raises:
            ConfigurationError: the store is elsewhere.
        """


class DriverCaller(Caller):
    """A driver's connection."""

    @abstractmethod
    async def start(self) -> None:
        """Begin the transaction that another library commits, through the driver.

        Raises:
            RuntimeError: its commit would do nothing.
        """

    @abstractmethod
    def check(self) -> None:
        """Refuse a transaction that can't be committed.

        Raises:
            RuntimeError: see `commit`.
        """


def drive(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: ResultT = end.value
        return result
    work.close()
    raise AssertionError("a sync connection was awaited")


async def value_of(value: Any) -> Any:
    """Return a value, after awaiting it if it is awaitable."""
    return await value if inspect.isawaitable(value) else value


def in_a_transaction() -> RuntimeError:
    """Return the error of a connection whose transaction is open already."""
    return RuntimeError(
        "The connection is in a transaction already, and the block has to begin its own, because "
        "it commits: commit or roll back before it, or move the earlier statements into it."
    )


def not_in_a_transaction() -> RuntimeError:
    """Return the error of a job that would be completed apart from its effects."""
    return RuntimeError(
        "The connection isn't in a transaction, so the job can't be completed together with its "
        "effects: write them and complete the job in `with ucam_faas.transaction(connection):`."
    )


def commits_alone() -> RuntimeError:
    """Return the error of a connection whose commits by SQLAlchemy do nothing."""
    return RuntimeError(
        "The connection commits each statement by itself (autocommit), so SQLAlchemy can't commit "
        "them together: use an engine with another isolation level than AUTOCOMMIT."
    )


def ended_inside() -> RuntimeError:
    """Return the error of a block whose own code has ended the transaction."""
    return RuntimeError(
        "The block has committed or rolled back its transaction itself. Leave that to its end: the "
        "jobs of a commit inside of it are woken by the sweep."
    )


def elsewhere(connection: str, store: str) -> ConfigurationError:
    """Return the error of a connection to another database than the store's."""
    return ConfigurationError(
        f"The connection is to {connection}, and jobs are kept in {store}. A transaction can have "
        "both only in one database: have UCAM_FAAS_JOB_STORE name that of the connection, or send "
        "after your commit."
    )


def unending(key: Key) -> Future[Row]:
    """Return the end of a job that is awaited in a transaction: an error."""
    future: Future[Row] = Future()
    future.set_exception(
        RuntimeError(
            f"The end of the job {key.id!r} can't be awaited in a transaction: a job that is sent "
            "in it runs after its commit. Wait after the block."
        )
    )
    return future
