"""The history of a session: events of the emulator in, events of the history out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, Protocol

from ucam_faas.clock import SystemClock
from ucam_faas.dev.options import DevOptions
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.storage import Message
from ucam_faas.history.events import (
    ANSWERED,
    DELIVERED,
    PUBLISHED,
    Cancelled,
    DeadLettered,
    Event,
    Pulled,
    Row,
    Scheduled,
)
from ucam_faas.history.recorder import Recorder


@asynccontextmanager
async def recording(
    options: DevOptions, tell: Callable[[str], None]
) -> AsyncIterator[Recorder | None]:
    """Keep a history, if one is wanted.

    Args:
        options: where, and how much.
        tell: see `Recorder`.
    """
    if options.history is None:
        yield None
        return
    with ExitStack() as stack:
        recorder = Recorder(
            options.history, days=options.history_days, megabytes=options.history_mb, tell=tell
        )
        yield stack.enter_context(recorder)
        await asyncio.to_thread(stack.close)  # it writes the rest


class Put(Protocol):
    """See `Recorder.put`."""

    def __call__(self, *events: Event | Row, data: int = 0) -> None:
        """Record events."""


class Recorded:
    """Records what an emulator tells.

    Args:
        put: takes the events.
        engine: of the emulator; it knows the readers of each message.
        project: whose topics have short names.
    """

    def __init__(self, put: Put, engine: Engine, project: str) -> None:
        self._put = put
        self._engine = engine
        self._topics = f"projects/{project}/topics/"
        self._now = SystemClock().timestamp

    def published(self, topic: str, messages: Iterable[Message]) -> None:
        """Record messages, and the subscriptions that get them."""
        name = topic.removeprefix(self._topics)
        readers = self._readers(topic)
        rows = [
            (PUBLISHED, time, str(number), name, key, attributes, data, readers(attributes))
            for number, time, key, attributes, data in messages
        ]
        self._put(*rows, data=sum(len(message.data) for message in messages))

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        """Record the beginning of a delivery."""
        name, number = _short(subscription), str(message.number)
        self._put((DELIVERED, self._now(), name, number, attempt))

    def acknowledged(
        self, subscription: str, message: Message, attempt: int, *, status: int | str
    ) -> None:
        """Record a success."""
        self._answered(subscription, message, attempt, True, status, None)

    def failed(
        self,
        subscription: str,
        message: Message,
        attempt: int,
        *,
        status: int | str,
        retry_seconds: float | None,
    ) -> None:
        """Record a failed attempt."""
        self._answered(subscription, message, attempt, False, status, retry_seconds)

    def _answered(self, subscription: str, message: Message, *values: Any) -> None:
        name, number = _short(subscription), str(message.number)
        attempt, is_success, status, retry_seconds = values
        now, status = self._now(), str(status)
        self._put((ANSWERED, now, name, number, attempt, is_success, status, retry_seconds))

    def pulled(self, subscription: str, numbers: Sequence[int]) -> None:
        """Record messages that a subscriber pulled and acknowledged."""
        time, name = self._now(), _short(subscription)
        for number in numbers:
            self._put(Pulled(time, name, str(number)))

    def cancelled(self, subscription: str, message: Message) -> None:
        """Record that a delivery was given up."""
        self._put(Cancelled(self._now(), _short(subscription), str(message.number)))

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        """Record a dead letter."""
        place = (_short(subscription), str(message.number))
        name = topic.removeprefix(self._topics)
        self._put(DeadLettered(self._now(), *place, name, str(letter.number)))

    def scheduled(self, job: str, *, forced: bool) -> None:
        """Record a run of a schedule."""
        self._put(Scheduled(self._now(), _short(job), forced))

    def _readers(self, topic: str) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
        """Return what tells the subscriptions of a topic that get a message by its attributes."""
        log, names = self._engine.topics.get(topic), self._engine.names
        queues = [
            (_short(names[queue.number]), queue.rules.accepts)
            for queue in (log.queues.values() if log is not None else ())
        ]
        everyone = tuple(name for name, _ in queues)
        if not any(accepts for _, accepts in queues):
            return lambda attributes: everyone
        return lambda attributes: tuple(
            name for name, accepts in queues if accepts is None or accepts(attributes)
        )


@lru_cache(1000)
def _short(name: str) -> str:
    return name.rpartition("/")[2]
