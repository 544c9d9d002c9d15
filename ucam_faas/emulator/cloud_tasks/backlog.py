"""The tasks of one queue that wait, and its limits: a token bucket, and running attempts. Pure."""

from __future__ import annotations

import heapq
import itertools

from ucam_faas.emulator.cloud_tasks.tasks import Queue, QueueState

SPARE_ENTRIES = 64  # outdated ones that the heap may hold before it is cleaned
_ONE = 1 - 1e-6
"""A token, as far as floating point can tell."""


class Backlog:
    """The waiting tasks of a queue, and the time of its next dispatch.

    Args:
        queue: the queue; replace it when its configuration changes.
        now: epoch seconds.
    """

    def __init__(self, queue: Queue, now: float) -> None:
        self.queue = queue
        self.running: set[int] = set()
        """The ids of running attempts, without those that users forced."""
        self._heap: list[tuple[float, int, str]] = []
        self._serials: dict[str, int] = {}
        self._numbers = itertools.count()
        self._tokens = float(queue.max_burst_size)
        self._filled_at = now

    def add(self, name: str, at: float) -> None:
        """Let a task wait until a time; replaces the time that it had."""
        serial = self._serials[name] = next(self._numbers)
        heapq.heappush(self._heap, (at, serial, name))
        if len(self._heap) > 2 * len(self._serials) + SPARE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._is_valid(entry)]
            heapq.heapify(self._heap)

    def remove(self, name: str) -> None:
        """Let a task wait no more."""
        self._serials.pop(name, None)

    def next_due(self) -> float | None:
        """Return when the next task may be dispatched; None: not before something changes."""
        queue = self.queue
        full = len(self.running) >= queue.max_concurrent_dispatches
        if queue.state is not QueueState.RUNNING or full:
            return None
        while self._heap and not self._is_valid(self._heap[0]):
            heapq.heappop(self._heap)
        if not self._heap:
            return None
        missing = max(0.0, _ONE - self._tokens)
        return max(self._heap[0][0], self._filled_at + missing / queue.max_dispatches_per_second)

    def take(self, now: float) -> str | None:
        """Return the next task to dispatch now, if there is one, and spend a token on it."""
        self._refill(now)
        due = self.next_due()
        if due is None or due > now:
            return None
        self._tokens = max(0.0, self._tokens - 1)
        name = heapq.heappop(self._heap)[2]
        del self._serials[name]
        return name

    def set_back(self, seconds: float) -> None:
        """Follow a wall clock that was set back."""
        self._filled_at -= seconds

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._filled_at)
        self._filled_at = max(now, self._filled_at)
        added = passed * self.queue.max_dispatches_per_second
        self._tokens = min(self._tokens + added, float(self.queue.max_burst_size))

    def _is_valid(self, entry: tuple[float, int, str]) -> bool:
        return self._serials.get(entry[2]) == entry[1]
