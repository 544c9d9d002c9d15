"""Limits on running and waiting executions: beyond them, a delivery is refused at once."""

from __future__ import annotations

import asyncio
from collections import deque


class FullError(Exception):
    """The limits of running and of waiting executions are reached."""


class Gate:
    """Lets `limit` holders in; `queue` more of each lane may wait, in order of arrival.

    The lanes that wait take turns, so that none waits behind all of another. A gate belongs to one
    event loop, and needs no lock.
    """

    def __init__(self, limit: int, queue: int | None = None) -> None:
        self.limit = limit
        self.queue = limit if queue is None else queue
        self.inside = 0
        self.waiting = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By lane; the one whose turn it is comes first."""

    def is_full(self, lane: str = "") -> bool:
        """Return True if there is no room inside and none in a lane's queue."""
        return self.inside >= self.limit and len(self._waiting.get(lane, ())) >= self.queue

    @property
    def has_room(self) -> bool:
        """There is room inside, and the queues are empty."""
        return self.inside < self.limit and not self.waiting

    def try_enter(self) -> bool:
        """Enter if there is room and the queues are empty."""
        if self.has_room:
            self.inside += 1
            return True
        return False

    def join_queue(self, lane: str = "") -> asyncio.Future[None]:
        """Return a future that is done when the holder is inside.

        Raises:
            FullError: the lane's queue is full.
        """
        turns = self._waiting.setdefault(lane, deque())
        if len(turns) >= self.queue:
            raise FullError
        turn = asyncio.get_running_loop().create_future()
        turns.append(turn)
        self.waiting += 1
        return turn

    def leave_queue(self, turn: asyncio.Future[None], lane: str = "") -> None:
        """Give a place in the queue up; if the turn had come, the place inside."""
        if turn.done():
            self.leave()
        else:
            self._waiting[lane].remove(turn)
            self.waiting -= 1

    def leave(self) -> None:
        """Leave, and let the next one in."""
        self.inside -= 1
        while self.waiting and self.inside < self.limit:
            self.inside += 1
            self.waiting -= 1
            self._next().set_result(None)

    def _next(self) -> asyncio.Future[None]:
        lane = next(lane for lane, turns in self._waiting.items() if turns)
        turns = self._waiting[lane] = self._waiting.pop(lane)
        return turns.popleft()
