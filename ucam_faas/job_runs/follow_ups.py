"""After a run: the job's event is published, and the jobs that wait for its end are woken."""

from __future__ import annotations

from functools import partial

from ucam_faas.exceptions import JobError
from ucam_faas.execution import inbox
from ucam_faas.execution.execution import Execution
from ucam_faas.job_runs import events, limited
from ucam_faas.jobs import members
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.stores import JobStore
from ucam_faas.logs.problems import log_problem


def after_run(execution: Execution, store: JobStore, row: Row | None) -> None:
    """Publish the event of a job that isn't held any more, wake the next job of its key, and start
    its batch's callback. If that fails, the sweep does it.

    Args:
        row: as the end of the run left it; None: another process holds the job.
    """
    events.publish_due(execution.runtime, row)
    limited.wake_next(execution, store, row)
    if row is None or row.batch is None or not row.state.is_completed:
        return
    try:
        members.after_end(store, row, partial(inbox.wake, execution.runtime))
    except JobError as error:
        log_problem("ucam_faas_job_store_failed", task=row.key.task, error=error)
