"""Wakes at their worst: lost, duplicate, late, and holders of jobs that lose their lease.

Each job gets the treatment that the seed decides; the same seed repeats it. A holder that loses its
lease runs the function, too, and can't store its result: what the function does outside of the
store is done twice, as in the cloud.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution, Unclaimed
from ucam_faas.execution.job_run import JobRun
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Key
from ucam_faas.outcomes import name
from ucam_faas.tasks.task import Task
from ucam_faas.testing.clock import ManualClock
from ucam_faas.testing.events import make_push


class Wake(NamedTuple):
    """A wake in a task's inbox."""

    task: Task
    id: str


Push = Callable[[Wake], int]
ATTEMPTS_FOR_STALE_HOLDERS = 3
"""A lost lease counts as a failed attempt: tasks with fewer attempts keep theirs."""


class HostileJobs:
    """Decides the treatment of each wake, and carries it out.

    Args:
        seed: another one: other jobs are treated in another way.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.tricks: list[str] = []
        """All that was done, in that order."""
        self._ordinals: dict[Wake, int] = {}
        self._lost: set[Wake] = set()
        self._late: list[Wake] = []

    def deliver(self, wake: Wake, push: Push, runtime: Runtime, clock: ManualClock) -> None:
        """Deliver a wake once, several times, or not at all."""
        is_first = wake not in self._ordinals
        ordinal = self._ordinals.setdefault(wake, len(self._ordinals) + 1)
        chance = random.Random(f"{self.seed} {wake.task.name} {ordinal}")
        treatment = chance.choice(("lost", "stale", "duplicate")) if is_first else "duplicate"
        if treatment == "lost":
            self._lost.add(wake)
            self._note(wake, "its wake is lost")
            return
        stale = self._claim(wake, runtime) if treatment == "stale" else None
        if stale is not None:
            assert stale.job is not None, "it has claimed one"
            assert stale.job.row is not None, "it was just claimed"
            lease = stale.job.row.lease or 0.0
            clock.advance(timedelta(seconds=lease - clock.now().timestamp() + 1))
        copies = chance.choice((2, 3))
        answers = ", ".join(str(push(wake)) for _ in range(copies))
        self._note(wake, f"{copies} wakes: {answers}")
        if stale is not None:
            outcome = execute(stale).outcome
            self._note(wake, f"a process that had lost its lease ends, too: {name(outcome)}")
        if is_first:
            self._late.append(wake)

    def order(self, wakes: deque[Wake]) -> None:
        """Put the wakes of a sweep, whose order ids decide, into the order of their first ones."""
        last = len(self._ordinals)
        in_order = sorted(wakes, key=lambda wake: self._ordinals.get(wake, last))
        wakes.clear()
        wakes.extend(in_order)

    def take_lost(self) -> bool:
        """Return True if wakes were lost, and forget them: the sweep repeats them."""
        lost, self._lost = self._lost, set()
        return bool(lost)

    def deliver_late(self, push: Push) -> None:
        """Deliver each wake once more, when all jobs have run."""
        late, self._late = self._late, []
        for wake in reversed(late):
            self._note(wake, f"a late wake: {push(wake)}")

    def _claim(self, wake: Wake, runtime: Runtime) -> Execution | None:
        """Take the job for a process that will lose it, where its attempts allow that."""
        limit, store = wake.task.policy.retry.max_attempts, runtime.jobs()
        assert store is not None, "the test has one"
        key = Key(runtime.settings.app, wake.task.name, wake.id)
        row = store.get(key)
        attempts = row.attempts if row is not None else 0
        if limit is not None and limit - attempts < ATTEMPTS_FOR_STALE_HOLDERS:
            return None
        push, job = make_push(b"stale"), JobRun(key)
        delivery = envelopes.decode(push.body, {"content-type": "application/json"})
        execution = Execution(wake.task, delivery.with_message(), runtime, job=job)
        try:
            job.claim(execution)
        except Unclaimed:
            return None
        return execution

    def _note(self, wake: Wake, trick: str) -> None:
        self.tricks.append(f"{wake.task.name}, job {self._ordinals[wake]}: {trick}")
