"""Sending to a task by its name, and finding jobs by their ids: for code without the task."""

from __future__ import annotations

from typing import Any, Unpack

from ucam_faas.exceptions import JobConflictError, JobNotFoundError
from ucam_faas.jobs import transactions
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.send_options import SendOptions
from ucam_faas.sending import sends
from ucam_faas.sending.publication import NO_PAYLOAD
from ucam_faas.sending.sender import Target, handle, sender, target_of


def send(task: str, payload: Any = NO_PAYLOAD, **options: Unpack[SendOptions]) -> Job[Any]:
    """Send a job to a task by its name, for code that can't import the task.

    A task that this process has checks the payload. Otherwise it is checked when it arrives: an
    undecodable one ends the job at once.

    Args:
        task: its full name, MODULE.TASK, or its name alone.
        payload: as `TASK.send` takes it; for a task of another process a value that JSON has,
            a model, or the bytes of the message.
        options: see `SendOptions`.

    Raises:
        JobError: and others, as a task's own `send` raises them.
    """
    return sends.send(target_of(task), payload, **options)


async def send_async(
    task: str, payload: Any = NO_PAYLOAD, **options: Unpack[SendOptions]
) -> Job[Any]:
    """Send a job to a task by its name; see `send`."""
    return await transactions.in_thread(send, task, payload, **options)


def get_job(task: Any, id: str | None = None) -> Job[Any]:
    """Return the handle of a job.

    Args:
        task: the task function, or its name; without it, `get_job(id)` finds the job of any task.
        id: of the job.

    Raises:
        JobNotFoundError: this application has no such job.
        JobConflictError: several tasks have a job of this id.
        NoJobStoreError: there is no store.
    """
    here = sender()
    store = here.jobs_for("no job can be found")
    if id is None:
        if not isinstance(task, str):
            raise TypeError(f"get_job({task!r}): expected the id of a job, or a task and an id.")
        return handle(here, _target_of_id(task), task)
    job = handle(here, target_of(task), id)
    if transactions.within(store).get(job.key) is None:
        raise _not_found(id, here.settings.app, f" of {job.task!r}")
    return job


async def get_job_async(task: Any, id: str | None = None) -> Job[Any]:
    """Return the handle of a job; see `get_job`."""
    return await transactions.in_thread(get_job, task, id)


def _target_of_id(id: str) -> Target:
    here = sender()
    store = transactions.within(here.jobs_for("no job can be found"))
    rows = store.find(here.settings.app, id=id, limit=10)
    if not rows:
        raise _not_found(id, here.settings.app)
    if len(rows) > 1:
        tasks = ", ".join(repr(row.key.task) for row in rows)
        raise JobConflictError(
            f"Several tasks have a job {id!r}: {tasks}. Write get_job(TASK, {id!r})."
        )
    return target_of(rows[0].key.task)


def _not_found(id: str, app: str, of_task: str = "") -> JobNotFoundError:
    return JobNotFoundError(
        f"The application {app!r} has no job {id!r}{of_task}. Its retention may have ended, or "
        "UCAM_FAAS_APP names another application than the sender's."
    )
