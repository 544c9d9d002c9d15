"""The claim of a job, before its function runs: in its turn, in its lane, and within its limit.

A store blocks, so nothing in here may be called on an event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from ucam_faas.exceptions import ConfigurationError, JobError, JobStoreError, PayloadMissingError
from ucam_faas.execution.execution import Execution, Unclaimed
from ucam_faas.job_runs import ends, events, limited, pauses
from ucam_faas.job_runs.company import COMPANY
from ucam_faas.job_runs.follow_ups import after_run
from ucam_faas.job_runs.instance import instance
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Ignore, Overloaded, Recorded, Unavailable

MARGIN_SECONDS = 15.0
"""A claim outlasts the task's deadline by this: time to store the result."""
LEAST_SHARE = 0.5
"""A job with less than this of its timeout left isn't begun: its wake is delivered again."""
EARLY_SECONDS = 1.0
"""A wake that is earlier than this is acknowledged, and the sweep wakes the job."""
_MAX_CLAIMS = 3
"""The first, one when the job has its limit's key, and one when it is due."""


class Claimant(Protocol):
    """A job that this process is about to hold."""

    key: Key

    def unclaimed(self, row: Row | None) -> Unclaimed:
        """Return the reason for which the job can't be claimed."""


def claim(execution: Execution, job: Claimant) -> Lease:
    """Claim a job that has joined `COMPANY`.

    Raises:
        Unclaimed: it can't run now.
        JobError: the store doesn't answer.
        ConfigurationError: the store can't be used.
    """
    clock, timeout = execution.runtime.clock, execution.task.policy.served_timeout_seconds
    begin = clock.monotonic()
    left = max(0.0, timeout - execution.elapsed_seconds())
    if left < timeout * LEAST_SHARE:
        raise Unclaimed(Overloaded("the wake waited too long for its turn"))
    seconds, store = left + MARGIN_SECONDS, store_for(execution)
    pauses.check(execution, store, job.key)
    lease = Lease(store, _take(execution, store, job, seconds), begin + seconds)
    end = ends.before_run(lease.row, execution.task, instance())
    if end is not None:
        raise _ended(execution, lease, end)
    row = _with_payload(execution, lease)
    if ends.runs_alone(row, execution.task):
        _be_alone(job, lease, left - timeout * LEAST_SHARE)
    return replace(lease, row=row, begun_at=clock.monotonic())


def store_for(execution: Execution) -> JobStore:
    """Return the store of jobs.

    Raises:
        Unclaimed: there is none.
        ConfigurationError: it can't be used.
    """
    store = execution.runtime.jobs()
    if store is None:
        raise Unclaimed(Unavailable("UCAM_FAAS_JOB_STORE is not set"))
    return store


@contextmanager
def answering(task: str) -> Iterator[None]:
    """Refuse a job of a task when its store doesn't answer in the block.

    Raises:
        Unclaimed: it doesn't; the log has the error.
    """
    try:
        yield
    except (JobError, ConfigurationError) as error:
        log_problem("ucam_faas_job_store_failed", task=task, error=error)
        raise Unclaimed(Unavailable("the job store doesn't answer")) from None


def check_app(execution: Execution, key: Key) -> None:
    """Refuse a job of another application: its rows may be in a store that this one lacks.

    Raises:
        Unclaimed: it is; the log says so, because the job won't run.
    """
    ours = execution.runtime.settings.app
    if key.app == ours:
        return
    log_problem(
        "ucam_faas_job_of_another_app", task=key.task, job_id=key.id, app=key.app, served=ours
    )
    raise Unclaimed(Ignore(f"a job of the application {key.app!r}; this one is {ours!r}"))


def why(row: Row | None) -> str:
    """Return why a job can't be claimed."""
    if row is None:
        return "there is no such job: its retention may have ended"
    if row.state is State.STARTED:
        return "another process runs the job"
    if row.state is State.PENDING:
        others = "" if row.limit_key is None else ", or others of its key run or come first"
        return f"the job is not due yet{others}"
    return f"the job is {row.state}"


def _take(execution: Execution, store: JobStore, job: Claimant, seconds: float) -> Row:
    """Claim the job in the store, and return its row.

    Raises:
        Unclaimed: it can't run now.
    """
    limit, there = limited.number_of(execution.task), None
    for _ in range(_MAX_CLAIMS):
        row = store.claim(job.key, lease=seconds, instance=instance(), limit=limit)
        if row is not None:
            return row
        there = store.get(job.key)
        has_key = limited.gets_key(store, execution.task, there)
        if not has_key and not _waits_until_due(execution, store, there):
            break
    events.publish_due(execution.runtime, there)
    limited.wake_next(execution, store, there, repeated=True)
    raise job.unclaimed(there)


def _waits_until_due(execution: Execution, store: JobStore, row: Row | None) -> bool:
    """Wait until a job is due whose wake is a moment early, and return True.

    Cloud Tasks goes by another clock.
    """
    if row is None or row.state is not State.PENDING:
        return False
    early = row.due - store.now()
    if not 0 < early <= EARLY_SECONDS:
        return False
    execution.runtime.clock.sleep(early)
    return True


def _ended(execution: Execution, lease: Lease, end: Change) -> Unclaimed:
    """Store the end of a claimed job that may not run, and return the refusal."""
    end = events.with_event(execution.runtime, execution.task, end)
    after_run(execution, lease.store, lease.change(end))
    return Unclaimed(Recorded(end.message))


def _with_payload(execution: Execution, lease: Lease) -> Row:
    """Return the claimed row with its payload.

    Raises:
        Unclaimed: the payload is lost, and the job has ended.
        JobStoreError: the payload store doesn't answer; the job is given back.
    """
    row = lease.row
    try:
        payload = lease.store.payload_of(row)
    except PayloadMissingError as error:
        end = ends.without_payload(row, error, instance())
    except JobStoreError:
        lease.change(ends.given_back(instance(), "the payload store doesn't answer"))
        raise
    else:
        return row if payload is row.payload else replace(row, payload=payload)
    raise _ended(execution, lease, end)


def _be_alone(job: Claimant, lease: Lease, seconds: float) -> None:
    """Wait until no other job runs in this process.

    Raises:
        Unclaimed: others run for longer, or another waits to be alone; the job is given back.
    """
    if not COMPANY.be_alone(job, seconds):
        lease.change(ends.given_back(instance()))
        raise Unclaimed(Overloaded("other jobs run, and this one has to run alone"))
