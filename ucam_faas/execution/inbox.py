"""Wakes: messages to a task's inbox that say only which job to look at."""

from __future__ import annotations

from ucam_faas.exceptions import PublishError
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Key
from ucam_faas.logs.problems import log_problem
from ucam_faas.tasks.topics import inbox_of

JOB_ATTRIBUTE = "ucam_faas_job"
"""Of a wake: the id of its job."""


def wake(runtime: Runtime, key: Key) -> None:
    """Publish a wake; a failure is logged, because the sweep repeats it."""
    try:
        topic = runtime.full_topic(inbox_of(key.task), key.task)
        runtime.outgoing().publish(topic, b"", {JOB_ATTRIBUTE: key.id})
    except PublishError as error:
        log_problem("ucam_faas_wake_failed", task=key.task, error=error)
