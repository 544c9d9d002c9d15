"""A body's memory is freed when its request is answered, without the garbage collector.

Otherwise a process that is sent many broken bodies holds them, and no limit counts them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.execution import off_loop

from .harness import make_app, on_a_loop, push, settle, start, until


class Part(bytearray):
    """Bytes that a weak reference can watch, to see if they are still in memory."""


@ucam_faas.raw_event
def raw(body: bytes) -> None:
    pass


@pytest.fixture(autouse=True)
def _no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@on_a_loop
async def test_a_body_that_never_is_whole_is_freed_when_it_is_refused() -> None:
    app = make_app(raw)
    parts: list[weakref.ref[Part]] = []

    async def receive() -> dict[str, Any]:
        if parts:
            await asyncio.get_running_loop().create_future()
        part = Part(1000)
        parts.append(weakref.ref(part))
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(event: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/raw", "headers": []}
    request = start(app(scope, receive, send))
    await settle()
    assert parts[0]() is not None

    app.service.drain()
    await request
    del request

    assert parts[0]() is None


@on_a_loop
async def test_work_off_the_loop_that_fails_is_freed() -> None:
    freed = threading.Event()

    def decode() -> None:
        part = Part(1000)
        weakref.finalize(part, freed.set)
        raise ValueError

    with suppress(ValueError):
        await off_loop.in_thread(decode)

    await until(freed)  # the thread itself ends a moment later


@on_a_loop
async def test_a_sync_task_that_fails_is_freed_when_it_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="ucam_faas")  # pytest keeps records
    freed = threading.Event()

    @ucam_faas.message_handler(message_type=None)
    def crash(data: bytes) -> None:
        part = Part(1000)
        weakref.finalize(part, freed.set)
        raise ValueError

    response = await push(make_app(crash, clock=SystemClock()), "crash")

    assert response.status == 500
    await until(freed)  # the thread itself goes on a moment later
