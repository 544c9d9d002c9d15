"""A worker gathers the messages of a batch task, and answers each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from tests.serving.harness import Held, on_a_loop
from ucam_faas import BatchMessage, BatchResult, Retry

from .harness import cloud, until, working
from .ordering import OrderTrial

AT_ONCE = ucam_faas.RetryPolicy(
    max_attempts=None, min_backoff=timedelta(0), max_backoff=timedelta(0)
)
LONG, SOON = timedelta(minutes=10), timedelta(milliseconds=20)
Messages = list[BatchMessage[bytes]]


def batch_task(act: Callable[[Messages], Any], **options: Any) -> Any:
    options = {"name": "task", "max_wait": LONG, **options}

    @ucam_faas.batch_handler(message_type=None, **options)
    def function(messages: Messages) -> Any:
        return act(messages)

    return function


def data_of(messages: Messages) -> list[bytes]:
    return [message.payload for message in messages]


def waiting(worker: Any) -> list[Any]:
    """Return the messages that a worker has pulled, and not started."""
    (queue,) = worker._session._dispatcher._queues.values()
    return [*queue._waiting]


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
        function = batch_task(lambda batch: seen.append(len(batch)), max_wait=SOON)
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

    def fail_once(batch: Messages) -> BatchResult | None:
        seen.append(data_of(batch))
        if len(seen) > 1:
            return None
        return BatchResult({each: Retry for each in batch if each.payload in (b"1", b"3")})

    async with cloud() as pubsub:
        function = batch_task(fail_once, max_messages=4, max_wait=SOON, retry=AT_ONCE)
        worker = pubsub.worker(function, messages_limit=6)
        async with working(worker) as running:
            pubsub.publish("task", b"0", b"1", b"2", b"3")
            result = await running

        assert sorted(data for batch in seen[1:] for data in batch) == [b"1", b"3"]
        assert result.outcomes == {"done": 4, "retry": 2}
        assert pubsub.waiting("task") == 0


@on_a_loop
async def test_a_rejected_message_becomes_a_dead_letter_without_the_others() -> None:
    seen: list[list[int]] = []

    @ucam_faas.batch_handler(name="task", max_messages=3, max_wait=LONG)
    def function(messages: list[BatchMessage[int]]) -> None:
        seen.append([each.payload for each in messages])

    async with cloud() as pubsub:
        worker = pubsub.worker(function, messages_limit=3)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"two", b"3")
            result = await running

        assert [sorted(batch) for batch in seen] == [[1, 3]]
        assert result.outcomes == {"done": 2, "dead_lettered": 1}
        assert (pubsub.waiting("task"), pubsub.waiting("task-dead-letter")) == (0, 1)


@on_a_loop
async def test_an_exception_returns_all() -> None:
    seen: list[list[bytes]] = []

    def fail_once(batch: Messages) -> None:
        seen.append(data_of(batch))
        if len(seen) == 1:
            raise ValueError

    async with cloud() as pubsub:
        function = batch_task(fail_once, max_messages=2, retry=AT_ONCE)
        worker = pubsub.worker(function, messages_limit=4)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            result = await running

    assert [sorted(batch) for batch in seen] == [[b"1", b"2"]] * 2
    assert result.outcomes == {"crashed": 2, "done": 2}


@on_a_loop
async def test_a_batch_that_is_not_done_in_time_returns_all() -> None:
    held, seen = Held(), list[list[bytes]]()

    def block_once(batch: Messages) -> None:
        seen.append(data_of(batch))
        if len(seen) == 1:
            held()

    async with cloud() as pubsub:
        timeout = timedelta(seconds=0.3)
        function = batch_task(block_once, max_messages=2, retry=AT_ONCE, timeout=timeout)
        worker = pubsub.worker(function, messages_limit=4)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            result = await running
        held.release.set()

    assert [sorted(batch) for batch in seen] == [[b"1", b"2"]] * 2
    assert result.outcomes == {"timed_out": 2, "done": 2}


@on_a_loop
async def test_a_batch_that_gathers_is_given_back_at_the_end() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(batch_task(held, max_messages=2))
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            await until(held.begun.is_set, "the batch runs")
            pubsub.publish("task", b"3")
            await until(lambda: len(waiting(worker)) == 1, "another gathers")
            worker.stop()
            held.release.set()
            result = await running

        assert (result.outcomes, result.returned) == ({"done": 2}, 1)
        assert pubsub.waiting("task") == 1


@on_a_loop
async def test_a_batch_that_outlasts_the_grace_is_given_back() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(batch_task(held, max_messages=2), graceful_shutdown_time=0.1)
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2")
            await until(held.begun.is_set, "the batch runs")
            worker.stop()
            result = await running
        held.release.set()

        assert (result.processed, result.returned) == (0, 2)
        assert pubsub.waiting("task") == 2


@pytest.mark.slow
@on_a_loop
async def test_a_batch_may_gather_for_longer_than_a_lease() -> None:
    seen: list[list[int | None]] = []

    def note(batch: Messages) -> None:
        seen.append([each.delivery_attempt for each in batch])

    async with cloud() as pubsub:
        function = batch_task(note, max_wait=timedelta(seconds=12))
        async with working(pubsub.worker(function, lease_seconds=10)):
            pubsub.publish("task", b"1", b"2")
            await until(lambda: seen, "it has waited", 60)
            await until(lambda: pubsub.waiting("task") == 0, "it is acknowledged")

    assert seen == [[1, 1]]


@on_a_loop
async def test_one_batch_runs_at_a_time_unless_the_task_says_otherwise() -> None:
    for concurrency in (None, 2):
        held = Held()
        async with cloud() as pubsub:
            function = batch_task(held, max_messages=1, concurrency=concurrency)
            worker = pubsub.worker(function)
            async with working(worker):
                pubsub.publish("task", b"1", b"2", b"3")
                await until(lambda h=held, n=concurrency: len(h.seen) == (n or 1), "they run")
                await until(lambda w=worker: waiting(w), "the next waits")
                assert len(held.seen) == (concurrency or 1)
                held.release.set()


@on_a_loop
async def test_a_batch_counts_as_one_of_the_workers_limit() -> None:
    held, others = Held(), list[bytes]()

    @ucam_faas.message_handler(message_type=None, name="single", run_as="worker")
    def single(data: bytes) -> None:
        others.append(data)

    async with cloud() as pubsub:
        worker = pubsub.worker(batch_task(held, max_messages=5), single, tasks_limit=2)
        async with working(worker):
            pubsub.publish("task", *[b"x"] * 5)
            await until(held.begun.is_set, "the batch runs")
            pubsub.publish("single", b"1", b"2")
            await until(lambda: len(others) == 2, "the others run beside it")
            held.release.set()


@on_a_loop
async def test_neither_batches_nor_single_messages_starve() -> None:
    started: list[str] = []

    @ucam_faas.message_handler(message_type=None, name="single", run_as="worker")
    def single(data: bytes) -> None:
        started.append("single")

    async with cloud() as pubsub:
        pubsub.subscribe("task", "task")
        pubsub.subscribe("single", "single")
        pubsub.publish("task", *[b"x"] * 20)
        pubsub.publish("single", *[b"x"] * 20)
        function = batch_task(lambda batch: started.append("batch"), max_messages=2)
        worker = pubsub.worker(function, single, tasks_limit=1, messages_limit=40)
        async with working(worker) as running:
            result = await running

    assert result.outcomes == {"done": 40}
    assert {*started[:8]} == {"batch", "single"}


@pytest.mark.parametrize("seed", range(4))
@on_a_loop
async def test_single_messages_keep_their_order_whatever_fails(seed: int) -> None:
    trial = OrderTrial(seed)

    @ucam_faas.message_handler(message_type=None, name="task", ordered=True, retry=AT_ONCE)
    def function(data: bytes) -> None:
        message = ucam_faas.MESSAGE_CONTEXT.get().pubsub_message
        if trial.run([BatchMessage(data, message)]).failures:
            raise Retry

    async with cloud() as pubsub, working(pubsub.worker(function)):
        for number in range(trial.count):
            pubsub.publish("task", str(number).encode(), key=trial.key_of(number))
        await until(lambda: pubsub.waiting("task") == 0, "all are acknowledged", 60)

    trial.check()


@pytest.mark.parametrize("seed", range(4))
@on_a_loop
async def test_a_keys_messages_keep_their_order_whatever_fails(seed: int) -> None:
    trial = OrderTrial(seed)
    async with cloud() as pubsub:
        function = batch_task(
            trial.run, max_messages=7, max_wait=SOON, ordered=True, retry=AT_ONCE, concurrency=2
        )
        async with working(pubsub.worker(function)):
            for number in range(trial.count):
                key = trial.key_of(number)
                pubsub.publish("task", str(number).encode(), key=key)
            await until(lambda: pubsub.waiting("task") == 0, "all are acknowledged", 60)

    trial.check()
