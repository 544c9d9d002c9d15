"""One delivery as it came in, decoded: a CloudEvent, a Pub/Sub message, or bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ucam_faas.events.context import CloudEventAttributes
from ucam_faas.events.messages import (
    PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    MessagePublishedData,
    PubsubMessage,
)
from ucam_faas.events.model_errors import describe
from ucam_faas.events.tracing import Trace
from ucam_faas.outcomes import MalformedEvent, NotAnEvent, WrongEventType

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message or event. `attributes` is None for bytes that aren't read as an event."""

    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    execution_id: str
    trace: Trace | None = None
    attributes: CloudEventAttributes | None = None
    published: MessagePublishedData | None = None
    """The Pub/Sub message, its subscription and attempt, as far as they have been read."""
    pushed: bool = False
    """The message came as a push: the event's data are made of it."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """The CloudEvent's other attributes: content type, schema, extensions."""
    data: Any = None
    """The CloudEvent's data; None: the body."""
    encoded: bool = True
    """The data are bytes that are yet to be read as their content type says."""
    request: str = ""
    """Method and path, of an HTTP task's."""

    @property
    def message(self) -> PubsubMessage | None:
        """The Pub/Sub message, if it has been read."""
        return self.published.message if self.published is not None else None

    @property
    def subscription(self) -> str:
        """The subscription's full name, or nothing."""
        return self.published.subscription if self.published is not None else ""

    @property
    def delivery_attempt(self) -> int | None:
        """Pub/Sub's count, from 1; None without a dead-letter policy."""
        return self.published.delivery_attempt if self.published is not None else None

    def with_message(self) -> Delivery:
        """Return the delivery with its Pub/Sub message read.

        Raises:
            WrongEventType: events of this type hold no message.
            MalformedEvent: the message has a part missing or wrong.
        """
        if self.published is not None:
            return self
        event_type = self.attributes.event_type if self.attributes else None
        if event_type not in (None, PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE):
            expected = PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
            raise WrongEventType(f"type: expected {expected!r}")
        content = self.body if self.data is None and self.encoded else self.data
        if not isinstance(content, bytes):
            try:
                content = json.dumps(content).encode()
            except (TypeError, ValueError) as error:
                raise MalformedEvent("data: not JSON") from error
        return replace(self, published=validate_push(content))

    def event_data(self) -> Any:
        """Return the CloudEvent's data: parsed when it is JSON, bytes otherwise.

        Raises:
            MalformedEvent: the data says it is JSON, and is not.
        """
        if self.pushed:
            return self._push()
        if not self.encoded:
            return self.data
        content = self.body if self.data is None else self.data
        if not content:
            return None
        media_type = self.extensions.get("datacontenttype")
        if media_type is not None and not is_json(media_type):
            return content
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            if media_type is None:
                return content  # the event doesn't say that it is JSON
            raise MalformedEvent("data: not JSON") from error

    def _push(self) -> dict[str, Any]:
        """Return the message as the JSON of a wrapped push, whichever way it came."""
        assert self.message is not None, "a push holds a message"
        dumped = self.message.model_dump(mode="json", by_alias=True)
        message = {name: value for name, value in dumped.items() if value or name not in _RARE}
        for name, other in (("messageId", "message_id"), ("publishTime", "publish_time")):
            if name in message:
                message[other] = message[name]  # Pub/Sub sends both
        push: dict[str, Any] = {"message": message, "subscription": self.subscription}
        if self.delivery_attempt is not None:
            push["deliveryAttempt"] = self.delivery_attempt
        return push

    def cloud_event(self) -> CloudEvent:
        """Return the delivery as the cloudevents package's type.

        Raises:
            NotAnEvent: the delivery isn't an event.
            MalformedEvent: its data cannot be read.
        """
        from cloudevents.http import CloudEvent

        if self.attributes is None:
            raise NotAnEvent("a CloudEvent or a Pub/Sub push was expected")
        attributes = {
            **self.extensions,
            "specversion": self.attributes.event_spec_version,
            "id": self.attributes.event_id,
            "source": self.attributes.event_source,
            "type": self.attributes.event_type,
            "subject": self.attributes.event_subject,
            "time": self.attributes.event_time,
        }
        return CloudEvent(
            {name: value for name, value in attributes.items() if value is not None},
            self.event_data(),
        )


_RARE = ("orderingKey", "publishTime")
"""Parts of a message that a push leaves out when they are empty."""


def validate_push(content: bytes) -> MessagePublishedData:
    """Read the JSON of a wrapped push.

    Raises:
        MalformedEvent: a part is missing or wrong.
    """
    try:
        published = MessagePublishedData.model_validate_json(content)
    except ValidationError as error:
        raise MalformedEvent(describe(error)) from error
    if not published.message.model_fields_set and json.loads(content)["message"]:
        raise MalformedEvent("message: has none of the fields of a Pub/Sub message")
    return published


def is_json(media_type: str) -> bool:
    """Return True if a media type is JSON's, or of a format built on it."""
    media_type = media_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith(("+json", "/json"))
