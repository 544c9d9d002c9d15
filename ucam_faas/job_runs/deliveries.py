"""The delivery that a job's function sees: the wake's, with the job's message in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.messages import MessagePublishedData, PubsubMessage
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.hops import with_hops
from ucam_faas.execution.traces import with_trace
from ucam_faas.jobs.rows import Row
from ucam_faas.tasks.task import Kind


def delivery_of(execution: Execution, row: Row) -> Delivery:
    """Return the delivery of a wake with the job's payload in it.

    Its message has the job's id and time of sending: those of wakes differ at each attempt, and
    tasks use them as keys of their effects.
    """
    delivery = execution.delivery
    assert delivery.published is not None, "a wake is a message"
    message = PubsubMessage(
        data=row.payload,
        attributes=with_trace(
            with_hops(row.attributes, row.options.get("hops", "")), row.options.get("trace", "")
        ),
        message_id=row.key.id,
        publish_time=datetime.fromtimestamp(row.created, UTC),
        ordering_key=row.ordering_key,
    )
    published = MessagePublishedData(
        message=message,
        subscription=delivery.subscription,
        delivery_attempt=row.attempts + 1,
    )
    body = row.payload if execution.task.kind is Kind.RAW else delivery.body
    attributes = delivery.attributes
    if attributes is not None:
        attributes = attributes.model_copy(update={"event_id": row.key.id})
    return replace(delivery, published=published, body=body, attributes=attributes)
