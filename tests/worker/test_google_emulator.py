"""A worker on Google's own Pub/Sub emulator."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import PublisherClient, PubsubMessage

import ucam_faas
from tests.integration.emulator import PROJECT, Emulator, running_emulator
from tests.integration.processes import wait_until
from ucam_faas import BatchMessage, BatchResult, Retry
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.worker.worker import Worker

from .harness import until, working
from .ordering import OrderTrial
from .processes import worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("google")) as emulator:
        yield emulator


def worker_of(google: Emulator, function: object, **options: int) -> Worker:
    settings = Settings(pubsub_emulator=google.host, project=PROJECT)
    runtime = Runtime(settings, SystemClock(), connect=publisher_of)
    return Worker([function], handle_signals=False, runtime=runtime, **options)


def test_messages_are_processed_and_acknowledged(google: Emulator) -> None:
    seen: Counter[bytes] = Counter()

    @ucam_faas.message_handler(message_type=None, name="on-google")
    async def function(data: bytes) -> None:
        seen[data] += 1

    async def run() -> None:
        worker = worker_of(google, function, messages_limit=300)
        async with working(worker) as running:
            topic = f"projects/{PROJECT}/topics/on-google"
            for number in range(300):
                google.publisher.publish(topic, str(number).encode())
            result = await running
            assert result.outcomes == {"done": 300}

    asyncio.run(run())

    assert set(seen.values()) == {1}
    assert google.pull(f"projects/{PROJECT}/subscriptions/on-google", seconds=1) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_messages_of_a_batch_keep_their_order_whatever_fails(
    google: Emulator, seed: int
) -> None:
    trial, name = OrderTrial(seed), f"ordered-{seed}"
    retry = ucam_faas.RetryPolicy(
        max_attempts=None, min_backoff=timedelta(0), max_backoff=timedelta(0)
    )

    @ucam_faas.batch_handler(
        name=name, max_messages=7, max_wait=timedelta(milliseconds=20), ordered=True, retry=retry
    )
    def function(messages: list[BatchMessage[bytes]]) -> BatchResult:
        return trial.run(messages)

    async def run() -> None:
        worker = worker_of(google, function)
        topic = f"projects/{PROJECT}/topics/{name}"
        async with working(worker):
            messages = [
                PubsubMessage(data=str(number).encode(), ordering_key=trial.key_of(number))
                for number in range(trial.count)
            ]
            PublisherClient.publish(google.publisher, topic=topic, messages=messages)
            await until(lambda: trial.is_done, "all are handled", 60)

    asyncio.run(run())

    trial.check()


def test_only_the_failed_messages_of_a_batch_come_back(google: Emulator) -> None:
    seen: list[list[bytes]] = []

    @ucam_faas.batch_handler(
        name="batch-on-google",
        max_messages=4,
        max_wait=timedelta(milliseconds=200),
        retry=ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0)),
    )
    async def function(messages: list[BatchMessage[bytes]]) -> BatchResult | None:
        seen.append(sorted(each.payload for each in messages))
        if len(seen) > 1:
            return None
        return BatchResult({each: Retry for each in messages if each.payload in (b"1", b"3")})

    async def run() -> None:
        worker = worker_of(google, function, messages_limit=6)
        async with working(worker) as running:
            topic = f"projects/{PROJECT}/topics/batch-on-google"
            for number in range(4):
                google.publisher.publish(topic, str(number).encode())
            assert (await running).outcomes == {"done": 4, "retry": 2}

    asyncio.run(run())

    assert seen[0] == [b"0", b"1", b"2", b"3"]
    assert sorted(data for batch in seen[1:] for data in batch) == [b"1", b"3"]
    assert google.pull(f"projects/{PROJECT}/subscriptions/batch-on-google", seconds=1) == []


def test_a_task_that_holds_the_interpreter_lock_for_two_leases_runs_once(
    google: Emulator, tmp_path: Path
) -> None:
    """Its heartbeat speaks REST to Google's emulator, too."""
    arguments, environ = (
        ("--target", "compute", "--lease-seconds", "10"),
        {"GOOGLE_CLOUD_PROJECT": PROJECT},
    )
    with (
        worker(tmp_path / "one", google, *arguments, **environ) as first,
        worker(tmp_path / "two", google, *arguments, **environ) as second,
    ):

        def effects(effect: str) -> list[dict[str, Any]]:
            return first.effects(effect) + second.effects(effect)

        google.publisher.publish(f"projects/{PROJECT}/topics/compute", b'{"id":"1","seconds":21}')
        wait_until(lambda: effects("ended"), "it has ended")
        for process in (first, second):
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
        assert len(effects("begun")) == 1
    assert google.pull(f"projects/{PROJECT}/subscriptions/compute", seconds=1) == []
