"""Deliveries at their worst: what Pub/Sub may do at any time, done to every message.

Messages wait for `Hostile.play`, which delivers them one after the other:

- the newest first and the oldest last, those between in an order of the seed's;
- each as two or three requests at once; when that is acknowledged, the acknowledgement gets lost,
  and the message comes in as many once more;
- older messages again when all is done, after the newer ones.

The messages of an ordering key keep their order where the subscription asks for it; when one comes
again, so do all that follow it, as in the cloud ("Order messages"). One acknowledged copy is
enough: what its duplicates answer burns no delivery attempt. What happens to a message depends on
the seed, on what was published and on what is answered, never on timing.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple

from ucam_faas.emulator.core.lease import Lease
from ucam_faas.emulator.push.pusher import ACKNOWLEDGED
from ucam_faas.testing.hostile_pusher import HostilePusher

LAST_ATTEMPT_AT_ONCE = 2
"""Copies at once may fail because of each other: from the next attempt on there is one."""
LAST_GENERATION_TWICE = 3
"""What tasks publish themselves comes twice, what comes of that, too, and so on; but each copy
publishes anew, and this must have an end."""
SEVERAL = 4
"""From so many messages of a subscription on, more than one comes late."""


class Trick(NamedTuple):
    """What was done to a message, and what was answered."""

    subscription: str
    """The short name."""
    ordinal: int
    """1 for the first message that the subscription got."""
    trick: str
    answers: tuple[int | str, ...]

    def __str__(self) -> str:
        answers = ", ".join(str(answer) for answer in self.answers)
        return f"{self.subscription}, message {self.ordinal}: {self.trick}: {answers}"


class _Sending(NamedTuple):
    pusher: HostilePusher
    lease: Lease

    @property
    def number(self) -> int:
        return self.lease.message.number

    @property
    def ordinal(self) -> int:
        return self.pusher.ordinal(self.lease)


class Hostile:
    """Decides what is done to which message, and does it.

    Args:
        seed: another one: another order, more or fewer copies, and other messages that come late.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.tricks: list[Trick] = []
        """All that was done, in that order."""
        self.current: HostilePusher | None = None
        """The one that sends something."""
        self.message: tuple[str, int] = ("", 0)
        """The one that is sent: the subscription's short name, and which of its messages."""
        self._pushers: list[HostilePusher] = []
        self._task: asyncio.Task[None] | None = None
        self._generations: dict[int, int] = {}
        self._late = _Late(seed)

    def make_pusher(self, *given: Any) -> HostilePusher:
        """Make a pusher, with the arguments of any pusher."""
        pusher = HostilePusher(*given)
        self._pushers.append(pusher)
        return pusher

    def play(self, *, settled: bool) -> bool:
        """Begin to deliver what there is; tell whether there is anything.

        Args:
            settled: no message waits for a backoff: the late copies may come.
        """
        if self._task is not None and self._task.done():
            self._task.result()  # raises what went wrong here: nothing of a task's
        self._pushers = [pusher for pusher in self._pushers if not pusher.closed]
        wave = [[_Sending(pusher, found) for found in pusher.take()] for pusher in self._pushers]
        if any(wave):
            self._start(self._deliver_all(self._in_order(wave)))
            return True
        late = self._late.take() if settled else []
        if late:
            self._start(self._deliver_late(late))
        return bool(late)

    def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            finally:
                self._set_current(None)

        self._set_current(self._pushers[0])  # until the work has begun
        self._task = asyncio.ensure_future(run())

    def _set_current(self, pusher: HostilePusher | None) -> None:
        for one in self._pushers:
            one.sending = one is pusher
        self.current = pusher

    def _in_order(self, wave: list[list[_Sending]]) -> list[_Sending]:
        """Return what is sent in the order in which it is: what failed last, and kindly."""
        first = [[one for one in some if one.lease.attempt == 1] for some in wave]
        again = [one for some in wave for one in some if one.lease.attempt > 1]
        newest_first = heapq.merge(*map(self._shuffled, first), key=lambda one: -one.number)
        return [*newest_first, *sorted(again, key=lambda one: one.number)]

    def _shuffled(self, found: list[_Sending]) -> list[_Sending]:
        if len(found) < 2:
            return found
        oldest, *between, newest = found
        between.sort(key=lambda one: _random(self.seed, one, "order").random())
        return [newest, *between, oldest]

    async def _deliver_all(self, wave: Iterable[_Sending]) -> None:
        for one in wave:
            await self._deliver(one)

    async def _deliver(self, one: _Sending) -> None:
        generation, attempt = self._generations.get(one.number, 0), one.lease.attempt
        copies = 1
        if attempt <= LAST_ATTEMPT_AT_ONCE and generation <= LAST_GENERATION_TWICE:
            copies = 2 if generation else _random(self.seed, one, "copies").choice((2, 3))
        answers = await self._send(one, copies, f"attempt {attempt}")
        good = [answer for answer in answers if answer in ACKNOWLEDGED]
        if good and not generation:
            if answers[-1] in ACKNOWLEDGED:  # else more copies might mend what a failure broke
                await self._send(one, copies, "its acknowledgement got lost")
            self._late.add(one)
        one.pusher.conclude(one.lease, good[0] if good else answers[0])

    async def _deliver_late(self, late: Iterable[_Sending]) -> None:
        for one in late:
            await self._send(one, 1, "late, after newer ones")

    async def _send(self, one: _Sending, copies: int, why: str) -> tuple[int | str, ...]:
        pusher = one.pusher
        self._set_current(pusher)
        self.message = (pusher.name, one.ordinal)
        before = pusher.last_number()
        answers = await pusher.send(one.lease, copies)
        generation = self._generations.get(one.number, 0) + 1
        for published in range(before + 1, pusher.last_number() + 1):
            self._generations[published] = generation
        times = f"{copies} at once" if copies > 1 else "once"
        self.tricks.append(Trick(*self.message, f"{times} ({why})", answers))
        return answers


