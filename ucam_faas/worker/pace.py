"""How many messages a worker takes of a subscription: those that run, and those that start soon.

A message that would wait behind a long task is better left to another worker.
"""

from __future__ import annotations

MOST_WAITING = 100
"""Messages of a subscription that wait in the worker, beyond those that run."""
SOON_SECONDS = 1.0
"""A waiting message starts within this."""
_LEAST_RUNS = 8
"""Before the first change."""
_WEIGHT, _BATCH_WEIGHT = 1 / 16, 1 / 4
"""Of the last run in the mean."""


class Pace:
    """The size of one subscription's share.

    Args:
        at_once: its messages that may run at a time.
        limit: the most that it may take; None: no limit.

    >>> pace = Pace(2)
    >>> pace.size, [pace.add(0.001) for _ in range(8)][-1], pace.add(0.001)
    (3, 102, None)
    """

    def __init__(self, at_once: int, limit: int | None = None) -> None:
        self.at_once, self._limit = at_once, limit
        self._mean = 0.0
        self._runs = 0
        self.size = self._limited(at_once + 1)
        """Messages that may be outstanding."""

    def add(self, seconds: float) -> int | None:
        """Note the time of a run, and return the new size if it is another by a factor of 2."""
        self._runs += 1
        self._mean += (seconds - self._mean) * max(_WEIGHT, 1 / self._runs)
        if self._runs < _LEAST_RUNS:
            return None
        waiting = int(self.at_once * SOON_SECONDS / max(self._mean, 1e-6))
        size = self._limited(self.at_once + min(max(waiting, 1), MOST_WAITING))
        if self.size / 2 < size < self.size * 2:
            return None
        self.size = size
        return size

    def _limited(self, size: int) -> int:
        return size if self._limit is None else min(size, self._limit)


class BatchPace:
    """How many messages a worker takes of a batch task: those that run, and the next batch.

    The next batch gathers while others run only if it would start soon; otherwise it is better
    left to another worker.

    Args:
        at_once: batches that may run at a time.
        max_messages: in a batch.
        limit: the most that it may take; None: no limit.

    >>> pace = BatchPace(2, 500)
    >>> pace.size, pace.add(0.1), pace.add(60), pace.size
    (1500, None, 1000, 1000)
    """

    def __init__(self, at_once: int, max_messages: int, limit: int | None = None) -> None:
        self.at_once, self._next, self._limit = at_once * max_messages, max_messages, limit
        self._mean: float | None = None
        self._is_soon = True
        self.size = self._size()
        """Messages that may be outstanding."""

    def add(self, seconds: float) -> int | None:
        """Note the time of a run, and return the new size if it is another."""
        mean = seconds if self._mean is None else self._mean
        self._mean = mean + (seconds - mean) * _BATCH_WEIGHT
        # Each change costs a stream: a mean near the border makes no series of them.
        self._is_soon = self._mean < (SOON_SECONDS if self._is_soon else SOON_SECONDS / 2)
        before, self.size = self.size, self._size()
        return None if self.size == before else self.size

    def _size(self) -> int:
        size = self.at_once + self._next * self._is_soon
        return size if self._limit is None else min(size, self._limit)
