"""A killed emulator loses nothing that was answered; nor does a stopped one.

Rounds of load from publishers, a pulling and a streaming subscriber; each ends with `kill -9` at
some moment. For a long run: `UCAM_FAAS_CRASH_ROUNDS=100 pytest tests/emulator/test_crash.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.integration.processes import Process, environment, wait_until
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.wire.methods import PUBLISHER, SUBSCRIBER

ROUNDS = int(os.environ.get("UCAM_FAAS_CRASH_ROUNDS", "6"))
TOPIC = "projects/p/topics/top"
PULLED = "projects/p/subscriptions/pulled"
STREAMED = "projects/p/subscriptions/streamed"
UNTOUCHED = "projects/p/subscriptions/untouched"
SUBSCRIPTIONS = (PULLED, STREAMED, UNTOUCHED)
READY = "ucam-faas emulator ready on 127.0.0.1:"
SETTLE_SECONDS = 30.0


class Running:
    """An emulator as a process, and a channel to it: `async with Running(tmp_path, name)`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    async def __aenter__(self) -> Running:
        folder = self._folder
        command = [sys.executable, "-m", "ucam_faas", "emulator", "--port", "0"]
        self.process = Process(
            [*command, "--state", str(folder / "state")], folder / self._name, environment(folder)
        )
        try:
            port = wait_until(self._port, "it is ready")
        except BaseException:
            self.process.kill()
            raise
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.process.kill()
        await self.channel.close()

    def _port(self) -> int | None:
        assert self.process.popen.poll() is None, f"It ended: {self.process.output}"
        _, separator, rest = self.process.stdout.partition(READY)
        return int(rest.split()[0]) if separator and "\n" in rest else None

    async def call(self, service: str, method: str, seconds: float = 10.0, **fields: Any) -> Any:
        """Call a method; it fails if the server is killed meanwhile."""
        methods = protos.PUBLISHER if service == PUBLISHER else protos.SUBSCRIBER
        request, response = methods[method]
        multi = self.channel.unary_unary(
            f"/{service}/{method}", request.SerializeToString, response.FromString
        )
        return await multi(request(**fields), timeout=seconds)


class Book:
    """The answered requests, and the state that they promise."""

    def __init__(self) -> None:
        self.published: set[str] = set()
        """Answered."""
        self.acked: dict[str, set[str]] = {name: set() for name in SUBSCRIPTIONS}
        """Answered."""
        self.delivered: dict[str, set[str]] = {name: set() for name in SUBSCRIPTIONS}
        self.again: list[tuple[str, str]] = []
        self.number = 0

    def deliver(self, subscription: str, data: str) -> None:
        """Note a delivery; a message that was acknowledged before must not come."""
        if data in self.acked[subscription]:
            self.again.append((subscription, data))
        self.delivered[subscription].add(data)


async def publish(emulator: Running, book: Book) -> None:
    while True:
        data = []
        for _ in range(20):
            book.number += 1
            data.append(f"{book.number}".encode())
        messages = [protos.PubsubMessage(data=text) for text in data]
        await emulator.call(PUBLISHER, "Publish", topic=TOPIC, messages=messages)
        book.published.update(text.decode() for text in data)


async def pull(emulator: Running, book: Book, name: str = PULLED) -> None:
    while True:
        response = await emulator.call(SUBSCRIBER, "Pull", 60.0, subscription=name, max_messages=90)
        received = list(response.received_messages)
        for delivery in received:
            book.deliver(name, delivery.message.data.decode())
        await ack(emulator, book, name, received)


async def ack(emulator: Running, book: Book, name: str, received: list[Any]) -> None:
    ids = [message.ack_id for message in received]
    if ids:
        await emulator.call(SUBSCRIBER, "Acknowledge", subscription=name, ack_ids=ids)
        book.acked[name].update(delivery.message.data.decode() for delivery in received)


