"""An emulator without servers, an endpoint for its pushes, and hand-moved time."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.integration.processes import HANG_SECONDS
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.wire.methods import PUBLISHER, SUBSCRIBER
from ucam_faas.testing import ManualClock

from .recorder import Recorder

TOPIC = "projects/p/topics/top"
DEAD = "projects/p/topics/dead"
SUBSCRIPTION = "projects/p/subscriptions/sub"
SECONDS = HANG_SECONDS


def response(status: int, body: bytes = b"", *lines: str) -> bytes:
    """Return a response with a length."""
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


NO_CONTENT = response(204)


@dataclass(frozen=True)
class Pushed:
    """A request that came."""

    connection: int
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def envelope(self) -> Any:
        """The body of a wrapped message."""
        return json.loads(self.body)

    @property
    def data(self) -> str:
        """The data of a wrapped message."""
        return base64.b64decode(self.envelope["message"]["data"]).decode()


Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


async def nothing(_: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close the connection instead of an answer."""
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off in the middle of an answer."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await writer.drain()
    writer.transport.abort()


class Sink:
    """Where pushes go: `async with Sink() as sink`."""

    def __init__(self, answer: Answer = NO_CONTENT) -> None:
        self.answer: Callable[[Pushed], Answer] = lambda _: answer
        self.pushed: list[Pushed] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/push?token=secret"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
                line, *lines = head[:-4].split("\r\n")
                headers = [
                    (name, text) for name, _, text in (line.partition(": ") for line in lines)
                ]
                length = int(dict(headers)["Content-Length"])
                pushed = Pushed(number, line, headers, await reader.readexactly(length))
                self.pushed.append(pushed)
                answer = self.answer(pushed)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()


class WallClock(ManualClock):
    """A manual clock whose wall clock can be set."""

    def set_back(self, by: timedelta) -> None:
        """Set the wall clock back, as its user or NTP does; durations go on."""
        self._start -= by


class Cloud:
    """The emulator: `async with Cloud() as cloud`."""

    def __init__(self, **options: Any) -> None:
        self.clock = WallClock()
        self.recorder = Recorder()
        self.told = self.recorder.told
        self.emulator = Emulator(
            Options(**options),
            clock=self.clock,
            observer=self.recorder,
        )

    async def __aenter__(self) -> Cloud:
        self.emulator._assemble(MemoryStorage())
        for topic in (TOPIC, DEAD):
            await self.call(PUBLISHER, "CreateTopic", name=topic)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.emulator.pushes.close()
        self.emulator.schedules.close()
        self.emulator.cloud_tasks.close()
        await asyncio.sleep(0)
        self.emulator.hub.close()

    async def call(self, service: str, method: str, **fields: Any) -> Any:
        """Call a method."""
        unary = self.emulator.services.find(service, method)
        assert unary is not None
        return await unary.call(unary.request(**fields))

    async def subscribe(self, endpoint: str, push: Any = None, **fields: Any) -> None:
        """Make a subscription that pushes."""
        config = {"push_endpoint": endpoint, **(push or {})}
        fields = {"name": SUBSCRIPTION, "topic": TOPIC, **fields}
        await self.call(SUBSCRIBER, "CreateSubscription", push_config=config, **fields)

    async def push_to(self, endpoint: str, **config: Any) -> None:
        """Push elsewhere from now on."""
        config = {"push_endpoint": endpoint, **config}
        await self.call(
            SUBSCRIBER, "ModifyPushConfig", subscription=SUBSCRIPTION, push_config=config
        )

    async def publish(self, *data: str, **fields: Any) -> None:
        """Publish messages."""
        messages = [protos.PubsubMessage(data=text.encode(), **fields) for text in data]
        await self.call(PUBLISHER, "Publish", topic=TOPIC, messages=messages)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and run everything that is due."""
        for part in (seconds, 0.0, 0.0):  # what is due then may set timers that are due, too
            self.clock.advance(timedelta(seconds=part))
            await settle()

    @property
    def queue(self) -> Any:
        """The subscription's queue."""
        return self.emulator.resources.subscription(SUBSCRIPTION).queue

    @property
    def pusher(self) -> Any:
        """The subscription's pusher."""
        return self.emulator.pushes.pushers[SUBSCRIPTION]


async def settle() -> None:
    """Run everything that needs neither time nor the network."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(find: Callable[[], Any], what: str) -> None:
    """Wait for something that the network brings."""
    deadline = time.monotonic() + SECONDS
    while not find():
        assert time.monotonic() < deadline, f"Not within {SECONDS:g} s: {what}"
        await asyncio.sleep(0.001)
    await settle()
