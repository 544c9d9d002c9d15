"""A simple, obviously right subscription: a list of messages with their states.

It has no cursor, no heaps and no storage; it is slow, and says what the engine has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ucam_faas.emulator.core.lease import AckId, Rules

WAITING, LEASED, DELAYED, ACKED = "waiting", "leased", "delayed", "acked"


@dataclass
class Item:
    """A message in one subscription."""

    number: int
    data: str
    key: str
    time: float
    size: int
    state: str = WAITING
    failures: int = 0
    holder: str = ""
    ack_id: AckId | None = None
    due: float = 0.0
    ever_acked: bool = False
    """Since the last seek: it does not come back after a crash, though it may before."""

    @property
    def done(self) -> bool:
        return self.state == ACKED


@dataclass
class Delivery:
    """A delivery that the test has, current or not."""

    number: int
    ack_id: AckId
    seeks: int


@dataclass
class ModelQueue:
    """A subscription.

    Args:
        rules: as the engine has them.
        dead_letter: publishes to the dead-letter topic.
    """

    rules: Rules
    items: list[Item] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    seeks: int = 0

    def line(self, item: Item) -> list[Item]:
        """Return the messages that are ordered with one, itself included."""
        if not (self.rules.ordered and item.key):
            return [item]
        return [other for other in self.items if other.key == item.key]

    def too_old(self, item: Item, now: float) -> bool:
        return item.time < now - self.rules.retention

    def waiting(self, now: float, holder: str = "") -> list[Item]:
        """Return the messages that could be delivered to a holder now, if it took them all."""
        return [item for item in self.items if self._can_go(item, now, holder)]

    def _can_go(self, item: Item, now: float, holder: str) -> bool:
        if item.state != WAITING or self.too_old(item, now):
            return False
        before = [
            other
            for other in self.line(item)
            if other.number < item.number and not other.done and not self.too_old(other, now)
        ]
        behind = [other for other in self.line(item) if other.number > item.number]
        if any(other.state == LEASED for other in behind):
            return False
        if self.rules.pushes:
            return not before
        return all(
            other.state == WAITING or (other.state == LEASED and other.holder == holder)
            for other in before
        )

    def lease(self, number: int, holder: str, ack_id: AckId, due: float) -> Item:
        item = self.item(number)
        item.state, item.holder, item.ack_id, item.due = LEASED, holder, ack_id, due
        self.deliveries.append(Delivery(number, ack_id, self.seeks))
        return item

    def item(self, number: int) -> Item:
        return next(item for item in self.items if item.number == number)

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; return True if that counts."""
        item = self.item(delivery.number)
        if self.rules.exactly_once:
            if not self._is_current(item, delivery):
                return False
        elif delivery.seeks < self.seeks:
            return True
        item.state, item.holder, item.ever_acked = ACKED, "", True
        return True

    def modify(self, delivery: Delivery, seconds: float, now: float) -> Item | None:
        """Put a deadline off, or return the message that has failed."""
        item = self.item(delivery.number)
        if self._is_current(item, delivery):
            if seconds <= 0:
                return item
            item.due = now + seconds
        return None

    def _is_current(self, item: Item, delivery: Delivery) -> bool:
        return item.state == LEASED and item.ack_id == delivery.ack_id

    def fail(self, item: Item, now: float, dead_letter: Callable[[Item], None]) -> None:
        item.failures += 1
        self.take_back(item)
        if 0 < self.rules.max_attempts <= item.failures:
            item.state, item.ever_acked = ACKED, True
            dead_letter(item)
        elif delay := self.rules.backoff(item.failures):
            item.state, item.due = DELAYED, now + delay

    def take_back(self, item: Item) -> None:
        for other in self.line(item):
            if other.number >= item.number:
                other.state, other.holder = WAITING, ""

    def release(self, holder: str) -> None:
        for item in self.items:
            if item.state == LEASED and item.holder == holder:
                self.take_back(item)

    def lose(self, holder: str, now: float, dead_letter: Callable[[Item], None]) -> None:
        for item in self.items:
            if item.state == LEASED and item.holder == holder:
                self.fail(item, now, dead_letter)

    def next_due(self) -> tuple[float, int] | None:
        timed = [(i.due, i.number) for i in self.items if i.state in (LEASED, DELAYED)]
        return min(timed, default=None)

    def end(self, number: int, now: float, dead_letter: Callable[[Item], None]) -> None:
        """End the lease or the backoff of a message."""
        item = self.item(number)
        if item.state == LEASED:
            self.fail(item, now, dead_letter)
        else:
            item.state = WAITING

    def unacknowledged(self) -> set[int]:
        return {item.number for item in self.items if not item.done}

    def deliver_only(self, numbers: Iterable[int]) -> None:
        """Seek: these are to be delivered, all others are done."""
        self.seeks += 1
        wanted = set(numbers)
        for item in self.items:
            item.holder, item.failures = "", 0
            item.ever_acked = item.number not in wanted
            item.state = ACKED if item.ever_acked else WAITING

    def crash(self) -> None:
        """Lose leases and backoffs, which are not kept."""
        self.seeks = 0
        for delivery in self.deliveries:
            delivery.seeks = 0
        for item in self.items:
            item.state, item.holder = (ACKED if item.ever_acked else WAITING), ""
