"""The run of a job: claimed before the function, and stored before the delivery is acknowledged.

A store blocks, so nothing in here may be called on an event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.exceptions import (
    ConfigurationError,
    JobError,
    JobStoreError,
    PayloadMissingError,
)
from ucam_faas.execution import inbox
from ucam_faas.execution.execution import Decision, Execution, JobNews, Unclaimed
from ucam_faas.execution.preparation import prepare
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs import current_job, ends, events, limited, member_ends, pauses
from ucam_faas.job_runs.company import COMPANY
from ucam_faas.job_runs.deliveries import delivery_of
from ucam_faas.job_runs.instance import instance
from ucam_faas.job_runs.steps import Steps
from ucam_faas.job_runs.stored_ends import store_end
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
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
from ucam_faas.tasks.task import Kind, Task

MARGIN_SECONDS = 15.0
"""A claim outlasts the task's deadline by this: time to store the result."""
LEAST_SHARE = 0.5
"""A job with less than this of its timeout left isn't begun: its wake is delivered again."""
NEARLY = 0.9
"""A job that had less than this of its timeout, because of its wait, has spent no attempt."""
EARLY_SECONDS = 1.0
"""A wake that is earlier than this is acknowledged, and the sweep wakes the job."""
_MAX_CLAIMS = 3
"""The first, one when the job has its limit's key, and one when it is due."""


