"""A pulled message: its delivery, as a push of it would be, and its job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.messages import MessagePublishedData, PubsubMessage
from ucam_faas.execution.runtime import Runtime
from ucam_faas.worker.sources import Source

if TYPE_CHECKING:
    from ucam_faas.job_runs.job_run import JobRun


_EPOCH = datetime.fromtimestamp(0, UTC)


class Pulled:
    """A message that a worker holds.

    Args:
        source: its subscription.
        received: Google's ReceivedMessage.
        number: the process's own, which rises.
    """

    __slots__ = ("ack_id", "id", "key", "number", "received", "source")

    def __init__(self, source: Source, received: Any, number: int) -> None:
        self.source = source
        self.received = received
        self.id: str = received.message.message_id
        self.ack_id: str = received.ack_id
        self.number = number
        self.key = ""
        """Its ordering key, if the subscription keeps the order."""

    @property
    def ordering_key(self) -> str:
        """The message's, or nothing, whatever the subscription keeps."""
        return str(self.received.message.ordering_key)


def delivery_of(pulled: Pulled) -> Delivery:
    """Return a message as its push would be decoded."""
    source, received = pulled.source, pulled.received
    message = received.message
    time, attributes = message.publish_time, message.attributes
    if not source.task.takes_events and not source.is_inbox:
        return envelopes.raw(message.data, {})
    published = MessagePublishedData(
        message=PubsubMessage(
            data=message.data,
            attributes={name: attributes[name] for name in attributes},  # twice as fast as dict()
            message_id=pulled.id,
            publish_time=_EPOCH + timedelta(0, time.seconds, time.nanos // 1000),
            ordering_key=message.ordering_key,
        ),
        subscription=source.subscription,
        delivery_attempt=received.delivery_attempt or None,
    )
    return envelopes.of_message(published)


def job_of(pulled: Pulled, delivery: Delivery, runtime: Runtime) -> JobRun | None:
    """Return the job of a message; None: it has none."""
    task, is_inbox = pulled.source.task, pulled.source.is_inbox
    if not is_inbox and not task.jobs.adopts:
        return None
    from ucam_faas.job_runs import arrivals  # tasks without jobs don't need it

    if is_inbox:
        return arrivals.job_in_inbox(runtime, task, delivery)
    return arrivals.adopted(runtime, task)
