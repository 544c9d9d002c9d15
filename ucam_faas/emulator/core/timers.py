"""When leases and backoffs end, of all queues together."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, NamedTuple, Protocol, TypeVar

from ucam_faas.emulator.core.lease import Entry, State

SPARE_TIMERS = 1000
"""Outdated timers that may be kept before they are cleared away."""
_TIMED = (State.LEASED, State.DELAYED)


class Numbered(Protocol):
    """A queue, or its substitute in a test."""

    number: int


QueueT = TypeVar("QueueT", bound=Numbered)


class _Timer(NamedTuple, Generic[QueueT]):
    due: float
    queue_number: int
    number: int
    serial: int
    """No two timers are compared beyond this."""
    token: int
    queue: QueueT
    entry: Entry

    @property
    def counts(self) -> bool:
        entry = self.entry
        return entry.token == self.token and entry.due == self.due and entry.state in _TIMED


class Timers(Generic[QueueT]):
    """One heap: a queue costs nothing while nothing of it is due."""

    def __init__(self) -> None:
        self._heap: list[_Timer[QueueT]] = []
        self._serials = count()
        self._limit = SPARE_TIMERS

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, queue: QueueT, entry: Entry) -> None:
        """Keep in mind when an entry is due; it counts as long as the entry agrees."""
        timer = _Timer(
            entry.due, queue.number, entry.number, next(self._serials), entry.token, queue, entry
        )
        heapq.heappush(self._heap, timer)
        if len(self._heap) > self._limit:  # many are of leases that are over
            self._heap = [timer for timer in self._heap if timer.counts]
            heapq.heapify(self._heap)
            self._limit = 2 * len(self._heap) + SPARE_TIMERS

    def next_due(self) -> float | None:
        """Return when the next entry is due, in steady seconds."""
        while self._heap and not self._heap[0].counts:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def pop(self, now: float) -> Iterator[tuple[QueueT, Entry]]:
        """Return the entries that are due by now, or become due meanwhile."""
        while (due := self.next_due()) is not None and due <= now:
            timer = heapq.heappop(self._heap)
            yield timer.queue, timer.entry
