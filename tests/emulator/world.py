"""An engine with hand-moved time, and short methods for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ucam_faas.emulator.core.engine import Draft, Engine
from ucam_faas.emulator.core.lease import AckId, Holder, Lease, Rules
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.core.storage import Message, Storage
from ucam_faas.emulator.core.storage.memory import MemoryStorage

from .recorder import Recorder

TOPIC = "projects/p/topics/t"
DEAD = "projects/p/topics/dead"
START = 1_700_000_000.0
BEHIND = 2.0**20
"""How far the steady clock is behind the wall clock; so little that both round alike."""


def subscription(number: int) -> str:
    return f"projects/p/subscriptions/s{number}"


class World:
    """One engine with topics and subscriptions, which can end and start again.

    Args:
        storage: default: memory.
        topics: that are there.
    """

    def __init__(self, storage: Storage | None = None, *, topics: Iterable[str] = (TOPIC,)) -> None:
        self.now = START
        self.topics = dict.fromkeys(topics)
        self.retention: dict[str, float] = {}
        self.rules: dict[int, tuple[str, Rules]] = {}
        self.queues: dict[int, Queue] = {}
        self.recorder = Recorder()
        self.holder = Holder()
        self.begin(storage or MemoryStorage())

    def begin(self, storage: Storage) -> None:
        """Start again with a storage: leases and holders are gone."""
        self.storage = storage
        self.engine = Engine(storage, self.recorder)
        self.holder = Holder()
        for number, topic in enumerate(self.topics, 1):
            log = self.engine.topics[topic] = self.engine.open_log(number)
            log.retention = self.retention.get(topic, 0.0)
        for number, (topic, rules) in self.rules.items():
            self._open(number, topic, rules)

    @property
    def moment(self) -> Moment:
        """The time, on both clocks."""
        return Moment(self.now, self.now - BEHIND)

    def next_due(self) -> float | None:
        """Return when the engine has something to do, by the wall clock."""
        due = self.engine.next_due()
        return None if due is None else due + BEHIND

    def subscribe(self, topic: str = TOPIC, **rules: Any) -> Queue:
        """Make a subscription."""
        number = 100 + len(self.rules)
        self.rules[number] = (topic, Rules(**rules))
        return self._open(number, topic, self.rules[number][1])

    def retain(self, seconds: float, topic: str = TOPIC) -> None:
        """Set a topic's retention."""
        self.retention[topic] = self.engine.topics[topic].retention = seconds

    def _open(self, number: int, topic: str, rules: Rules) -> Queue:
        log = self.engine.topics[topic]
        queue = self.engine.open_queue(number, subscription(number), log, rules, self.moment)
        self.queues[number] = queue
        return queue

    def publish(self, *data: str, key: str = "", topic: str = TOPIC, **attributes: str) -> None:
        """Publish messages."""
        drafts = [Draft(key, attributes, text.encode()) for text in data]
        self.engine.publish(topic, drafts, self.moment)

    def take(
        self, queue: Queue, limit: int = 1000, holder: Holder | None = None
    ) -> dict[str, Lease]:
        """Take messages, by their data; all publishers have been answered."""
        self.engine.answered(self.engine.last)
        leases = self.engine.take(queue, self.moment, holder or self.holder, limit)
        by_data = {lease.message.data.decode(): lease for lease in leases}
        assert len(by_data) == len(leases), "one take has a message twice"
        return by_data

    def ack(self, queue: Queue, *leases: Lease) -> list[AckId]:
        """Acknowledge."""
        return self.engine.ack(queue, ids(leases), self.moment)

    def modify(self, queue: Queue, seconds: float, *leases: Lease) -> list[AckId]:
        """Let leases end in so many seconds."""
        return self.engine.modify(queue, ids(leases), seconds, self.moment)

    def nack(self, queue: Queue, *leases: Lease) -> list[AckId]:
        """Refuse messages."""
        return self.modify(queue, 0, *leases)

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything become due in order."""
        until = self.now + seconds
        while (due := self.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.engine.tick(self.moment)
            self.engine.save()
        self.now = until

    def kept(self, topic: str = TOPIC) -> list[str]:
        """Return the data of the messages that the storage has."""
        log = self.engine.topics[topic]
        return [message.data.decode() for message in self.storage.read(log.number, 0)]

    def messages(self, topic: str) -> list[Message]:
        """Return the messages that the storage has."""
        return list(self.storage.read(self.engine.topics[topic].number, 0))


def ids(leases: Iterable[Lease]) -> list[AckId]:
    """Return the ack ids of leases."""
    return [lease.ack_id for lease in leases]


def attempts(leases: dict[str, Lease]) -> dict[str, int]:
    """Return the attempt of each lease."""
    return {data: lease.attempt for data, lease in leases.items()}


def restarted(world: World) -> Queue:
    """Save, start again, and return the first subscription's queue."""
    world.engine.save()
    world.now += 0.001
    world.begin(world.storage)
    return world.queues[100]
