"""A job's run: claimed before the function, and stored before the delivery is acknowledged."""

from __future__ import annotations

import json
import os
import socket
import traceback
from dataclasses import replace
from typing import Any

from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.messages import MessagePublishedData, PubsubMessage
from ucam_faas.exceptions import JobError, PublishError
from ucam_faas.execution.execution import Decision, Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import backoff_seconds
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS, retention
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import (
    DeadLetter,
    Done,
    Ignore,
    Outcome,
    Overloaded,
    Recorded,
    Retry,
    ShuttingDown,
    Unavailable,
    answer,
    name,
)
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import inbox_of

JOB_ATTRIBUTE = "ucam_faas_job"
MARGIN_SECONDS = 15.0
"""A claim outlasts the task's deadline by this: time to store the result."""


def wake(runtime: Runtime, key: Key) -> None:
    """Publish a wake; a failure is logged, because the sweep repeats it."""
    topic = runtime.full_topic(inbox_of(key.task), key.task)
    try:
        runtime.outgoing().publish(topic, b"", {JOB_ATTRIBUTE: key.id})
    except PublishError as error:
        log_problem("ucam_faas_wake_failed", task=key.task, error=error)


def claim(runtime: Runtime, store: JobStore, task: Task, job: str) -> Row | Outcome:
    """Take the job of a wake, or return why it can't run now."""
    key = Key(runtime.settings.app, task.name, job)
    try:
        row = store.claim(key, lease=_lease(task), instance=instance())
        if row is None:
            return Ignore(_why(store.get(key)))
        limit = task.policy.retry.max_attempts
        if limit is not None and row.attempts >= limit:
            error = {"type": "LostProcess", "message": "its process ended while it ran"}
            change = Change(state=State.FAILURE, cause="crashed", visit=retention(row), error=error)
            store.change(key, change, fence=row.fence)
            return Recorded("its process ended while it ran, at the last attempt")
    except JobError as error:
        log_problem("ucam_faas_job_store_failed", task=task.name, error=error)
        return Unavailable("the job store doesn't answer")
    return row


def deliver(delivery: Delivery, task: Task, row: Row) -> Delivery:
    """Return the delivery of a wake with the job's payload in it."""
    assert delivery.published is not None, "a wake is a message"
    message = PubsubMessage(
        data=row.payload,
        attributes=dict(row.attributes),
        message_id=delivery.published.message.message_id,
        publish_time=delivery.published.message.publish_time,
        ordering_key=row.ordering_key,
    )
    published = MessagePublishedData(
        message=message,
        subscription=delivery.subscription,
        delivery_attempt=row.attempts + 1,
    )
    return unpacked(replace(delivery, published=published), task)


def unpacked(delivery: Delivery, task: Task) -> Delivery:
    """Return the delivery of an inbox as the task takes it: for a raw task, the data alone."""
    if task.kind is Kind.RAW and delivery.message is not None:
        return replace(delivery, body=delivery.message.data)
    return delivery


def settle(execution: Execution, decision: Decision) -> Outcome:
    """Store the end of a job's run.

    Returns:
        the decision's outcome if it is a success; Recorded if the row has the failure; Unavailable
        if the store doesn't answer; Ignore if another process holds the job by now.
    """
    row, runtime, task = execution.job, execution.runtime, execution.task
    store = runtime.jobs()
    assert row is not None, "asked by the caller"
    assert store is not None, "the job was claimed in it"
    change = _change(row, task, decision)
    try:
        stored = store.change(row.key, change, fence=row.fence)
    except JobError as error:
        log_problem("ucam_faas_job_store_failed", task=task.name, error=error)
        return Unavailable("the end of the job could not be stored")
    if stored is None:
        return Ignore("another process holds the job: this one's lease has ended")
    if change.state is State.PENDING and not change.wait:
        wake(runtime, row.key)
    if isinstance(decision.outcome, Done | Ignore):
        return decision.outcome
    return Recorded(change.message or name(decision.outcome))


def _change(row: Row, task: Task, decision: Decision) -> Change:
    outcome, kept = decision.outcome, retention(row)
    if isinstance(outcome, Done | Ignore):
        result = json.dumps(decision.value).encode()
        return _made(State.SUCCESS, "finished", outcome, visit=kept, result=result)
    if isinstance(outcome, ShuttingDown | Overloaded):
        return _made(
            State.PENDING, "interrupted", outcome, visit=AGAIN_SECONDS, wait=0, interrupted=True
        )
    error = _error(decision)
    if row.cancel_requested:
        return _made(State.CANCELLED, "cancelled", outcome, visit=kept, failed=True, error=error)
    limit, failures = task.policy.retry.max_attempts, row.attempts + 1
    permanent = isinstance(outcome, DeadLetter) or answer(outcome).permanent
    if permanent or (limit is not None and failures >= limit):
        return _made(State.FAILURE, "failed", outcome, visit=kept, failed=True, error=error)
    wait = _wait(task, outcome, failures)
    return _made(State.PENDING, "failed", outcome, visit=wait, wait=wait, failed=True, error=error)


def _made(state: State, cause: str, outcome: Outcome, **values: Any) -> Change:
    message = "" if isinstance(outcome, Done) else outcome.reason or name(outcome)
    return Change(state=state, cause=cause, message=message, instance=instance(), **values)


def _wait(task: Task, outcome: Outcome, failures: int) -> float:
    if isinstance(outcome, Retry) and outcome.after is not None:
        return outcome.after.total_seconds()
    retry = task.policy.retry
    return backoff_seconds(
        retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds(), failures
    )


def _error(decision: Decision) -> dict[str, Any]:
    error = decision.error
    if error is None:
        outcome = decision.outcome
        return {"type": type(outcome).__name__, "message": outcome.reason or name(outcome)}
    return {
        "type": type(error).__qualname__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _why(row: Row | None) -> str:
    """Return why a job can't be claimed."""
    if row is None:
        return "there is no such job: its retention may have ended"
    if row.state is State.STARTED:
        return "another process runs the job"
    return "the job is not due yet" if row.state is State.PENDING else f"the job is {row.state}"


def _lease(task: Task) -> float:
    return task.policy.served_timeout_seconds + MARGIN_SECONDS


def instance() -> str:
    """Return the name of this process, for histories."""
    return f"{os.environ.get('K_REVISION') or socket.gethostname()}/{os.getpid()}"
