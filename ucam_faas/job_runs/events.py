"""The follow-up of a job's end: its event is published, and then its row says so.

The write that ends a job says that its event is due. If the process ends before it has published
it, the job's next wake does, or the sweep. So an event is published at least once, and its copies
have one id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.problems import log_problem
from ucam_faas.tasks.task import Task

if TYPE_CHECKING:  # tasks without jobs don't need it
    from ucam_faas.jobs.rows import Change, Row


def with_event(runtime: Runtime, task: Task, change: Change) -> Change:
    """Return the change of a job's row, with an event if it is an end that has one."""
    topic = runtime.settings.events_topic
    if topic is None or not _is_wanted(task, change):
        return change
    if task.trigger is not None and _short(task.trigger.topic) == _short(topic):
        return change  # a reader of events that fails would get its own failure, and fail again
    from ucam_faas.jobs.sweep import AGAIN_SECONDS

    return replace(change, event_due=True, visit=AGAIN_SECONDS)


def _is_wanted(task: Task, change: Change) -> bool:
    from ucam_faas.jobs.states import State

    if change.state is State.SUCCESS:
        return task.jobs.events == "all"
    return change.state in (State.FAILURE, State.EXPIRED) and task.jobs.events != "none"


def publish(runtime: Runtime, rows: Sequence[Row]) -> bool:
    """Publish the events of jobs that have ended; return False if they are still due.

    Nothing is raised: the jobs' ends are stored, and the sweep repeats this.
    """
    from ucam_faas.jobs.events import message_of
    from ucam_faas.jobs.sweep import note_published

    topic, store = runtime.settings.events_topic, runtime.jobs()
    assert store is not None, "it has the rows"
    try:
        if topic is not None:
            full = runtime.full_topic(topic, "UCAM_FAAS_EVENTS_TOPIC")
            runtime.outgoing().publish_many(full, [message_of(row) for row in rows])
        note_published(rows, store)
    except Exception as error:
        log_problem("ucam_faas_event_failed", topic=topic, error=error)
        return False
    return True


def publish_due(runtime: Runtime, row: Row | None) -> None:
    """Publish the event of a job that has ended, if it is due."""
    if row is not None and row.event_due:
        publish(runtime, [row])


def publisher(runtime: Runtime) -> Callable[[Sequence[Row]], bool] | None:
    """Return the function with which the sweep publishes events; None: there are none."""
    if runtime.settings.events_topic is None:
        return None
    return lambda rows: publish(runtime, rows)


def _short(topic: str) -> str:
    return topic.rpartition("/")[2]
