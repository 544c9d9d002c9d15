"""The inbox: Pub/Sub's push subscription, with the rules of our emulator's `Pusher`, by tick."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator

from simulation.cohorts import Wakes
from ucam_faas.emulator.push.pusher import FIRST_WINDOW, MAX_BACKOFF_SECONDS, MIN_BACKOFF_SECONDS
from ucam_faas.gcp.limits import backoff_seconds
from ucam_faas.tasks.topics import MAX_INBOX_BACKOFF_SECONDS, MIN_INBOX_BACKOFF_SECONDS


class Inbox:
    """Messages that wait for their push, or for their backoff to end.

    Args:
        last_window: the most pushes under way.
    """

    def __init__(self, last_window: int) -> None:
        self._last_window = last_window
        self._window = FIRST_WINDOW
        self._backoff = 0.0
        self._resume_at = 0.0
        self._bursts = 0
        self._ready: deque[Wakes] = deque()
        self._again: list[tuple[float, int, Wakes]] = []
        self._numbers = itertools.count()
        self.under_way = 0

    def publish(self, wakes: Wakes) -> None:
        """Add messages."""
        if wakes.count:
            self._ready.append(wakes)

    def take(self, now: float) -> Iterator[tuple[Wakes, int]]:
        """Push as many messages as the window allows; with the number of the burst."""
        while self._again and self._again[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._again)[2])
        if now < self._resume_at:
            return
        while self._ready and self.under_way < self._window:
            wakes = self._ready.popleft()
            room = self._window - self.under_way
            if wakes.count > room:
                self._ready.appendleft(wakes)
                wakes = wakes.split(room)
            self.under_way += wakes.count
            yield wakes, self._bursts

    def acknowledge(self, count: int) -> None:
        """Note pushes that were answered with success."""
        self.under_way -= count
        self._window = min(self._window + count, self._last_window)
        self._backoff = 0.0

    def refuse(self, wakes: Wakes, burst: int, now: float) -> None:
        """Note pushes that were answered otherwise: they come again after their backoff."""
        self.under_way -= wakes.count
        if burst == self._bursts:
            self._bursts += 1
            self._window = max(self._window // 2, 1)
            self._backoff = min(max(2 * self._backoff, MIN_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS)
            self._resume_at = now + self._backoff
        wakes.failures += 1
        least, most = MIN_INBOX_BACKOFF_SECONDS, MAX_INBOX_BACKOFF_SECONDS
        wait = max(backoff_seconds(least, most, wakes.failures), self._backoff)
        heapq.heappush(self._again, (now + wait, next(self._numbers), wakes))
