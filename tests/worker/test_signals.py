"""Signals to a worker, and a stop while it starts."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

from tests.serving.harness import Held, on_a_loop

from .harness import cloud, until, working
from .test_worker import task


@on_a_loop
async def test_a_signal_ends_all_workers_of_the_process() -> None:
    async with cloud() as pubsub:
        workers = [
            pubsub.worker(task(print, name), handle_signals=True) for name in ("task", "other")
        ]
        running = [asyncio.ensure_future(worker.run()) for worker in workers]
        await until(lambda: all(worker.is_pulling for worker in workers), "they pull")

        os.kill(os.getpid(), signal.SIGTERM)

        results = await asyncio.gather(*running)

    assert [result.processed for result in results] == [0, 0]


@on_a_loop
async def test_a_worker_leaves_the_signal_handlers_as_they_were() -> None:
    def own(number: int, frame: Any) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:
        async with cloud() as pubsub:
            worker = pubsub.worker(task(print), handle_signals=True)
            async with working(worker):
                assert signal.getsignal(signal.SIGTERM) is not own

        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


@on_a_loop
async def test_a_second_signal_ends_the_grace() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held), handle_signals=True)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            await until(held.begun.is_set, "it runs")

            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: not worker.is_pulling, "it ends")
            os.kill(os.getpid(), signal.SIGINT)

            result = await running
            held.release.set()

    assert (result.processed, result.returned) == (0, 1)


@on_a_loop
async def test_a_stop_does_not_wait_for_start_up_code() -> None:
    begun, release = threading.Event(), threading.Event()

    def load_model() -> None:
        begun.set()
        release.wait(30)

    async with cloud() as pubsub:
        worker = pubsub.worker(task(print, init=[load_model]))
        running = asyncio.ensure_future(worker.run())
        await until(begun.is_set, "it starts")

        worker.stop()

        assert (await running).processed == 0
        assert not release.is_set()
        release.set()


@on_a_loop
async def test_a_worker_runs_once_at_a_time() -> None:
    async with cloud() as pubsub:
        worker = pubsub.worker(task(print))
        async with working(worker):
            with pytest.raises(RuntimeError, match="runs already"):
                await worker.run()
