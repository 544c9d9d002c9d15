"""A worker takes few messages of long tasks, and many of short ones."""

from __future__ import annotations

import asyncio

import pytest

import ucam_faas
from tests.serving.harness import Held, on_a_loop
from ucam_faas.worker.pace import Pace
from ucam_faas.worker.streams import Stream
from ucam_faas.worker.worker import Worker

from .harness import cloud, until, working
from .test_worker import task


@pytest.mark.parametrize(
    ("seconds", "size"),
    [(0.001, 110), (0.1, 110), (1.0, 20), (5.0, 12), (3600.0, 11)],
)
def test_as_many_wait_as_start_within_a_second(seconds: float, size: int) -> None:
    pace = Pace(10)

    for _ in range(20):
        pace.add(seconds)

    assert pace.size in (size, 11)  # it stays as it was, unless it has to double
    assert (pace.size == 11) == (size < 22)


def test_a_share_shrinks_when_runs_get_long() -> None:
    pace = Pace(10)
    for _ in range(20):
        pace.add(0.001)

    sizes = [size for _ in range(200) if (size := pace.add(60.0)) is not None]

    assert sizes[-1] <= 15


def test_the_limit_of_messages_is_never_exceeded() -> None:
    pace = Pace(10, 3)
    for _ in range(20):
        pace.add(0.001)

    assert pace.size == 3


@on_a_loop
async def test_messages_behind_a_long_task_are_left_to_other_workers() -> None:
    first, second = Held(), list[bytes]()
    async with cloud() as pubsub:
        long = pubsub.worker(task(first, concurrency=1))
        async with working(long):
            pubsub.publish("task", *[b"%d" % number for number in range(20)])
            await until(first.begun.is_set, "it runs")
            async with working(pubsub.worker(task(second.append, concurrency=1))):
                await until(lambda: len(second) == 18, "the other has all but two")
            first.release.set()
            await until(lambda: len(first.seen) == 2, "the second has run")


@on_a_loop
async def test_a_stream_that_ends_while_a_task_runs_brings_no_more_messages() -> None:
    """Google ends each stream after some time, and counts those of the next one by itself."""
    first, second = Held(), list[bytes]()
    async with cloud() as pubsub:
        long = pubsub.worker(task(first, concurrency=1))
        async with working(long):
            pubsub.publish("task", *[b"%d" % number for number in range(20)])
            stream = _stream(long)
            await until(lambda: len(stream._held) == 2, "one runs, and one waits")
            stream.resize()
            await until(lambda: stream._closing is None, "the stream has ended")
            assert stream._call is None, "no other is opened"
            async with working(pubsub.worker(task(second.append, concurrency=1))):
                await until(lambda: len(second) == 18, "the other has all but two")
            pubsub.publish("task", b"20")
            first.release.set()
            await until(lambda: len(first.seen) == 3, "it pulls again")


@on_a_loop
async def test_a_stream_beside_an_earlier_one_takes_the_rest_of_the_share() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held, concurrency=1))
        async with working(worker):
            pubsub.publish("task", b"1")
            stream = _stream(worker)
            await until(held.begun.is_set, "it runs")
            stream.resize()
            await until(lambda: stream._limit == 1, "another stream is open")
            pubsub.publish("task", b"2", b"3")
            await until(lambda: len(stream._held) == 2, "one runs, and one waits")
            held.release.set()
            await until(lambda: stream._limit == 2, "the whole share is free")
            await until(lambda: len(held.seen) == 3, "all have run")


@on_a_loop
async def test_a_worker_takes_more_when_its_runs_are_short() -> None:
    seen: list[bytes] = []

    @ucam_faas.message_handler(message_type=None, name="task", concurrency=1)
    async def function(data: bytes) -> None:
        await asyncio.sleep(0)
        seen.append(data)

    async with cloud() as pubsub:
        worker = pubsub.worker(function)
        async with working(worker):
            pubsub.publish("task", *[b"%d" % number for number in range(300)])
            await until(lambda: len(seen) >= 300, "all have run")
            session = worker._session
            assert session is not None
            assert max(pace.size for pace in session._paces.values()) == 101
            await until(
                lambda: not any(map(session._held.of, session._sources)), "all are answered"
            )

        assert len(seen) == len(set(seen)) == 300
        assert pubsub.waiting("task") == 0


def _stream(worker: Worker) -> Stream:
    """Return the stream of the topic's subscription."""
    assert worker._session is not None
    return next(
        stream for source, stream in worker._session._streams.items() if not source.is_inbox
    )
