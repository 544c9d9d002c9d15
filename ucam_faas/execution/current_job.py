"""`ucam_faas.current_job()`: the job of the running execution, for its task."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field

from ucam_faas.exceptions import JobCancelledError, JobNotFoundError
from ucam_faas.jobs.rows import Row, lost
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The job that runs.

    Args:
        id: of the job.
        attempt: the number of this attempt, from 1; the task's limit counts it.
        source_task: the name of the task that sent the job; empty: none did.
    """

    id: str
    attempt: int
    source_task: str
    _row: Row = field(repr=False)
    _store: JobStore = field(repr=False)

    @property
    def times_resumed(self) -> int:
        """How often `job.resume()` ended a pause."""
        return sum(entry.cause == "resumed" for entry in self._row.history)

    @property
    def cancel_requested(self) -> bool:
        """`job.cancel()` was called; read fresh."""
        return self._held(self._store.get(self._row.key)).cancel_requested

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the job is, for `job.progress` and `ucam-faas jobs show`.

        Args:
            done: in any unit.
            total: in the same unit; None: it isn't known.
            note: for people.

        Raises:
            JobCancelledError: `job.cancel()` was called. A task that lets it pass ends the job.
            JobLostError: another process holds the job by now.
            JobStoreError: the store doesn't answer.
        """
        progress = {"done": done, "total": total, "note": note}
        row = self._held(self._store.report(self._row.key, progress, fence=self._row.fence))
        if row.cancel_requested:
            raise JobCancelledError(f"The job {self.id!r} was cancelled.")

    async def progress_async(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the job is; see `progress`."""
        await asyncio.to_thread(self.progress, done, total, note)

    def _held(self, row: Row | None) -> Row:
        """Return the row, if this process holds the job still.

        Raises:
            JobLostError: it doesn't.
        """
        own = self._row
        if row is None or row.fence != own.fence or row.state is not State.STARTED:
            raise lost(own.key)
        return row


CURRENT_JOB: ContextVar[CurrentJob | None] = ContextVar("CURRENT_JOB", default=None)
"""Set while a job runs."""


def current_job() -> CurrentJob:
    """Return the job that runs.

    Raises:
        JobNotFoundError: no job runs here: the delivery isn't a job's.
    """
    job = CURRENT_JOB.get()
    if job is None:
        raise JobNotFoundError(
            "current_job() was called where no job runs. `task.send(…)` starts one, as does each "
            "message on the topic of a task with idempotent=True."
        )
    return job


def enter(row: Row, store: JobStore) -> CurrentJob:
    """Let a claimed job be the current one in this context, and return it."""
    job = CurrentJob(row.key.id, row.attempts + 1, row.source, row, store)
    CURRENT_JOB.set(job)
    return job
