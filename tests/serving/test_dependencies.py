"""Dependencies of tasks that reach their deadline are closed when the function ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Annotated

from ucam_faas import Depends, message_handler
from ucam_faas.testing import ManualClock

from .harness import advance, make_app, on_a_loop, push, settle, start, until

TIMEOUT = timedelta(seconds=30)


@on_a_loop
async def test_those_of_an_async_task_are_closed_at_once() -> None:
    clock, seen = ManualClock(), []

    async def connection() -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    @message_handler(timeout=TIMEOUT)
    async def task(data: bytes, db: Annotated[None, Depends(connection)]) -> None:
        seen.append("begun")
        await asyncio.Event().wait()

    request = start(push(make_app(task, clock=clock), "task"))
    await settle()
    await advance(clock, 30)

    assert (await request).status == 504
    assert seen == ["begun", "cancelled", "closed"]


@on_a_loop
async def test_those_of_a_sync_task_are_closed_when_its_function_ends() -> None:
    """A thread can't be stopped."""
    clock = ManualClock()
    begun, release, closed = threading.Event(), threading.Event(), threading.Event()

    def connection() -> Iterator[None]:
        try:
            yield
        finally:
            closed.set()

    @message_handler(timeout=TIMEOUT)
    def task(data: bytes, db: Annotated[None, Depends(connection)]) -> None:
        begun.set()
        release.wait()

    request = start(push(make_app(task, clock=clock), "task"))
    await until(begun)
    await advance(clock, 30)

    assert (await request).status == 504
    assert not closed.is_set()
    release.set()
    await until(closed)