def read_inbox(
    runtime: Runtime, task: Task, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[Delivery, JobRun | None]:
    """Return the delivery of a push to a task's inbox, and its job; None: the message is the job.

    Raises:
        Refused: it isn't a push of a message.
    """
    delivery = envelopes.decode(body, headers, path).with_message()
    job = job_of(runtime, task, delivery)
    if job is None and task.kind is Kind.RAW:
        assert delivery.message is not None, "it was just read"
        delivery = replace(delivery, body=delivery.message.data)
    return delivery, job


def job_of(runtime: Runtime, task: Task, delivery: Delivery) -> JobRun | None:
    """Return the job of a message in a task's inbox; None: the message is the job."""
    message = delivery.message
    assert message is not None, "an inbox gets messages"
    job = message.attributes.get(inbox.JOB_ATTRIBUTE)
    if job is None:
        return None
    app = message.attributes.get(inbox.APP_ATTRIBUTE, runtime.settings.app)
    return JobRun(Key(app, task.name, job))


class JobRun:
    """The job of an execution.

    Args:
        key: of the job.
    """

    is_message = False
    """The delivery became the job: it isn't a wake."""

    __slots__ = (
        "_begun_at",
        "_completion",
        "_ends_at",
        "_steps",
        "_steps_bytes",
        "key",
        "row",
        "store",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.row: Row | None = None
        """The row as it was claimed; None: this execution doesn't hold the job."""
        self.store: JobStore | None = None
        self._completion = current_job.Completion()
        self._steps: Steps | None = None
        self._steps_bytes = 0
        """Of steps that another process has done."""
        self._begun_at = 0.0
        self._ends_at = 0.0
        """The end of the claim, by the execution's monotonic clock."""

    def open(self, execution: Execution) -> Any:
        """Claim the job, and return its payload.

        Raises:
            Unclaimed: it can't run now.
            Exception: those of `prepare`.
        """
        row = self.row or self.claim(execution)
        self.enter(execution, row)
        execution.delivery = delivery_of(execution, row)
        return prepare(execution)

    def unclaimed(self, row: Row | None) -> Unclaimed:
        """Return the reason for which the job can't be claimed."""
        return Unclaimed(Ignore(why(row)))

    @property
    def timeout_seconds(self) -> float | None:
        """The timeout that this job has, if it isn't its task's."""
        own = None if self.row is None else self.row.options.get("timeout")
        return None if own is None else float(own)

    def seconds_left(self, execution: Execution) -> float:
        """Return how long the claim lasts."""
        return self._ends_at - execution.runtime.clock.monotonic()

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
        try:
            return self._settle(execution, decision)
        finally:
            COMPANY.leave(self)

    def _settle(self, execution: Execution, decision: Decision) -> Outcome:
        row, store = self.row, self.store
        assert row is not None, "asked by the caller"
        assert store is not None, "the job was claimed in it"
        if self._completion.row is not None:
            return self._completed(execution, decision, self._completion.row)
        steps = self._steps
        if steps and steps.sleeping and isinstance(decision.outcome, Done | Ignore):
            decision = Decision(steps.sleeping)  # the task has caught its signal
        size = self._steps_bytes
        size += steps.size if steps and store.max_bytes is not None else 0
        change = ends.change(row, execution.task, decision, instance(), store.max_bytes, steps=size)
        if isinstance(decision.outcome, TimedOut) and not self._had_its_time(execution):
            change = ends.interrupted(instance(), "it had waited for its turn")
        change = events.with_event(execution.runtime, execution.task, change)
        try:
            stored = store_end(store, row, change, execution.runtime.clock, self._ends_at)
            if stored is None and self._completion.is_tried:
                there = store.get(self.key)
                if there is not None and (there.fence, there.state) == (row.fence, State.SUCCESS):
                    return self._completed(execution, decision, there)
        except JobError as error:
            log_problem("ucam_faas_job_store_failed", task=self.key.task, error=error)
            return Unavailable("the end of the job could not be stored")
        if stored is None:
            return Superseded("the lease of this process had ended")
        if stored.state is State.PENDING:
            at = stored.due if change.wait else None
            inbox.wake(execution.runtime, [stored.wake], at, execution.log_context)
        self._after_run(execution, store, stored)
        is_asleep = isinstance(decision.outcome, Sleeping) and stored.state is State.PENDING
        if is_asleep or change.state is State.SUCCESS:
            return decision.outcome
        if stored.state is State.PAUSED:
            return Paused(change.message)
        return Recorded(change.message or change.cause)

    def _completed(self, execution: Execution, decision: Decision, stored: Row) -> Outcome:
        """Return the outcome of a run whose task has completed the job; a later failure changes
        nothing.
        """
        assert self.store is not None, "the job was claimed in it"
        self._after_run(execution, self.store, stored)
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

    def enter(self, execution: Execution, row: Row) -> None:
        """Let the claimed job be the current one in this context."""
        assert self.store is not None, "the job was claimed in it"
        with_event = partial(events.with_event, execution.runtime, execution.task)
        self._completion = current_job.Completion(with_event)
        clock = execution.runtime.clock
        self._steps = current_job.enter(
            row, self.store, self._completion, lambda: self._ends_at - clock.monotonic()
        )
        children.of_job(row)
        if execution.on_claim is not None and self.timeout_seconds is not None:
            execution.on_claim()

    def claim(self, execution: Execution) -> Row:
        """Claim the job, unless the execution is stopped meanwhile.

        Raises:
            Unclaimed: it can't run now.
        """
        self._check_app(execution)
        if not COMPANY.join(self):
            raise Unclaimed(Overloaded("a job that may have ended processes runs alone"))
        try:
            return self._claim(execution)
        except BaseException:
            COMPANY.leave(self)
            raise

    def _claim(self, execution: Execution) -> Row:
        clock, timeout = execution.runtime.clock, execution.task.policy.served_timeout_seconds
        begin = clock.monotonic()
        left = max(0.0, timeout - execution.elapsed_seconds())
        if left < timeout * LEAST_SHARE:
            raise Unclaimed(Overloaded("the wake waited too long for its turn"))
        lease = left + MARGIN_SECONDS
        try:
            self.store = store = execution.runtime.jobs()
            if store is None:
                raise Unclaimed(Unavailable("UCAM_FAAS_JOB_STORE is not set"))
            pauses.check(execution, store, self.key)
            row = self._take(execution, store, lease)
            end = ends.before_run(row, execution.task, instance())
            if end is None:
                row, end = self._with_payload(store, row)
            if end is not None:
                end = events.with_event(execution.runtime, execution.task, end)
                ended = store.change(self.key, end, fence=row.fence)
                self._after_run(execution, store, ended)
                raise Unclaimed(Recorded(end.message))
            if ends.runs_alone(row, execution.task):
                self._be_alone(store, row, left - timeout * LEAST_SHARE)
            self._begun_at, self._ends_at, self.row = clock.monotonic(), begin + lease, row
            if execution.is_claimed:  # stopped before it could know the row
                store.change(self.key, ends.interrupted(instance()), fence=row.fence)
                raise Unclaimed(Ignore("the execution was stopped"))
        except (JobError, ConfigurationError) as error:
            log_problem("ucam_faas_job_store_failed", task=self.key.task, error=error)
            raise Unclaimed(Unavailable("the job store doesn't answer")) from None
        return row

    def _waits_until_due(self, execution: Execution, store: JobStore, row: Row | None) -> bool:
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

    def _with_payload(self, store: JobStore, row: Row) -> tuple[Row, Change | None]:
        """Return a claimed row with its payload, and the end of a job whose payload is lost.

        Raises:
            JobStoreError: the payload store doesn't answer; the job is given back.
        """
        try:
            payload = store.payload_of(row)
        except PayloadMissingError as error:
            return row, ends.without_payload(row, error, instance())
        except JobStoreError:
            reason = "the payload store doesn't answer"
            store.change(self.key, ends.given_back(instance(), reason), fence=row.fence)
            raise
        return row if payload is row.payload else replace(row, payload=payload), None

    def _after_run(self, execution: Execution, store: JobStore, row: Row | None) -> None:
        """Publish the event of a job that isn't held any more, and wake those that wait for it."""
        self._publish_event(execution, row)
        limited.wake_next(execution, store, row)
        member_ends.after_end(execution.runtime, store, row)

    def _publish_event(self, execution: Execution, row: Row | None) -> None:
        """Publish the event of a job that has ended, if it is due."""
        if row is not None and row.event_due:
            events.publish(execution.runtime, [row])

    def _take(self, execution: Execution, store: JobStore, lease: float) -> Row:
        """Claim the job in the store.

        Raises:
            Unclaimed: it can't run now.
        """
        limit, there = limited.number_of(execution.task), None
        for _ in range(_MAX_CLAIMS):
            row = store.claim(self.key, lease=lease, instance=instance(), limit=limit)
            if row is not None:
                return row
            there = store.get(self.key)
            has_key = limited.gets_key(store, execution.task, there)
            if not has_key and not self._waits_until_due(execution, store, there):
                break
        self._publish_event(execution, there)
        limited.wake_next(execution, store, there, repeated=True)
        raise self.unclaimed(there)

    def _be_alone(self, store: JobStore, row: Row, seconds: float) -> None:
        """Wait until no other job runs in this process.

        Raises:
            Unclaimed: others run for longer, or another waits to be alone; the job is given back.
        """
        if not COMPANY.be_alone(self, seconds):
            store.change(self.key, ends.given_back(instance()), fence=row.fence)
            raise Unclaimed(Overloaded("other jobs run, and this one has to run alone"))

    def _check_app(self, execution: Execution) -> None:
        """Refuse a job of another application: its rows may be in a store that this one lacks.

        Raises:
            Unclaimed: it is; the log says so, because the job won't run.
        """
        ours, theirs = execution.runtime.settings.app, self.key.app
        if theirs != ours:
            key = self.key
            log_problem(
                "ucam_faas_job_of_another_app",
                task=key.task,
                job_id=key.id,
                app=theirs,
                served=ours,
            )
            raise Unclaimed(Ignore(f"a job of the application {theirs!r}; this one is {ours!r}"))

    def _had_its_time(self, execution: Execution) -> bool:
        """Return False if the wait for its turn took much of the job's time."""
        served = execution.task.policy.served_timeout_seconds
        timeout = min(self.timeout_seconds or served, served)
        return execution.runtime.clock.monotonic() - self._begun_at >= timeout * NEARLY


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
