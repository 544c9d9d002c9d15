"""Events of the emulator in, events of the history out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ucam_faas.clock import SystemClock
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.storage import Message
from ucam_faas.history.events import (
    Answered,
    Cancelled,
    DeadLettered,
    Delivered,
    Event,
    Published,
    Pulled,
    Scheduled,
)


class Recorded:
    """Records what an emulator tells.

    Args:
        put: takes the events.
        engine: of the emulator; it knows the readers of each message.
        project: whose topics have short names.
    """

    def __init__(self, put: Callable[[Event], None], engine: Engine, project: str) -> None:
        self._put = put
        self._engine = engine
        self._topics = f"projects/{project}/topics/"
        self._clock = SystemClock()

    def published(self, topic: str, message: Message) -> None:
        """Record a message, and the subscriptions that get it."""
        number, time, key, attributes, data = message
        readers = self._readers(topic, attributes)
        name = topic.removeprefix(self._topics)
        self._put(Published(time, str(number), name, key, attributes, data, readers))

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        """Record the beginning of a delivery."""
        self._put(Delivered(self._now(), _short(subscription), str(message.number), attempt))

    def acknowledged(
        self, subscription: str, message: Message, attempt: int, *, status: int | str
    ) -> None:
        """Record a success."""
        place = (_short(subscription), str(message.number), attempt)
        self._put(Answered(self._now(), *place, True, str(status)))

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
        place = (_short(subscription), str(message.number), attempt)
        self._put(Answered(self._now(), *place, False, str(status), retry_seconds))

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

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _readers(self, topic: str, attributes: Mapping[str, str]) -> list[str]:
        log, names = self._engine.topics.get(topic), self._engine.names
        if log is None:
            return []
        return [
            _short(names[queue.number])
            for queue in log.queues.values()
            if queue.rules.accepts is None or queue.rules.accepts(attributes)
        ]


def _short(name: str) -> str:
    return name.rpartition("/")[2]
