"""The end of a member of a batch starts the batch's callback, if it was the last one's."""

from __future__ import annotations

from functools import partial

from ucam_faas.exceptions import JobError
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs import members
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.stores import JobStore
from ucam_faas.logs.problems import log_problem


def after_end(runtime: Runtime, store: JobStore, row: Row | None) -> None:
    """Start the callback of a row that has ended, if no member is live; if that fails, the sweep
    does it.

    A store blocks, so this may not be called on an event loop.
    """
    if row is None or row.batch is None or not row.state.is_completed:
        return
    try:
        members.after_end(store, row, partial(inbox.wake, runtime))
    except JobError as error:
        log_problem("ucam_faas_job_store_failed", task=row.key.task, error=error)
