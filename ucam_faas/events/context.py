"""The running task's delivery, held in ContextVars.

`CLOUD_EVENT_CONTEXT` is set while any event task runs, `MESSAGE_CONTEXT` while a message
handler runs. Threads of the task pool and coroutines see the values of their own execution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ucam_faas.events.messages import PubsubMessage

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent


class CloudEventHandlerAttributes(BaseModel):
    """How far a CloudEvent came."""

    model_config = ConfigDict(frozen=True)

    input_event_accepted: bool = False
    """The event had the right type and its parser accepted it."""


class MessageHandlerAttributes(BaseModel):
    """How far a message came."""

    model_config = ConfigDict(frozen=True)

    input_message_accepted: bool = False
    """The payload was accepted by the task's message type."""


class CloudEventAttributes(BaseModel):
    """The context attributes of a CloudEvent, under the names of OpenTelemetry's conventions."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    event_source: str
    event_spec_version: str = "1.0"
    event_type: str
    event_subject: str | None = None
    event_time: str | None = None

    @classmethod
    def from_cloud_event(cls, cloud_event: CloudEvent) -> CloudEventAttributes:
        """Read the attributes of a CloudEvent of the cloudevents package."""
        attributes = cloud_event.get_attributes()
        return cls(
            event_id=attributes["id"],
            event_source=attributes["source"],
            event_spec_version=attributes["specversion"],
            event_type=attributes["type"],
            event_subject=attributes.get("subject"),
            event_time=attributes.get("time"),
        )


EVENT_ACCEPTED = CloudEventHandlerAttributes(input_event_accepted=True)
EVENT_NOT_ACCEPTED = CloudEventHandlerAttributes(input_event_accepted=False)
MESSAGE_ACCEPTED = MessageHandlerAttributes(input_message_accepted=True)
MESSAGE_NOT_ACCEPTED = MessageHandlerAttributes(input_message_accepted=False)


@dataclass
class CloudEventHandlerContext:
    """The CloudEvent of the running execution."""

    attributes: CloudEventAttributes
    make_cloud_event: Callable[[], CloudEvent]
    execution_id: str | None = None
    handler: CloudEventHandlerAttributes = EVENT_NOT_ACCEPTED
    parent: object = field(default=None, repr=False, compare=False)
    """The execution as the cause of the jobs that it sends; made with the first of them."""

    @cached_property
    def cloud_event(self) -> CloudEvent:
        """The event as the cloudevents package's type, built when first asked for."""
        return self.make_cloud_event()


@dataclass
class MessageHandlerContext:
    """The Pub/Sub message of the running execution."""

    pubsub_message: PubsubMessage
    subscription: str = ""
    delivery_attempt: int | None = None
    handler: MessageHandlerAttributes = MESSAGE_NOT_ACCEPTED


CLOUD_EVENT_CONTEXT: ContextVar[CloudEventHandlerContext] = ContextVar("CLOUD_EVENT_CONTEXT")
"""The CloudEvent of the running execution; unset without one."""
MESSAGE_CONTEXT: ContextVar[MessageHandlerContext] = ContextVar("MESSAGE_CONTEXT")
"""The Pub/Sub message of the running execution; unset without one."""


def attributes_of(
    message: MessageHandlerContext | None, event: CloudEventHandlerContext | None
) -> Mapping[str, Any]:
    """Return the attributes of a message, or else those of a CloudEvent."""
    if message is not None:
        return message.pubsub_message.attributes
    return {} if event is None else dict(event.cloud_event.get_attributes())


def contexts_of(
    *, takes_messages: bool, takes_events: bool
) -> tuple[MessageHandlerContext | None, CloudEventHandlerContext | None]:
    """Return the contexts of the running execution; it may run inside of another one's."""
    return (
        MESSAGE_CONTEXT.get(None) if takes_messages else None,
        CLOUD_EVENT_CONTEXT.get(None) if takes_events else None,
    )
