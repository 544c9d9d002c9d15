"""The run of a job: claimed before the function, and stored before the delivery is acknowledged.

A store blocks, so nothing in here may be called on an event loop.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ucam_faas.exceptions import JobError
from ucam_faas.execution import inbox, traces
from ucam_faas.execution.execution import Decision, Execution, JobNews, Unclaimed
from ucam_faas.execution.preparation import prepare
from ucam_faas.job_runs import claims, current_job, ends, events
from ucam_faas.job_runs.company import COMPANY
from ucam_faas.job_runs.completion import Completion
from ucam_faas.job_runs.deliveries import delivery_of
from ucam_faas.job_runs.follow_ups import after_run
from ucam_faas.job_runs.instance import instance
from ucam_faas.job_runs.lease import Lease
from ucam_faas.job_runs.steps import Steps
from ucam_faas.job_runs.stored_ends import store_end
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import (
    Done,
    Ignore,
    Outcome,
    Overloaded,
    Paused,
    Recorded,
    Sleeping,
    Superseded,
    TimedOut,
    Unavailable,
)
from ucam_faas.sending import children

NEARLY = 0.9
"""A job that had less than this of its timeout, because of its wait, has spent no attempt."""


class JobRun:
    """The job of an execution.

    Args:
        key: of the job.
        lease: of a job that is claimed already.
    """

    is_message = False
    """The delivery became the job: it isn't a wake."""

    __slots__ = ("_completion", "_steps", "_steps_bytes", "key", "lease")

    def __init__(self, key: Key, lease: Lease | None = None) -> None:
        self.key = key
        self.lease = lease
        """None: this execution doesn't hold the job."""
        self._completion = Completion()
        self._steps: Steps | None = None
        self._steps_bytes = 0
        """Of steps that another process has done."""

    @property
    def row(self) -> Row | None:
        """As it was claimed; None: this execution doesn't hold the job."""
        return None if self.lease is None else self.lease.row

    def open(self, execution: Execution) -> Any:
        """Claim the job, and return its payload.

        Raises:
            Unclaimed: it can't run now.
            Exception: those of `prepare`.
        """
        lease = self.lease or self.claim(execution)
        self.enter(execution, lease)
        wake = execution.delivery.message
        execution.delivery = delivery_of(execution, lease.row)
        traces.begin(execution, None if wake is None else wake.attributes)
        return prepare(execution)

    def claim(self, execution: Execution) -> Lease:
        """Claim the job, unless the execution is stopped meanwhile.

        Raises:
            Unclaimed: it can't run now.
        """
        claims.check_app(execution, self.key)
        if not COMPANY.join(self):
            raise Unclaimed(Overloaded("a job that may have ended processes runs alone"))
        try:
            with claims.answering(self.key.task):
                self.lease = lease = claims.claim(execution, self)
                if execution.is_claimed:  # stopped before it could know the row
                    lease.change(ends.interrupted(instance()))
                    raise Unclaimed(Ignore("the execution was stopped"))
        except BaseException:
            COMPANY.leave(self)
            raise
        return lease

    def unclaimed(self, row: Row | None) -> Unclaimed:
        """Return the reason for which the job can't be claimed."""
        return Unclaimed(Ignore(claims.why(row)))

    def enter(self, execution: Execution, lease: Lease) -> None:
        """Let the claimed job be the current one in this context."""
        with_event = partial(events.with_event, execution.runtime, execution.task)
        self._completion = Completion(with_event)
        self._steps = current_job.enter(lease, self._completion, execution.runtime.clock)
        children.of_job(lease.row)
        if execution.on_claim is not None and self.timeout_seconds is not None:
            execution.on_claim()

    @property
    def timeout_seconds(self) -> float | None:
        """The timeout that this job has, if it isn't its task's."""
        own = None if self.row is None else self.row.options.get("timeout")
        return None if own is None else float(own)

    def seconds_left(self, execution: Execution) -> float:
        """Return how long the claim lasts."""
        return 0.0 if self.lease is None else self.lease.seconds_left(execution.runtime.clock)

    def learn(self, news: JobNews) -> None:
        """Take the facts that the process of its function has sent."""
        assert self._steps is not None, "the job was entered"
        self._completion.row, self._completion.is_tried = news.completed, news.is_tried
        self._steps.sleeping, self._steps_bytes = news.sleeping, news.steps_bytes

    def settle(self, execution: Execution, decision: Decision) -> Outcome:
        """Store the end of the run.

        Returns:
            the decision's outcome if it is a success; Recorded if the row has the failure;
            Paused if it has the pause; Unavailable if the store doesn't answer; Superseded if
            another process holds the job.
        """
        lease = self.lease
        assert lease is not None, "asked by the caller"
        try:
            if self._completion.row is not None:
                return self._completed(execution, decision, lease, self._completion.row)
            return self._settle(execution, decision, lease)
        finally:
            COMPANY.leave(self)

    def _settle(self, execution: Execution, decision: Decision, lease: Lease) -> Outcome:
        if self._steps and self._steps.sleeping and isinstance(decision.outcome, Done | Ignore):
            decision = Decision(self._steps.sleeping)  # the task has caught its signal
        change = self._change(execution, decision, lease)
        try:
            stored = store_end(lease, change, execution.runtime.clock)
            completed = self._completed_unseen(lease) if stored is None else None
        except JobError as error:
            log_problem("ucam_faas_job_store_failed", task=self.key.task, error=error)
            return Unavailable("the end of the job could not be stored")
        if completed is not None:
            return self._completed(execution, decision, lease, completed)
        if stored is None:
            return Superseded("the lease of this process had ended")
        if stored.state is State.PENDING:
            at = stored.due if change.wait else None
            inbox.wake(execution.runtime, [stored.wake], at, execution.log_context)
        after_run(execution, lease.store, stored)
        is_asleep = isinstance(decision.outcome, Sleeping) and stored.state is State.PENDING
        if is_asleep or change.state is State.SUCCESS:
            return decision.outcome
        if stored.state is State.PAUSED:
            return Paused(change.message)
        return Recorded(change.message or change.cause)

    def _change(self, execution: Execution, decision: Decision, lease: Lease) -> Change:
        """Return the change of the row, with the event of an end that has one."""
        task, max_bytes = execution.task, lease.store.max_bytes
        if isinstance(decision.outcome, TimedOut) and not self._had_its_time(execution, lease):
            change = ends.interrupted(instance(), "it had waited for its turn")
        else:
            size = self._steps_bytes
            size += self._steps.size if self._steps and max_bytes is not None else 0
            change = ends.change(lease.row, task, decision, instance(), max_bytes, steps=size)
        return events.with_event(execution.runtime, task, change)

    def _completed_unseen(self, lease: Lease) -> Row | None:
        """Return the row if its task completed it in a commit whose answer was lost."""
        if not self._completion.is_tried:
            return None
        there = lease.store.get(self.key)
        if there is None or (there.fence, there.state) != (lease.row.fence, State.SUCCESS):
            return None
        return there

    def _completed(
        self, execution: Execution, decision: Decision, lease: Lease, stored: Row
    ) -> Outcome:
        """Return the outcome of a run whose task has completed the job; a later failure changes
        nothing.
        """
        after_run(execution, lease.store, stored)
        if isinstance(decision.outcome, Done | Ignore):
            return decision.outcome
        kind = type(decision.outcome if decision.error is None else decision.error)
        log_problem(
            "ucam_faas_failed_after_complete",
            task=self.key.task,
            job_id=self.key.id,
            type=kind.__qualname__,
        )
        return Recorded("the job was completed before")

    def _had_its_time(self, execution: Execution, lease: Lease) -> bool:
        """Return False if the wait for its turn took much of the job's time."""
        served = execution.task.policy.served_timeout_seconds
        timeout = min(self.timeout_seconds or served, served)
        return execution.runtime.clock.monotonic() - lease.begun_at >= timeout * NEARLY
