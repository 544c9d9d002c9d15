"""`task.send(…)`: a payload in, a job on its way to this one task out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, get_type_hints

from ucam_faas import local_state
from ucam_faas.exceptions import ConfigurationError, JobConflictError, TaskDefinitionError
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.publication import NO_PAYLOAD, data_of
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.jobs.waiting import Waiting
from ucam_faas.publishing.messages import check_message
from ucam_faas.tasks.task import Task


def send(
    task: Task,
    payload: Any = NO_PAYLOAD,
    *,
    id: str | None = None,
    delay: timedelta | None = None,
    at: datetime | None = None,
    ttl: timedelta | None = None,
    attributes: Mapping[str, str] | None = None,
    ordering_key: str = "",
    retention: timedelta | None = None,
) -> Job:
    """Send a job to a task, and return it.

    Args:
        task: gets it, and no other reader of its topic.
        payload: of the task's message type.
        id: of the job; a second sending of the same payload with it returns the same job. Default:
            a new one.
        delay: until it may start.
        at: when it may start, with a time zone.
        ttl: if it has not started by then, it never does.
        attributes: of the message that the task gets.
        ordering_key: of that message.
        retention: how long the job is kept after its end.

    Raises:
        TypeError: the payload is missing, or can't be serialised for the task.
        ValueError: the task's parser rejects the payload, or a time can't be used.
        TaskDefinitionError: nothing can be sent to the task.
        JobConflictError: the id is that of another sending.
        JobStoreError: it isn't known whether the job was stored.
    """
    here = sender()
    store = _store(here)
    if task.trigger is None or task.run_as == "job":
        raise TaskDefinitionError(f"Nothing can be sent to {task.name!r}: it gets no messages.")
    data, attributes = data_of(task, payload, attributes)
    check_message(data, attributes, ordering_key)
    wait = _wait(store, delay, at)
    row = Row(
        key=Key(here.settings.app, task.name, id or uuid.uuid4().hex),
        payload=data,
        attributes=attributes,
        ordering_key=ordering_key,
        options={} if retention is None else {"retention": retention.total_seconds()},
        owner=uuid.uuid4().hex,
        expires=None if ttl is None else ttl.total_seconds(),
        visit=wait or AGAIN_SECONDS,
    )
    (there,) = store.insert([row], wait=[wait])
    if there.owner != row.owner:
        _check_same(there, row)
    elif not wait:
        inbox.wake(here, row.key)
    return job(here, task, row.key)


def sender() -> Runtime:
    """Return the runtime of this process; outside of tasks, that of `ucam-faas dev` if it runs
    in this directory and no environment variable names another Pub/Sub or store.
    """
    here = runtime.current()
    if here.jobs() is not None or here.connect is None or here.settings.pubsub_emulator:
        return here
    cloud = local_state.read(Path.cwd())
    return here if cloud is None or not cloud.jobs else _local(here, cloud)


@cache
def _local(here: Runtime, cloud: local_state.LocalCloud) -> Runtime:
    settings = replace(
        here.settings,
        job_store=cloud.jobs,
        pubsub_emulator=cloud.pubsub or None,
        project=cloud.project,
    )
    return replace(here, settings=settings)


def job(here: Runtime, task: Task, key: Key) -> Job:
    """Return the handle of a job."""
    store = _store(here)
    waiting: Waiting = _waiting(store)  # type: ignore[arg-type]  # stores are compared by identity
    return Job(key, store, waiting, partial(inbox.wake, here), _result_type(task))


def _store(here: Runtime) -> JobStore:
    store = here.jobs()
    if store is None:
        raise ConfigurationError(
            "There is no job store: set UCAM_FAAS_JOB_STORE, such as sqlite:jobs.db, or start "
            "`ucam-faas dev`, which has one."
        )
    return store


@cache
def _waiting(store: Any) -> Any:
    return store if hasattr(store, "end_of") else Waiting(store)  # a test's store doesn't wait


def _result_type(task: Task) -> Any:
    try:
        return get_type_hints(getattr(task.function, "__wrapped__", task.function)).get("return")
    except Exception:  # an annotation may name anything
        return None


def _wait(store: JobStore, delay: timedelta | None, at: datetime | None) -> float:
    """Return the seconds until a job may start."""
    if at is None:
        return 0.0 if delay is None else max(0.0, delay.total_seconds())
    if delay is not None:
        raise ValueError("delay= and at= are two ways to say the same: use one of them.")
    if at.tzinfo is None:
        raise ValueError(f"at={at!r}: expected a time with a time zone, such as UTC.")
    return max(0.0, at.astimezone(UTC).timestamp() - store.now())


def _check_same(there: Row, row: Row) -> None:
    for name in ("payload", "attributes", "ordering_key", "options"):
        if getattr(there, name) != getattr(row, name):
            raise JobConflictError(
                f"The job {row.key.id!r} of {row.key.task!r} has another {name}: an id stands for "
                "one sending until its retention ends. Use another id, or delete that job."
            )
