"""The claims of jobs that have a limit: they give a job its key, and wake the next one."""

from __future__ import annotations

from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from ucam_faas.exceptions import JobError
from ucam_faas.execution import inbox
from ucam_faas.execution.execution import Execution
from ucam_faas.jobs import limits
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import ENDED
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.logs.problems import log_problem
from ucam_faas.tasks.limit import Limit
from ucam_faas.tasks.task import Kind, Task

_WOKEN: WeakKeyDictionary[JobStore, dict[Key, float]] = WeakKeyDictionary()
"""Until when a job needs no other wake, by the monotonic clock."""
_MAX_WOKEN = 1000


def number_of(task: Task) -> int | None:
    """Return the number of a task's jobs of one key that may run at a time; None: any."""
    return None if task.jobs.limit is None else task.jobs.limit.n


def gets_key(store: JobStore, task: Task, row: Row | None) -> bool:
    """Give a job without a key its key, and return True if it has one now.

    Its sender didn't have the task, or the task had no limit then.
    """
    limit = task.jobs.limit
    if limit is None or row is None or row.limit_key is not None or row.state in ENDED:
        return False
    return store.set_limit_key(row.key, _late_key(store, task, limit, row)) is not None


def wake_next(
    execution: Execution, store: JobStore, row: Row | None, *, repeated: bool = False
) -> None:
    """Wake the next job of a row's key. If that fails, the sweep does it.

    Args:
        repeated: send no wake if this process woke that job less than a minute ago. Otherwise
            each duplicate wake would cause another.
    """
    if row is None:
        return
    try:
        next_one = store.next_of(row, number_of(execution.task))
    except JobError as error:
        log_problem("ucam_faas_job_store_failed", task=row.key.task, error=error)
        return
    now, woken = execution.runtime.clock.monotonic(), _WOKEN.setdefault(store, {})
    if next_one is None or next_one.key == row.key:
        return
    if repeated and now < woken.get(next_one.key, now):
        return
    if len(woken) >= _MAX_WOKEN:
        woken.clear()
    woken[next_one.key] = now + AGAIN_SECONDS
    inbox.wake(execution.runtime, [next_one])


def _late_key(store: JobStore, task: Task, limit: Limit, row: Row) -> str:
    """Return the key of a job that waits; an empty one if its payload has none."""
    try:
        payload: Any = store.payload_of(row)
        if task.kind is Kind.MESSAGE and task.parse is not None:
            payload = Context().run(task.parse, payload)
    except Exception:  # it ends when it runs, with the field in its error
        return ""
    try:
        return limits.key_of(limit, payload)
    except Exception as error:  # a user's function may do anything
        log_problem("ucam_faas_limit_key_failed", task=task.name, error=error)
        return ""
