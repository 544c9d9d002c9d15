"""A worker and the embedded Pub/Sub on one event loop."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.serving.harness import WAIT_SECONDS
from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.worker.options import WorkerResult
from ucam_faas.worker.worker import Worker

PROJECT = "local"


class Cloud:
    """The embedded Pub/Sub, and the workers of a test."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.host = f"127.0.0.1:{emulator.port}"

    def worker(self, *tasks: Any, **options: Any) -> Worker:
        """Return a worker; options that it doesn't have are settings."""
        own = {name: options.pop(name) for name in list(options) if name in _OWN}
        settings = Settings(**{"pubsub_emulator": self.host, "project": PROJECT, **options})
        runtime = Runtime(settings, SystemClock(), connect=publisher_of)
        own.setdefault("handle_signals", False)
        own.setdefault("graceful_shutdown_time", 30)
        own.setdefault("runtime", runtime)
        return Worker(tasks, **own)

    def topic(self, name: str) -> None:
        """Make a topic, unless there is one."""
        full = f"projects/{PROJECT}/topics/{name}"
        if full not in self.emulator.resources.topics:
            self.emulator.publisher.create_topic(protos.Topic(name=full))

    def subscribe(self, name: str, topic: str, **options: Any) -> None:
        """Make a subscription."""
        self.topic(topic)
        full = f"projects/{PROJECT}/subscriptions/{name}"
        wanted = {"name": full, "topic": f"projects/{PROJECT}/topics/{topic}", **options}
        self.emulator.subscriber.create_subscription(
            protos.ParseDict(wanted, protos.Subscription())
        )

    def delete(self, subscription: str) -> None:
        """Delete a subscription."""
        full = f"projects/{PROJECT}/subscriptions/{subscription}"
        request = protos.SUBSCRIBER["DeleteSubscription"][0]
        self.emulator.subscriber.delete_subscription(request(subscription=full))
        self.emulator.hub.changed()

    def publish(self, topic: str, *data: bytes, key: str = "", **attributes: str) -> None:
        """Publish a message for each data."""
        encoded = [base64.b64encode(each).decode() for each in data]
        messages = [{"data": e, "attributes": attributes, "orderingKey": key} for e in encoded]
        request = protos.PUBLISHER["Publish"][0]
        self.emulator.publisher.publish(
            protos.ParseDict(
                {"topic": f"projects/{PROJECT}/topics/{topic}", "messages": messages}, request()
            )
        )
        self.emulator.hub.changed()

    def waiting(self, subscription: str) -> int:
        """Count the messages of a subscription that aren't acknowledged."""
        full = f"projects/{PROJECT}/subscriptions/{subscription}"
        queue = self.emulator.resources.subscriptions[full].queue
        assert queue is not None
        new = self.emulator.engine.storage.read(queue.log.number, queue.cursor)
        return len(queue.unacknowledged()) + sum(1 for _ in new)


_OWN = {
    *("messages_limit", "tasks_limit", "graceful_shutdown_time", "handle_signals"),
    *("auto_declare", "lease_seconds", "runtime"),
}


@asynccontextmanager
async def cloud(state: Path | None = None, *, clock: Clock | None = None) -> AsyncIterator[Cloud]:
    """Run the embedded Pub/Sub."""
    async with Emulator(Options(state=state), clock=clock or SystemClock()) as emulator:
        yield Cloud(emulator)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[asyncio.Task[WorkerResult]]:
    """Run a worker, and stop it at the end."""
    running = asyncio.get_running_loop().create_task(worker.run())
    try:
        await until(lambda: worker.is_pulling or running.done(), "it pulls")
        yield running
    finally:
        worker.stop()
        await running


async def until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
