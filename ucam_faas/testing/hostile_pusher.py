"""A push subscription whose messages are sent when, and as often as, `Hostile` decides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ucam_faas.emulator.core.lease import Lease
from ucam_faas.emulator.push.pusher import Pusher

TAKEN_AT_ONCE = 1000


class Meeting:
    """Copies of a message wait here for each other, in any threads, so that they do run at once.

    Args:
        copies: the number to wait for.
    """

    def __init__(self, copies: int) -> None:
        self.complete: Future[None] = Future()
        """Done when all have arrived, or one cannot come."""
        self._copies = copies
        self._arrived = 0
        self._lock = threading.Lock()

    def arrive(self, room: int) -> None:
        """Count one copy more; `room` is the number of copies that can run at a time."""
        with self._lock:
            self._arrived += 1
            if self._arrived < min(self._copies, room):
                return
        self.end()

    def end(self) -> None:
        """Release the waiting copies."""
        with suppress(InvalidStateError):
            self.complete.set_result(None)


@dataclass(eq=False, slots=True)
class Sending:
    """A message to send, or on its way.

    Args:
        pusher: its subscription's.
        lease: the message.
        meeting: of the copies that were sent last.
    """

    pusher: HostilePusher
    lease: Lease
    meeting: Meeting | None = None

    @property
    def number(self) -> int:
        """The message's, among those of all topics."""
        return self.lease.message.number

    @property
    def ordinal(self) -> int:
        """1 for the first message that the subscription got."""
        return self.pusher.ordinals[self.number]

    @property
    def key(self) -> str:
        """The ordering key, if the message must keep its place among the others of that key."""
        return self.lease.message.key if self.pusher.queue.rules.ordered else ""

    async def send(self, copies: int) -> tuple[int | str, ...]:
        """Send the message so many times at once, and return the answers as they came."""
        meeting = self.meeting = Meeting(copies)
        answers: list[int | str] = []

        async def send() -> None:
            answers.append(await self.pusher.send(self.lease))
            meeting.end()

        await asyncio.gather(*(send() for _ in range(copies)))
        return tuple(answers)


class HostilePusher(Pusher):
    """Takes and sends nothing by itself.

    Args:
        is_sending: returns True while it sends.
        arguments: of any pusher.
    """

    def __init__(self, is_sending: Callable[[HostilePusher], bool], *arguments: Any) -> None:
        self._is_sending = is_sending
        self.ordinals: dict[int, int] = {}
        """The messages that the subscription got: 1 for the first, by number."""
        super().__init__(*arguments)

    @property
    def busy(self) -> bool:
        """It sends something, or there are messages that cannot be taken yet."""
        engine = self.hub.engine
        return self._is_sending(self) or engine.last > engine.last_answered

    def offer(self) -> None:
        """Leave the messages in the queue."""

    def take(self) -> list[Sending]:
        """Lease all messages that can be delivered now."""
        leases: list[Lease] = []
        now, engine = self.hub.now(), self.hub.engine
        while more := engine.take(self.queue, now, self.holder, TAKEN_AT_ONCE):
            leases += more
        for lease in leases:
            self.ordinals.setdefault(lease.message.number, len(self.ordinals) + 1)
        return [Sending(self, lease) for lease in leases]
