"""The jobs of a local cloud: a store in memory that goes by the test's clock, and its sweep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution import inbox
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.job_runs.sweeping import sweep_jobs
from ucam_faas.jobs.rows import Row, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing import Publisher
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_of
from ucam_faas.testing.clock import ManualClock
from ucam_faas.testing.hostile_jobs import TaskWake, stale_holder

MOST_ROWS = 100_000


class LocalJobs:
    """Lets `send` reach the tasks of a local cloud, in the test and in its tasks.

    Args:
        settings: of the cloud.
        publisher: to its Pub/Sub.
        clock: the test's.
    """

    def __init__(self, settings: Settings, publisher: Publisher, clock: ManualClock) -> None:
        self.store = SqliteStore(":memory:", clock)
        self._runtime = Runtime(settings, SystemClock(), publisher, store=self.store)
        self.order: Callable[[Wake], int] = lambda wake: 0
        """The order of the wakes of one sweep, which the store leaves to random ids."""
        self._before = CURRENT.get()
        CURRENT.set(self._runtime)

    def close(self) -> None:
        """Forget the jobs."""
        CURRENT.set(self._before)
        self.store.close()

    def sweep(self) -> None:
        """Look at the jobs whose time has come."""

        def wake(wakes: Iterable[Wake]) -> None:
            inbox.wake(self._runtime, sorted(wakes, key=self.order))

        sweep_jobs(self._runtime, wake=wake)

    def next_attempt(self, lost: Collection[tuple[str, str]] = ()) -> float | None:
        """Return when the next job that failed, or lost its process or its wake, runs again.

        Args:
            lost: inboxes and ids of jobs whose wakes were lost.
        """
        rows = self._rows()
        again = [row.visit for row in rows if _runs_again(row) or _names(row.wake) in lost]
        return min(again, default=None)

    def stale_holder(self, task: Task, id: str) -> Execution | None:
        """Let a process claim a job, and lose it; see `hostile_jobs.stale_holder`."""
        return stale_holder(TaskWake(task, id), self._runtime)

    def next_visit(self) -> float | None:
        """Return when the sweep has to look at a job, whatever for."""
        return min((row.visit for row in self._all()), default=None)

    def _rows(self) -> list[Row]:
        return [row for row in self._all() if not row.state.is_completed]

    def _all(self) -> list[Row]:
        rows = self.store.find(self._runtime.settings.app, limit=MOST_ROWS)
        return [row for row in rows if row.state is not State.PAUSED]


def _runs_again(row: Row) -> bool:
    """Return True if a job has run, and doesn't sleep: that is a delay."""
    return bool(row.executions) and row.history[-1].cause != "sleeping"


def _names(wake: Wake) -> tuple[str, str]:
    return inbox_of(wake.key.task, wake.lane), wake.key.id
