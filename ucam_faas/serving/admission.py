"""Limits on running and waiting executions: beyond them, a delivery is refused at once."""

from __future__ import annotations

import asyncio
from collections import deque


class FullError(Exception):
    """The limits of running and of waiting executions are reached."""


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
        """The length of the queue."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """There is no room inside and none in the queue."""
        return self.inside >= self.limit and len(self._waiting) >= self.queue

    @property
    def has_room(self) -> bool:
        """There is room inside, and the queue is empty."""
        return self.inside < self.limit and not self._waiting

    def try_enter(self) -> bool:
        """Enter if there is room and the queue is empty."""
        if self.has_room:
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