class _Late:
    """Decides which messages come once more when all is done, after newer ones."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._parity = random.Random(f"{seed} parity").randrange(2)
        self._single: list[_Sending] = []
        self._lines: dict[tuple[str, str], list[_Sending]] = {}
        self._longer: dict[tuple[str, str], None] = {}

    def add(self, one: _Sending) -> None:
        """Take note of an acknowledged message."""
        if one.pusher.is_ordered(one.lease):
            key = (one.pusher.name, one.lease.message.key)
            self._lines.setdefault(key, []).append(one)
            self._longer[key] = None
        else:
            self._single.append(one)

    def take(self) -> list[_Sending]:
        """Return what comes now; each message comes late once, the end of a key's line again."""
        return [*self._singles(), *self._ends_of_lines()]

    def _singles(self) -> list[_Sending]:
        """The very first message, and of several others each second one; the newer, the sooner.

        Never the last: after its forerunners it would mend what an early copy of it broke.
        """
        numbers = [one.number for one in self._single]
        first, last = min(numbers, default=0), max(numbers, default=0)
        found, kept = [], []
        for one in self._single:
            newest = one.pusher.newest
            if one.number == first < last:
                found.append(one)
            elif one.ordinal == newest:
                kept.append(one)
            elif newest >= SEVERAL and (one.ordinal + self._parity) % 2 == 0:
                found.append(one)
        self._single = kept
        return sorted(found, key=lambda one: -one.number)

    def _ends_of_lines(self) -> list[_Sending]:
        """Of each key with new messages: one of them, and all that follow it."""
        found = []
        for key in self._longer:
            line = self._lines[key]
            if len(line) > 1:
                start = _random(self._seed, line[-1], "start").randrange(len(line) - 1)
                found += line[start:]
        self._longer.clear()
        return found


def _random(seed: int, one: _Sending, purpose: str) -> random.Random:
    return random.Random(f"{seed} {purpose} {one.pusher.name} {one.ordinal}")
