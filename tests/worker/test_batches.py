"""A worker gathers the messages of a batch task, and answers each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import ucam_faas
from tests.serving.harness import on_a_loop
from ucam_faas import BatchMessage, BatchResult, Retry

from .harness import cloud, working

AT_ONCE = ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0))
LONG = timedelta(minutes=10)


def batch_task(act: Callable[[list[BatchMessage[bytes]]], Any], **options: Any) -> Any:
    options = {"name": "task", "max_wait": LONG, **options}

    @ucam_faas.batch_handler(message_type=None, **options)
    def function(messages: list[BatchMessage[bytes]]) -> Any:
        return act(messages)

    return function


def data_of(messages: list[BatchMessage[bytes]]) -> list[bytes]:
    return [message.payload for message in messages]


@on_a_loop
async def test_a_full_batch_runs_at_once() -> None:
    seen: list[list[bytes]] = []
    async with cloud() as pubsub:
        function = batch_task(lambda batch: seen.append(data_of(batch)), max_messages=3)
        worker = pubsub.worker(function, messages_limit=6)
        async with working(worker) as running:
            pubsub.publish("task", *[str(number).encode() for number in range(6)])
            result = await running

        assert sorted(map(len, seen)) == [3, 3]
        assert sorted(data for batch in seen for data in batch) == [b"%d" % n for n in range(6)]
        assert (result.processed, result.outcomes) == (6, {"done": 6})
        assert pubsub.waiting("task") == 0


@on_a_loop
async def test_an_incomplete_batch_runs_when_its_first_message_has_waited() -> None:
    seen: list[int] = []
    async with cloud() as pubsub:
        function = batch_task(
            lambda batch: seen.append(len(batch)), max_wait=timedelta(milliseconds=20)
        )
        worker = pubsub.worker(function, messages_limit=2)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            await running

    assert seen == [2]


@on_a_loop
async def test_an_async_function_runs_on_the_loop() -> None:
    threads: list[threading.Thread] = []

    @ucam_faas.batch_handler(max_messages=2, max_wait=LONG)
    async def task(messages: list[BatchMessage[int]]) -> None:
        threads.append(threading.current_thread())

    async with cloud() as pubsub:
        worker = pubsub.worker(task, messages_limit=2)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            result = await running

    assert threads == [threading.main_thread()]
    assert result.outcomes == {"done": 2}


@on_a_loop
async def test_only_the_messages_that_failed_come_back() -> None:
    seen: list[list[bytes]] = []

    def fail_once(batch: list[BatchMessage[bytes]]) -> BatchResult | None:
        seen.append(data_of(batch))
        if len(seen) > 1:
            return None
        return BatchResult({each: Retry for each in batch if each.payload in (b"1", b"3")})

    async with cloud() as pubsub:
        function = batch_task(
            fail_once, max_messages=4, max_wait=timedelta(milliseconds=20), retry=AT_ONCE
        )
        worker = pubsub.worker(function, messages_limit=6)
        async with working(worker) as running:
            pubsub.publish("task", b"0", b"1", b"2", b"3")
            result = await running

        assert sorted(data for batch in seen[1:] for data in batch) == [b"1", b"3"]
        assert result.outcomes == {"done": 4, "retry": 2}
        assert pubsub.waiting("task") == 0
