"""Deliveries at their worst: every message gets the treatment that Pub/Sub may give to any.

Messages wait for `Hostile.play`, which delivers them one after the other:

- the newest first and the oldest last, those between in an order that the seed decides;
- each as two or three requests at once; when that is acknowledged, the acknowledgement gets lost,
  and the message comes as many times once more;
- older messages again when all is done, after the newer ones;
- the first wake of every second job is lost, and each job has a holder that loses its lease, and
  runs the function after all that is new: see `hostile_jobs`.

The messages of an ordering key keep their order where the subscription asks for it; when one comes
again, so do all that follow it, as in the cloud ("Order messages"). One acknowledged copy is
enough: a failed duplicate uses up no delivery attempt. The treatment of a message depends on the
seed, on the published messages and on the answers, never on timing.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from ucam_faas.emulator.push.pusher import ACKNOWLEDGED, Pusher
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.tasks.topics import inbox_named
from ucam_faas.testing.hostile_jobs import LOST, end, loses_its_wake
from ucam_faas.testing.hostile_pusher import HostilePusher, Sending

LAST_ATTEMPT_AT_ONCE = 2
"""Copies at once may fail because of each other: from the next attempt on there is one."""
LAST_GENERATION_TWICE = 3
"""A task's own messages come twice, as do the messages published because of those, and so on; but
each copy publishes again, and this must end."""
SEVERAL = 4
"""With so many messages of a subscription, more than one comes late."""


ResultT = TypeVar("ResultT")

ACKNOWLEDGED_STATUS = 200


class Trick(NamedTuple):
    """A treatment of a message, and the answers to it."""

    subscription: str
    """The short name."""
    ordinal: int
    """1 for the first message that the subscription got."""
    trick: str
    answers: tuple[int | str, ...]

    def __str__(self) -> str:
        answers = ", ".join(str(answer) for answer in self.answers)
        text = f"{self.subscription}, message {self.ordinal}: {self.trick}"
        return f"{text}: {answers}" if answers else text


class Hostile:
    """Decides the treatment of each message, and carries it out.

    Args:
        seed: another one: another order, more or fewer copies, and other messages that come late.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.tricks: list[Trick] = []
        """All that was done, in that order."""
        self.current: Sending | None = None
        """The one message that is being sent."""
        self.stale_holder: Callable[[str, str], Execution | None] | None = None
        """Lets a process claim a job, and lose it: from the task and the id; None: no jobs."""
        self.lost: set[tuple[str, str]] = set()
        """Jobs whose first wake was lost: an inbox, and the job's id."""
        self._jobs: dict[tuple[str, str], int] = {}
        """Jobs whose wakes came, with their numbers from 1."""
        self._stale: list[tuple[Sending, Execution]] = []
        self._task: asyncio.Task[None] | None = None
        self._generations: dict[int, int] = {}
        self._late = _Late(seed)

    def make_pusher(self, *arguments: Any) -> HostilePusher:
        """Return a pusher, with the arguments of any pusher."""
        return HostilePusher(self._is_sending, *arguments)

    def _is_sending(self, pusher: HostilePusher) -> bool:
        return self.current is not None and self.current.pusher is pusher

    def number(self, inbox: str, id: str) -> int:
        """Return the number of a job, in the order in which their first wakes were delivered."""
        return self._jobs.get((inbox, id), len(self._jobs) + 1)

    def play(self, pushers: Iterable[Pusher], *, settled: bool) -> None:
        """Begin to deliver the waiting messages, if there are any.

        Args:
            pushers: those that `make_pusher` made; others are left alone.
            settled: no message waits for a backoff: the late copies may come.
        """
        if self._task is not None and self._task.done():
            self._task.result()  # raises an error of this module: a task's are answers
        waves = [pusher.take() for pusher in pushers if isinstance(pusher, HostilePusher)]
        new = self._in_order(waves)
        late = self._late.take() if settled and not new else []
        if new or late:
            self.current = [*new, *late][0]
            self._task = asyncio.ensure_future(self._play(new, late))

    def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()

    async def _play(self, new: list[Sending], late: list[Sending]) -> None:
        try:
            for sending in new:
                await self._deliver(sending)
            await self._end_stale()
            for sending in late:
                await self._send(sending, 1, "late, after newer ones")
        finally:
            self.current = None

    def _in_order(self, waves: list[list[Sending]]) -> list[Sending]:
        """Return the sendings of all pushers in their order: those that failed before come last."""
        first = [[sending for sending in wave if sending.lease.attempt == 1] for wave in waves]
        again = [sending for wave in waves for sending in wave if sending.lease.attempt > 1]
        newest_first = heapq.merge(*map(self._shuffled, first), key=lambda sending: -sending.number)
        return [*newest_first, *sorted(again, key=lambda sending: sending.number)]

    def _shuffled(self, wave: list[Sending]) -> list[Sending]:
        if len(wave) < 2:
            return wave
        oldest, *between, newest = wave
        between.sort(key=lambda sending: _random(self.seed, sending, "order").random())
        return [newest, *between, oldest]

    async def _end_stale(self) -> None:
        """Let the holders that lost their jobs run the function to its end."""
        stale, self._stale = self._stale, []
        for sending, execution in stale:
            self.current = sending
            sending.meeting = None  # it runs alone
            text = await _in_thread(end, execution)
            self._note(sending, text)

    async def _deliver(self, sending: Sending) -> None:
        if await self._treat_wake(sending):
            return
        generation, attempt = self._generations.get(sending.number, 0), sending.lease.attempt
        copies = 1
        if attempt <= LAST_ATTEMPT_AT_ONCE and generation <= LAST_GENERATION_TWICE:
            copies = 2 if generation else _random(self.seed, sending, "copies").choice((2, 3))
        answers = await self._send(sending, copies, f"attempt {attempt}")
        good = [answer for answer in answers if answer in ACKNOWLEDGED]
        if good and not generation:
            if answers[-1] in ACKNOWLEDGED:  # else more copies might repair the damage of a failure
                await self._send(sending, copies, "its acknowledgement got lost")
            self._late.add(sending)
        sending.pusher.conclude(sending.lease, good[0] if good else answers[0])

    async def _treat_wake(self, sending: Sending) -> bool:
        """Play the tricks on a job, if the message is a wake; return True if it is lost."""
        id = sending.lease.message.attributes.get(JOB_ATTRIBUTE)
        inbox = sending.pusher.name
        named = inbox_named(inbox)
        if id is None or self.stale_holder is None or named is None:
            return False
        is_first = (inbox, id) not in self._jobs
        ordinal = self._jobs.setdefault((inbox, id), len(self._jobs) + 1)
        if is_first and loses_its_wake(self.seed, ordinal):
            self.lost.add((inbox, id))
            self._note(sending, LOST)
            sending.pusher.conclude(sending.lease, ACKNOWLEDGED_STATUS)
            return True
        if is_first or (inbox, id) in self.lost:
            self.lost.discard((inbox, id))
            holder = await _in_thread(self.stale_holder, named.task, id)
            if holder is not None:
                self._stale.append((sending, holder))
        return False

    def _note(self, sending: Sending, text: str) -> None:
        self.tricks.append(Trick(sending.pusher.name, sending.ordinal, text, ()))

    async def _send(self, sending: Sending, copies: int, why: str) -> tuple[int | str, ...]:
        self.current = sending
        before = sending.pusher.hub.engine.last
        answers = await sending.send(copies)
        generation = self._generations.get(sending.number, 0) + 1
        for number in range(before + 1, sending.pusher.hub.engine.last + 1):
            self._generations[number] = generation
        times = f"{copies} at once" if copies > 1 else "once"
        trick = Trick(sending.pusher.name, sending.ordinal, f"{times} ({why})", answers)
        self.tricks.append(trick)
        return answers


