"""Pub/Sub, Cloud Scheduler and Cloud Tasks in this process; a test's clock may move them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from ucam_faas.clock import Clock, SystemClock, Timer
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.core.lease import Holder
from ucam_faas.emulator.core.storage import Message
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.emulator.push.subscriptions import MakePusher
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.serving.background import BackgroundLoop
from ucam_faas.tasks.needs import full_topic
from ucam_faas.testing.clock import ManualClock
from ucam_faas.testing.events import to_bytes

PROJECT = "test-project"
ResultT = TypeVar("ResultT")


class EmbeddedPubsub:
    """A Pub/Sub, Cloud Scheduler and Cloud Tasks in this process, in a thread of its own.

    Google's clients find it by the environment that the fixture sets. The methods here are short
    ways to do the same without a client. Names of topics and subscriptions may be short or full.

    Attributes:
        host: the value of PUBSUB_EMULATOR_HOST: `127.0.0.1:PORT`.
        project: the value of GOOGLE_CLOUD_PROJECT.
    """

    def __init__(self) -> None:
        self.project = PROJECT
        self._clock = _LoopClock(self._settle)
        self._closed = False
        self._make_pusher: MakePusher | None = None
        self._loop = BackgroundLoop()
        try:
            self.emulator = self._loop.run(self._start)
        except BaseException:
            self._loop.close()
            raise
        self.host = f"127.0.0.1:{self.emulator.port}"

    async def _start(self) -> Emulator:
        def make_pusher(*arguments: Any) -> Pusher:
            return (self._make_pusher or Pusher)(*arguments)

        options = Options(longest_timer=float("inf"))
        return await Emulator(options, clock=self._clock, make_pusher=make_pusher).__aenter__()

    @contextmanager
    def used(self, make_pusher: MakePusher) -> Iterator[None]:
        """Push with these pushers while the block runs, and forget everything at its end.

        Raises:
            RuntimeError: another local cloud uses it.
        """
        if self._make_pusher is not None:
            raise RuntimeError(
                "There is a local cloud already. Give all tasks to one call, such as "
                "ucam_faas_local(one, other), or close() the first."
            )
        self._make_pusher = make_pusher
        try:
            yield
        finally:
            self._make_pusher = None
            self.call(self.emulator.clear)

    def close(self) -> None:
        """Stop."""
        self._clock.source = SystemClock()
        self._closed = True
        try:
            self._loop.run(lambda: self.emulator.__aexit__(None, None, None))
        finally:
            self._loop.close()

    def reset(self, clock: Clock | None = None) -> None:
        """Forget everything, and go by another clock; default: the system's."""

        async def clear() -> None:
            self._clock.source = clock or SystemClock()
            self.emulator.clear()
            await self.emulator.hub.saved()

        self._loop.run(clear)

    def create_topic(self, name: str) -> str:
        """Create a topic, if it is not there, and return its full name."""
        full = full_topic(name, self.project)

        def create() -> None:
            if full not in self.emulator.resources.topics:
                self.emulator.publisher.create_topic(protos.Topic(name=full))

        self.call(create)
        return full

    def create_subscription(self, topic: str, name: str | None = None, **fields: Any) -> str:
        """Create a subscription to a topic, and return its full name.

        Args:
            topic: it is created if it is not there.
            name: default: the topic's short name.
            fields: of the subscription, as `google.pubsub_v1.types.Subscription` has them, such as
                `ack_deadline_seconds=60` or `filter='attributes.kind = "order"'`.

        Raises:
            RpcError: there is one of this name, or Pub/Sub would refuse the fields.
        """
        full = self.create_topic(topic)
        subscription = self._subscription(name or full.rpartition("/")[2])
        proto = protos.Subscription(name=subscription, topic=full, **fields)
        self.call(self.emulator.subscriber.create_subscription, proto)
        return subscription

    def publish(
        self,
        topic: str,
        data: Any = b"",
        *,
        attributes: Mapping[str, str] | None = None,
        ordering_key: str = "",
    ) -> str:
        """Publish a message to a topic, and return its id.

        Args:
            topic: one that is there.
            data: bytes, str, a pydantic model, a protobuf message, or a JSON value.
            attributes: of the message.
            ordering_key: of the message.

        Raises:
            RpcError: there is no such topic, or Pub/Sub would refuse the message.
        """
        message = protos.PubsubMessage(
            data=to_bytes(data), attributes=dict(attributes or {}), ordering_key=ordering_key
        )
        full = full_topic(topic, self.project)
        self._check_topic(full)
        request = protos.PUBLISHER["Publish"][0](topic=full, messages=[message])
        answer = self.call(self.emulator.publisher.publish, request)
        return str(answer.message_ids[0])

    def _check_topic(self, full: str) -> None:
        topics = self.emulator.resources.topics
        if full not in topics:
            own = f"projects/{self.project}/topics/"
            known = ", ".join(repr(name.removeprefix(own)) for name in sorted(topics)) or "none"
            raise RpcError(
                "NOT_FOUND",
                f"Topic not found: {full.removeprefix(own)!r}. Topics here: {known}. Serve the "
                "task that reads it, or create it with create_topic.",
            )

    def pull(self, subscription: str) -> list[PubsubMessage]:
        """Return and acknowledge the messages that a subscription can deliver now, without waiting.

        Raises:
            RpcError: there is no such subscription.
        """
        name = self._subscription(subscription)

        def take() -> list[PubsubMessage]:
            emulator, messages = self.emulator, []
            queue, now = emulator.subscriber.queue(name), emulator.hub.now()
            while leases := emulator.engine.take(queue, now, Holder(), 1000):
                emulator.engine.ack(queue, [lease.ack_id for lease in leases], now)
                messages += [model(lease.message) for lease in leases]
            return messages

        return self.call(take)

    def call(self, function: Callable[..., ResultT], *args: Any, **options: Any) -> ResultT:
        """Call a function on the emulator's thread, save, and return its result."""

        async def run() -> ResultT:
            result = function(*args, **options)
            await self.emulator.hub.saved()
            return result

        return self.run(run)

    def run(self, make: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run a coroutine on the emulator's thread, and return its result.

        Raises:
            RuntimeError: it was closed.
        """
        if self._closed:
            raise RuntimeError("The embedded Pub/Sub is closed.")
        return self._loop.run(make)

    def _subscription(self, name: str) -> str:
        return name if "/" in name else f"projects/{self.project}/subscriptions/{name}"

    def _settle(self) -> None:
        """Return when the emulator has done the work that is due now."""

        async def turns() -> None:
            for _ in range(2):  # a timer may set off another turn
                await self.emulator.hub.saved()

        self._loop.run(turns)


class _LoopClock:
    """The emulator's clock. If its source is moved by hand, that happens in another thread.

    Args:
        settle: returns when the work that a timer started has been done.
    """

    def __init__(self, settle: Callable[[], None]) -> None:
        self.source: Clock = SystemClock()
        self._settle = settle

    def now(self) -> datetime:
        return self.source.now()

    def monotonic(self) -> float:
        return self.source.monotonic()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        source = self.source
        if not isinstance(source, ManualClock):
            return source.call_later(delay_seconds, callback)
        loop = asyncio.get_running_loop()

        def due() -> None:
            if source is self.source:  # an earlier test's clock moves nothing
                loop.call_soon_threadsafe(callback)
                self._settle()

        return source.call_later(delay_seconds, due)

    def sleep(self, seconds: float) -> None:
        self.source.sleep(seconds)


def model(message: Message) -> PubsubMessage:
    """Return a message of the engine's as tasks see it."""
    return PubsubMessage(
        data=message.data,
        attributes=dict(message.attributes),
        message_id=str(message.number),
        publish_time=datetime.fromtimestamp(message.time, UTC),
        ordering_key=message.key,
    )
