"""Wakes at their worst: lost, duplicate, late, and holders of jobs that lose their lease.

The first wake of every second job is lost; the seed decides which. Before a job runs, another
holder claims it and loses it: it runs the function, too, and can't store its result. What the
function does outside of the store is done twice, as in the cloud.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.job_runs.lease import Lease
from ucam_faas.job_runs.limited import number_of
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.send_options import retry_of
from ucam_faas.outcomes import name
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task
from ucam_faas.testing.events import make_push


class TaskWake(NamedTuple):
    """A wake in the inbox of a task's lane."""

    task: Task
    id: str
    lane: str = DEFAULT_LANE


Push = Callable[[TaskWake], int]
ATTEMPTS_FOR_STALE_HOLDERS = 3
"""A lost lease counts as a failed attempt: jobs with fewer attempts left keep theirs."""


class HostileJobs:
    """Decides the treatment of each wake, and carries it out.

    Args:
        seed: another one: other jobs are treated in another way.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.tricks: list[str] = []
        """All that was done, in that order."""
        self._ordinals: dict[TaskWake, int] = {}
        self._lost: set[TaskWake] = set()
        self._run: set[TaskWake] = set()
        self._late: list[TaskWake] = []

    def deliver(self, wake: TaskWake, push: Push, runtime: Runtime) -> None:
        """Deliver a wake several times, or not at all."""
        is_first = wake not in self._ordinals
        ordinal = self._ordinals.setdefault(wake, len(self._ordinals) + 1)
        if is_first and loses_its_wake(self.seed, ordinal):
            self._lost.add(wake)
            self._note(wake, LOST)
            return
        stale = None if wake in self._run else stale_holder(wake, runtime)
        copies = random.Random(f"{self.seed} {wake.task.name} {ordinal}").choice((2, 3))
        answers = ", ".join(str(push(wake)) for _ in range(copies))
        self._note(wake, f"{copies} wakes: {answers}")
        if stale is not None:
            self._note(wake, end(stale))
        if wake not in self._run:
            self._run.add(wake)
            self._late.append(wake)

    def order(self, wakes: deque[TaskWake]) -> None:
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

    def _note(self, wake: TaskWake, trick: str) -> None:
        self.tricks.append(f"{wake.task.name}, job {self._ordinals[wake]}: {trick}")


LOST = "its wake is lost"


def loses_its_wake(seed: int, ordinal: int) -> bool:
    """Return True if the first wake of a job is lost; `ordinal` is 1 for the first job."""
    return (seed + ordinal) % 2 == 0


def stale_holder(wake: TaskWake, runtime: Runtime) -> Execution | None:
    """Let a process claim a job, and lose it at once; None: it can't, or has too few attempts.

    Args:
        wake: of the job.
        runtime: has the store.
    """
    store = runtime.jobs()
    assert store is not None, "the test has one"
    key = Key(runtime.settings.app, wake.task.name, wake.id)
    row = store.get(key)
    if row is None:
        return None
    most = retry_of(row, wake.task.policy.retry).max_attempts
    if most is not None and most - row.attempts < ATTEMPTS_FOR_STALE_HOLDERS:
        return None
    limit = number_of(wake.task)
    claimed = store.claim(key, lease=0, instance="a process that is held up", limit=limit)
    if claimed is None:
        return None
    job = JobRun(key, Lease(store, claimed))
    push = make_push(b"stale")
    delivery = envelopes.decode(push.body, {"content-type": "application/json"})
    return Execution(wake.task, delivery.with_message(), runtime, job=job)


def end(stale: Execution) -> str:
    """Run the function of a job whose lease was lost, and return what was done."""
    return f"a process that had lost its lease ends, too: {name(execute(stale).outcome)}"