class _Late:
    """Decides which messages come once more when all is done, after newer ones."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._parity = random.Random(f"{seed} parity").randrange(2)
        self._single: list[Sending] = []
        self._lines: dict[tuple[str, str], list[Sending]] = {}
        self._longer: dict[tuple[str, str], None] = {}
        """The keys with new messages."""

    def add(self, sending: Sending) -> None:
        """Remember an acknowledged message."""
        if sending.key:
            key = (sending.pusher.name, sending.key)
            self._lines.setdefault(key, []).append(sending)
            self._longer[key] = None
        else:
            self._single.append(sending)

    def take(self) -> list[Sending]:
        """Return the messages that come now: each once, but the ends of keys' lines again."""
        return [*self._singles(), *self._ends_of_lines()]

    def _singles(self) -> list[Sending]:
        """The very first message, and of several others each second one; the newer, the sooner.

        Never the last: after its predecessors it would repair the damage of an early copy.
        """
        numbers = [sending.number for sending in self._single]
        first, last = min(numbers, default=0), max(numbers, default=0)
        late, kept = [], []
        for sending in self._single:
            newest = len(sending.pusher.ordinals)
            if sending.number == first < last:
                late.append(sending)
            elif sending.ordinal == newest:
                kept.append(sending)
            elif newest >= SEVERAL and (sending.ordinal + self._parity) % 2 == 0:
                late.append(sending)
        self._single = kept
        return sorted(late, key=lambda sending: -sending.number)

    def _ends_of_lines(self) -> list[Sending]:
        """Of each key with new messages: one of them, and all that follow it."""
        late = []
        for key in self._longer:
            line = self._lines[key]
            if len(line) > 1:
                start = _random(self._seed, line[-1], "start").randrange(len(line) - 1)
                late += line[start:]
        self._longer.clear()
        return late


async def _in_thread(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """Call a function in a thread that ends with it."""
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.wrap_future(pool.submit(function, *arguments))


def _random(seed: int, sending: Sending, purpose: str) -> random.Random:
    return random.Random(f"{seed} {purpose} {sending.pusher.name} {sending.ordinal}")
