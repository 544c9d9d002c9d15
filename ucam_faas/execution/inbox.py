"""Wakes: messages to a task's inbox that say only which job to look at."""

from __future__ import annotations

from collections.abc import Iterable

from ucam_faas.exceptions import PublishError
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Key
from ucam_faas.logs.problems import log_problem
from ucam_faas.publishing import MAX_PUBLISHED, Draft
from ucam_faas.tasks.topics import inbox_of

JOB_ATTRIBUTE = "ucam_faas_job"
"""Of a wake: the id of its job."""


def wake(runtime: Runtime, key: Key) -> None:
    """Publish a wake; a failure is logged, because the sweep repeats it."""
    wake_many(runtime, [key])


def wake_many(runtime: Runtime, keys: Iterable[Key]) -> None:
    """Publish wakes, with few calls; a failure is logged, because the sweep repeats them."""
    by_task: dict[str, list[Key]] = {}
    for key in keys:
        by_task.setdefault(key.task, []).append(key)
    for task, own in by_task.items():
        try:
            topic = runtime.full_topic(inbox_of(task), task)
            for start in range(0, len(own), MAX_PUBLISHED):
                drafts = [
                    Draft(b"", {JOB_ATTRIBUTE: key.id})
                    for key in own[start : start + MAX_PUBLISHED]
                ]
                runtime.outgoing().publish_many(topic, drafts)
        except PublishError as error:
            log_problem("ucam_faas_wake_failed", task=task, error=error)
