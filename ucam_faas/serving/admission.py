"""How many executions run, and how many wait: beyond that, the answer is no at once."""

from __future__ import annotations

import asyncio
from collections import deque


class FullError(Exception):
    """All that may run is running, and all that may wait is waiting."""


class Gate:
    """Lets `limit` holders in; `queue` more may wait, in order of arrival.

    It belongs to one event loop, and needs no lock.
    """

    def __init__(self, limit: int, queue: int | None = None) -> None:
        self.limit = limit
        self.queue = limit if queue is None else queue
        self.inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Nobody may enter, and nobody may wait."""
        return self.inside >= self.limit and len(self._waiting) >= self.queue

    def try_enter(self) -> bool:
        """Enter if there is room and nobody waits."""
        if self.inside < self.limit and not self._waiting:
            self.inside += 1
            return True
        return False

    def join_queue(self) -> asyncio.Future[None]:
        """Return a future that is done when the holder is inside.

        Raises:
            FullError: the queue is full.
        """
        if len(self._waiting) >= self.queue:
            raise FullError
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return turn

    def leave_queue(self, turn: asyncio.Future[None]) -> None:
        """Give a place in the queue up; if the turn had come, the place inside."""
        if turn.done():
            self.leave()
        else:
            self._waiting.remove(turn)

    def leave(self) -> None:
        """Leave, and let the next one in."""
        self.inside -= 1
        while self._waiting and self.inside < self.limit:
            self.inside += 1
            self._waiting.popleft().set_result(None)
