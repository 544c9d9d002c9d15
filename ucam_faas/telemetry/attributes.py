"""The names and attributes of spans and metrics, as OpenTelemetry's conventions have them. Pure.

Sources: the semantic conventions for messaging, Google Cloud Pub/Sub and FaaS, in development.
Attributes of the package's own begin with `ucam_faas.`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.envelopes import SCHEDULER_EVENT_TYPE
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
from ucam_faas.outcomes import Outcome, Pause, Retry, answer, name
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Kind, Task

MAX_TEXT = 256
"""Characters of a text that a sender chooses: Google's names and ids are shorter."""
SYSTEM = {"messaging.system": "gcp_pubsub"}
PROCESS = {"messaging.operation.name": "process", "messaging.operation.type": "process"}


def short(resource: str) -> str:
    """Return the last part of a resource's name, of a limited length.

    >>> short("projects/p/subscriptions/s")
    's'
    """
    return resource.rpartition("/")[2][:MAX_TEXT]


def project_of(resource: str) -> str:
    """Return the project of a resource's full name, or nothing."""
    parts = resource.split("/")
    return parts[1][:MAX_TEXT] if len(parts) == 4 and parts[0] == "projects" else ""


def is_message(delivery: Delivery) -> bool:
    """Return True if Pub/Sub delivered it: of other data, a message may have been made."""
    event = delivery.attributes
    return delivery.message is not None and (
        event is None or event.event_type == PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
    )


def process_name(task: Task, delivery: Delivery, batch: Sequence[Delivery] = ()) -> str:
    """Return the name of the span of an execution."""
    delivery = batch[0] if batch else delivery
    if task.kind is Kind.HTTP:
        return f"{delivery.request.partition(' ')[0] or task.methods[0]} {task.route}"
    return f"process {short(delivery.subscription) or task.name}"


def of_process(
    task: Task, delivery: Delivery, *, lane: str, job: str | None, keys: bool
) -> dict[str, Any]:
    """Return the attributes of the span of an execution, at its start.

    Args:
        lane: of the task.
        job: the id of its job, if it has one.
        keys: ordering keys, which may be personal data, are shown.
    """
    pairs: dict[str, Any] = {
        "ucam_faas.task": task.name,
        "faas.invocation_id": delivery.execution_id,
        "faas.trigger": trigger(task, delivery),
    }
    if lane != DEFAULT_LANE:
        pairs["ucam_faas.lane"] = lane
    if job is not None:
        pairs["ucam_faas.job_id"] = job
    if is_message(delivery):
        pairs |= _of_message(delivery, keys=keys)
    elif task.kind is Kind.HTTP:
        pairs["http.request.method"] = delivery.request.partition(" ")[0] or task.methods[0]
        pairs["http.route"] = task.route
    elif delivery.attributes is not None:
        pairs["cloudevents.event_id"] = delivery.attributes.event_id[:MAX_TEXT]
        pairs["cloudevents.event_source"] = delivery.attributes.event_source[:MAX_TEXT]
        pairs["cloudevents.event_type"] = delivery.attributes.event_type[:MAX_TEXT]
    return pairs


def _of_message(delivery: Delivery, *, keys: bool) -> dict[str, Any]:
    message, subscription = delivery.message, short(delivery.subscription)
    assert message is not None, "asked by the caller"
    pairs: dict[str, Any] = {
        **SYSTEM,
        **PROCESS,
        "messaging.message.id": message.message_id[:MAX_TEXT],
        "messaging.message.body.size": len(message.data),
    }
    if subscription:
        pairs["messaging.destination.name"] = subscription
        pairs["messaging.destination.subscription.name"] = subscription
        pairs["gcp.project_id"] = project_of(delivery.subscription)
    if delivery.delivery_attempt is not None:
        pairs["messaging.gcp_pubsub.message.delivery_attempt"] = delivery.delivery_attempt
    if keys and message.ordering_key:
        pairs["messaging.gcp_pubsub.message.ordering_key"] = message.ordering_key
    return pairs


def of_producing(operation: str, destination: str, count: int) -> dict[str, Any]:
    """Return the attributes of the span of a publish or a send."""
    pairs = {
        **SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": "send",
        "messaging.destination.name": short(destination),
    }
    if project := project_of(destination):
        pairs["gcp.project_id"] = project
    return pairs if count == 1 else {**pairs, "messaging.batch.message_count": count}


def trigger(task: Task, delivery: Delivery, batch: Sequence[Delivery] = ()) -> str:
    """Return the kind of the trigger: `faas.trigger`."""
    if task.kind is Kind.HTTP:
        return "http"
    if batch or is_message(delivery):
        return "pubsub"
    event = delivery.attributes
    return "timer" if event is not None and event.event_type == SCHEDULER_EVENT_TYPE else "other"


def error_type(outcome: Outcome, error: BaseException | None) -> str | None:
    """Return the kind of a failure; None: it is none. A retry that the task asks for is none."""
    if answer(outcome).exit_code == 0 or isinstance(outcome, Retry | Pause):
        return None
    return name(outcome) if error is None else type(error).__qualname__


def of_batch(batch: Sequence[Delivery]) -> dict[str, Any]:
    """Return the attributes of the span of a batch."""
    subscription = short(batch[0].subscription)
    return {
        **SYSTEM,
        **PROCESS,
        "messaging.batch.message_count": len(batch),
        "messaging.destination.name": subscription,
        "messaging.destination.subscription.name": subscription,
        "gcp.project_id": project_of(batch[0].subscription),
        "faas.trigger": "pubsub",
    }
