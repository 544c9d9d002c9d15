"""A push subscription whose messages are sent when, and as often as, somebody else says."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from ucam_faas.emulator.core.lease import Lease
from ucam_faas.emulator.push.pusher import Pusher

TAKEN_AT_ONCE = 1000


class Meeting:
    """Where copies of a message wait for each other, in any threads, so that they do run at once.

    Args:
        copies: that are waited for.
    """

    def __init__(self, copies: int) -> None:
        self.complete: Future[None] = Future()
        """Done when all are there, or one cannot come."""
        self._copies = copies
        self._there = 0
        self._lock = threading.Lock()

    def arrive(self, room: int) -> None:
        """Be there; `room`: so many can be there at a time."""
        with self._lock:
            self._there += 1
            if self._there < min(self._copies, room):
                return
        self.end()

    def end(self) -> None:
        """Let everybody go on."""
        with suppress(InvalidStateError):
            self.complete.set_result(None)


class HostilePusher(Pusher):
    """Takes and sends nothing by itself. It takes the arguments of any pusher."""

    def __init__(self, *given: Any) -> None:
        self.sending = False
        self.closed = False
        self.meeting: Meeting | None = None
        """Of the copies that were sent last."""
        self._ordinals: dict[int, int] = {}
        super().__init__(*given)
        self.name: str = self._proto.name.rpartition("/")[2]
        """The subscription's short name."""

    def close(self) -> None:
        """Stop."""
        self.closed = True
        super().close()

    @property
    def busy(self) -> bool:
        """It sends something, or there are messages that cannot be taken yet."""
        engine = self._hub.engine
        return self.sending or engine.last > engine.last_answered

    def offer(self) -> None:
        """Leave the messages where they are."""

    def take(self) -> list[Lease]:
        """Return all that can be delivered now."""
        found: list[Lease] = []
        now, engine = self._hub.now(), self._hub.engine
        while more := engine.take(self.queue, now, self._holder, TAKEN_AT_ONCE):
            found += more
        for lease in found:
            self._ordinals.setdefault(lease.message.number, len(self._ordinals) + 1)
        return found

    def ordinal(self, lease: Lease) -> int:
        """Return which message of the subscription's this is; 1 for the first."""
        return self._ordinals[lease.message.number]

    @property
    def newest(self) -> int:
        """The ordinal of the last message."""
        return len(self._ordinals)

    def is_ordered(self, lease: Lease) -> bool:
        """Tell whether a message must keep its place among the others of its key."""
        return self.queue.rules.ordered and bool(lease.message.key)

    async def send(self, lease: Lease, copies: int) -> tuple[int | str, ...]:
        """Send a message so many times at once, and return the answers as they came."""
        meeting = self.meeting = Meeting(copies)
        answers: list[int | str] = []

        async def send() -> None:
            answers.append(await self._send(lease))
            meeting.end()

        await asyncio.gather(*(send() for _ in range(copies)))
        return tuple(answers)

    def conclude(self, lease: Lease, answer: int | str) -> None:
        """Acknowledge a message, or deliver it again."""
        self._conclude(lease, answer)
        self._hub.changed()

    def last_number(self) -> int:
        """Return the number of the last message that was published, to any topic."""
        return max((log.last for log in self._hub.engine.logs.values()), default=0)
