"""A job in the process of its function: another process has claimed it, and stores its end."""

from __future__ import annotations

from typing import Any

from ucam_faas.execution.execution import Execution, JobNews
from ucam_faas.execution.preparation import prepare
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.stores import JobStore


class JobElsewhere(JobRun):
    """The job of an execution whose delivery has the job's message already.

    Args:
        row: as it was claimed.
        store: has the row.
        ends_at: the end of the claim, by the monotonic clock.
    """

    __slots__ = ()

    def __init__(self, row: Row, store: JobStore, ends_at: float) -> None:
        super().__init__(row.key, Lease(store, row, ends_at))

    def open(self, execution: Execution) -> Any:
        """Return the payload.

        Raises:
            Exception: those of `prepare`.
        """
        assert self.lease is not None, "it is given"
        self.enter(execution, self.lease)
        return prepare(execution)

    @property
    def news(self) -> JobNews:
        """The facts that the claiming process needs."""
        steps, completion = self._steps, self._completion
        if steps is None:
            return JobNews()
        return JobNews(completion.row, completion.is_tried, steps.sleeping, steps.size)
