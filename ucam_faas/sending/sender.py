"""The way of this process to jobs: its runtime, its store, and the handles of jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from ucam_faas import local_state
from ucam_faas.config import DEFAULT_APP
from ucam_faas.exceptions import NotConfiguredError
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs import transactions
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.results import Reader, reader_of, result_type
from ucam_faas.jobs.rows import Key, Wake
from ucam_faas.tasks import outer_decorators, registry
from ucam_faas.tasks.task import Task, check_name

Target = Task | str
"""A task that gets jobs; its name, if this process doesn't have it."""


def sender() -> Runtime:
    """Return the runtime of this process; outside of tasks, that of `ucam-faas dev` if it runs
    in this directory, or above it, and no environment variable names another Pub/Sub or store.
    """
    here = runtime.current()
    settings, jobs = here.settings, here.jobs()
    if here.connect is None or settings.pubsub_emulator or (jobs and settings.project):
        return here
    match local_state.nearest(Path.cwd()):
        case _, cloud if cloud.jobs and (jobs is None or settings.job_store == cloud.jobs):
            return local_runtime(here, cloud)
    return here


@cache
def local_runtime(here: Runtime, cloud: local_state.LocalCloud) -> Runtime:
    """Return a runtime with the store and the Pub/Sub of a local cloud."""
    settings = replace(
        here.settings,
        job_store=cloud.jobs,
        firestore_emulator=cloud.firestore or None,
        app=cloud.app if here.settings.app == DEFAULT_APP else here.settings.app,
        pubsub_emulator=cloud.pubsub or None,
        delay_queue=None,  # its sweep wakes jobs in time
        project=cloud.project,
    )
    return replace(here, settings=settings)


def check_destination(here: Runtime, name: str) -> None:
    """Refuse to send where there is no Pub/Sub.

    Raises:
        NotConfiguredError: with what to start, or to set.
    """
    if here.connect is None or here.settings.project:
        return
    if here.jobs() is not None:
        raise NotConfiguredError(
            f"A job of {name!r} can't be sent: UCAM_FAAS_JOB_STORE names its store, and nothing "
            "names the Pub/Sub that wakes its task. Set GOOGLE_CLOUD_PROJECT; or, beside a "
            "`ucam-faas dev`, give both the same UCAM_FAAS_JOB_STORE, or unset it here."
        )
    raise NotConfiguredError(
        f"There is nowhere to send a job of {name!r} to: no `ucam-faas dev` runs in {Path.cwd()} "
        "or above it, and UCAM_FAAS_JOB_STORE and GOOGLE_CLOUD_PROJECT aren't set. Start "
        "`ucam-faas dev` in the folder of your tasks."
    )


def target_of(task: Any) -> Target:
    """Return the task of a function or a name, if this process has it, or its name.

    Raises:
        TypeError: it is neither.
        TaskDefinitionError: it can't be a name.
    """
    if not isinstance(task, str):
        function = outer_decorators.task_function_of(task)
        if function is None:
            raise TypeError(f"{task!r} is not a task: expected a task function, or a task's name.")
        return function.task  # type: ignore[no-any-return]
    module, _, name = task.rpartition(".")
    check_name(name)
    return registry.named(name, module or None) or name


def handle(here: Runtime, target: Target, id: str) -> Job[Any]:
    """Return the handle of a job."""
    store = here.jobs()
    key = Key(here.settings.app, target if isinstance(target, str) else target.name, id)
    if store is None:
        return Job(key, None)
    read: Reader = json.loads if isinstance(target, str) else _read(target)
    return Job(key, store, partial(wake, here), read)


def wake(here: Runtime, wakes: Sequence[Wake], at: float | None = None) -> bool:
    """Publish wakes, after the commit of this context's transaction; see `inbox.wake`."""
    transaction = transactions.current()
    if transaction is None:
        return inbox.wake(here, wakes, at)
    transaction.on_commit.append(partial(inbox.wake, here, wakes, at))
    return True


@cache
def _read(task: Task) -> Reader:
    return reader_of(result_type(task))
