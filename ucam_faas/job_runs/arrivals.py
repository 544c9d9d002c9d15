"""From a message that has arrived to its job: the one that it wakes, or the one that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs.adoption import Adoption
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.jobs.rows import Key
from ucam_faas.tasks.task import Kind, Task


def read_inbox(
    runtime: Runtime, task: Task, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[Delivery, JobRun | None]:
    """Return the delivery of a push to a task's inbox, and its job; None: it has none.

    Raises:
        Refused: it isn't a push of a message.
    """
    delivery = envelopes.decode(body, headers, path).with_message()
    job = job_in_inbox(runtime, task, delivery)
    if (job is None or job.is_message) and task.kind is Kind.RAW:
        assert delivery.message is not None, "it was just read"
        delivery = replace(delivery, body=delivery.message.data)
    return delivery, job


def job_in_inbox(runtime: Runtime, task: Task, delivery: Delivery) -> JobRun | None:
    """Return the job of a message in a task's inbox; None: it has none.

    A message that isn't a wake, such as a replay, is treated as one on the task's own topic.
    """
    message = delivery.message
    assert message is not None, "an inbox gets messages"
    job = message.attributes.get(inbox.JOB_ATTRIBUTE)
    if job is None:
        return adopted(runtime, task)
    app = message.attributes.get(inbox.APP_ATTRIBUTE, runtime.settings.app)
    return JobRun(Key(app, task.name, job))


def adopted(runtime: Runtime, task: Task) -> JobRun | None:
    """Return the job that a task's own message becomes; None: it becomes none."""
    return Adoption(runtime.settings.app, task) if task.jobs.adopts else None