async def stream(emulator: Running, book: Book) -> None:
    """Take messages from a stream, and acknowledge them with requests that are answered."""
    closed = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield protos.StreamingPullRequest(
            subscription=STREAMED, stream_ack_deadline_seconds=10, max_outstanding_messages=100
        )
        await closed.wait()

    call = emulator.channel.stream_stream(
        f"/{SUBSCRIBER}/StreamingPull",
        protos.StreamingPullRequest.SerializeToString,
        protos.StreamingPullResponse.FromString,
    )(requests())
    try:
        async for response in call:
            received = list(response.received_messages)
            for delivery in received:
                book.deliver(STREAMED, delivery.message.data.decode())
            await ack(emulator, book, STREAMED, received)
    finally:
        closed.set()
        call.cancel()


Work = Callable[[Running, Book], Awaitable[None]]


async def under_load(
    emulator: Running, book: Book, during: Callable[[], Awaitable[None]], *work: Work
) -> None:
    """Do something while clients work; they end with it, as far as they have not failed."""
    tasks = [asyncio.ensure_future(client(emulator, book)) for client in work]
    try:
        await during()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                await task


async def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"Not within {SETTLE_SECONDS:g} s: {what}"
        await asyncio.sleep(0.01)


async def drain(emulator: Running, book: Book) -> None:
    """Let every subscription have the messages left, and one more at the end."""
    last = protos.PubsubMessage(data=b"last")
    await emulator.call(PUBLISHER, "Publish", topic=TOPIC, messages=[last])
    book.published.add("last")

    async def until_all() -> None:
        for name, delivered in book.delivered.items():
            await wait_for(lambda had=delivered: book.published <= had, f"all is at {name}")

    await under_load(emulator, book, until_all, *[partial(pull, name=n) for n in SUBSCRIPTIONS])
    assert book.again == [], "an acknowledgement was answered, and the message came again"


async def set_up(emulator: Running) -> None:
    await emulator.call(PUBLISHER, "CreateTopic", name=TOPIC)
    for name in SUBSCRIPTIONS:
        await emulator.call(SUBSCRIBER, "CreateSubscription", name=name, topic=TOPIC)


@pytest.mark.slow
def test_a_killed_emulator_has_lost_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260131)
    book = Book()

    async def one_round(name: str) -> None:
        moment = chance.uniform(0.0, 0.7)
        async with Running(tmp_path, name) as emulator:
            if name == "0":
                await set_up(emulator)

            async def kill() -> None:
                await asyncio.sleep(moment)
                emulator.process.signal(signal.SIGKILL)

            await under_load(emulator, book, kill, publish, publish, pull, pull, stream)

    async def run() -> None:
        for number in range(ROUNDS):
            await one_round(str(number))
        assert len(book.published) > 100 * ROUNDS, "there was no load"
        async with Running(tmp_path, "last") as emulator:
            await drain(emulator, book)

    asyncio.run(run())


@pytest.mark.slow
def test_a_stopped_emulator_goes_on_where_it_was(tmp_path: Path) -> None:
    """As on a laptop that sleeps; its leases may have ended when it wakes up."""
    book = Book()

    async def run() -> None:
        async with Running(tmp_path, "only") as emulator:
            await set_up(emulator)

            async def stop_and_go_on() -> None:
                for _ in range(3):
                    emulator.process.signal(signal.SIGSTOP)
                    await asyncio.sleep(0.2)
                    before = len(book.published)
                    emulator.process.signal(signal.SIGCONT)
                    await wait_for(lambda many=before + 100: len(book.published) > many, "load")

            await under_load(emulator, book, stop_and_go_on, publish, pull, stream)
            await drain(emulator, book)

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_emulator_that_is_asked_to_end_has_lost_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    book = Book()

    async def run() -> None:
        async with Running(tmp_path, "first") as emulator:
            await set_up(emulator)

            async def end() -> None:
                await wait_for(lambda: len(book.published) > 500, "load")
                emulator.process.signal(number)
                await wait_for(lambda: emulator.process.popen.poll() is not None, "it has ended")

            await under_load(emulator, book, end, publish, pull, stream)
            assert emulator.process.popen.returncode == 0, emulator.process.output
            # gRPC's own code prints a traceback at times when it is stopped under load.
            assert "/ucam_faas/" not in emulator.process.output, emulator.process.output
        async with Running(tmp_path, "second") as emulator:
            await drain(emulator, book)

    asyncio.run(run())
