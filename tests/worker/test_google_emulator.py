"""A worker on Google's own Pub/Sub emulator."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

import ucam_faas
from tests.integration.emulator import PROJECT, Emulator, running_emulator
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.worker.worker import Worker

from .harness import working

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


def test_a_message_that_runs_for_two_leases_runs_once(google: Emulator) -> None:
    """Its heartbeat speaks REST to Google's emulator, too."""
    seen: list[bytes] = []

    @ucam_faas.message_handler(message_type=None, name="long-on-google")
    async def function(data: bytes) -> None:
        seen.append(data)
        await asyncio.sleep(21)

    async def run() -> None:
        worker = worker_of(google, function, lease_seconds=10)
        async with working(worker) as running:
            google.publisher.publish(f"projects/{PROJECT}/topics/long-on-google", b"x")
            await asyncio.sleep(22)
            worker.stop()
            await running

    asyncio.run(run())

    assert seen == [b"x"]
    assert google.pull(f"projects/{PROJECT}/subscriptions/long-on-google", seconds=1) == []
