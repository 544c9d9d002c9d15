"""A clock that tests move by hand."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ucam_faas.testing.events import PUBLISH_TIME


@dataclass(order=True)
class _Due:
    at: float
    number: int
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """A clock that moves only in `advance` and `sleep`."""

    def __init__(self, start: datetime = PUBLISH_TIME) -> None:
        self._start = start
        self._elapsed = 0.0
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the wall-clock time."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self._elapsed

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> _Due:
        """Call `callback` when the clock has been advanced that far."""
        with self._lock:
            timer = _Due(self._elapsed + delay_seconds, next(self._numbers), callback)
            heapq.heappush(self._due, timer)
        return timer

    def advance(self, by: timedelta | float) -> None:
        """Let time pass, and call in order the callbacks that become due, on this thread.

        Args:
            by: a timedelta, or seconds.

        Raises:
            TypeError: it is neither.
        """
        until = self._elapsed + duration(by).total_seconds()
        while (timer := self._next_due(until)) is not None:
            if not timer.cancelled:
                timer.callback()
        self._elapsed = max(self._elapsed, until)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once; callbacks that become due wait for the next `advance`."""
        with self._lock:
            self._elapsed += seconds

    def _next_due(self, until: float) -> _Due | None:
        with self._lock:
            if not self._due or self._due[0].at > until:
                return None
            timer = heapq.heappop(self._due)
            self._elapsed = max(self._elapsed, timer.at)
            return timer


def duration(by: timedelta | float) -> timedelta:
    """Return a duration, which may be given in seconds.

    Raises:
        TypeError: it is neither a timedelta nor a number.
    """
    if isinstance(by, timedelta):
        return by
    if isinstance(by, int | float) and not isinstance(by, bool):
        return timedelta(seconds=by)
    raise TypeError(f"advance({by!r}): expected a timedelta, or seconds.")
