"""The transaction of a caller: jobs that are sent in it exist from its commit on.

    caller ─ begin ─► Transaction (CURRENT) ─ statements of the store, on the caller's connection
           ─ commit ─► the hooks: wakes │ rollback ─► nothing

`drivers` and the modules beside it know the drivers; the rest of the package asks `within`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores import JobStore

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Transaction:
    """An open transaction.

    Args:
        connection: the caller's, as it was passed.
        store: of the jobs.
        bound: the same store, over the caller's connection.
        is_async: the connection is used on an event loop.
        on_commit: called after the commit, in order.
        on_rollback: called at a rollback, and after a commit that failed.
        completed: the job that ends with the commit.
        refusal: forbids the commit.
        is_open: it hasn't ended.
    """

    connection: Any
    store: JobStore
    bound: JobStore
    is_async: bool
    on_commit: list[Callable[[], object]] = field(default_factory=list)
    on_rollback: list[Callable[[], object]] = field(default_factory=list)
    completed: Key | None = None
    refusal: Exception | None = None
    is_open: bool = True


CURRENT: ContextVar[Transaction | None] = ContextVar("TRANSACTION", default=None)
"""Set in a block of `ucam_faas.transaction`, and in the tasks that start in it."""


def current() -> Transaction | None:
    """Return the open transaction of this context."""
    transaction = CURRENT.get()
    return transaction if transaction is not None and transaction.is_open else None


def within(store: JobStore) -> JobStore:
    """Return the store over the connection of this context's transaction, if there is one.

    After the end of the transaction, its statements raise an error: code that began in the block
    neither adds to a committed transaction nor sends after a rollback.
    """
    transaction = CURRENT.get()
    return store if transaction is None or transaction.store is not store else transaction.bound


async def in_thread(function: Callable[..., ResultT], *args: Any, **options: Any) -> ResultT:
    """Call a function in a thread; in this one, if a sync connection's transaction is open: that
    of sqlite3 can't be used in another.
    """
    transaction = current()
    if transaction is not None and not transaction.is_async:
        return function(*args, **options)
    return await asyncio.to_thread(function, *args, **options)
