"""Messages and CloudEvents for tests, and the requests that deliver them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE, PubsubMessage
from ucam_faas.tasks.payload_types import protobuf_class

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent

SUBSCRIPTION = "projects/test-project/subscriptions/test-subscription"
"""The subscription of messages that are made without one."""
PUBLISH_TIME = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
"""The time of messages that are made without one, and the start of a `ManualClock`."""
_ids = itertools.count(1)


def make_message(
    data: Any = b"",
    *,
    attributes: Mapping[str, str] | None = None,
    message_id: str | None = None,
    publish_time: datetime = PUBLISH_TIME,
    ordering_key: str = "",
) -> PubsubMessage:
    """Make a Pub/Sub message.

    Args:
        data: bytes; a str, as UTF-8; a protobuf or proto-plus message, in its binary form; or a
            pydantic model, dataclass or other JSON value, as JSON.
        attributes: of the message.
        message_id: default: one that no other message has.
        publish_time: default: the time at which `ManualClock` starts.
        ordering_key: of the message.
    """
    return PubsubMessage(
        data=to_bytes(data),
        attributes=dict(attributes or {}),
        message_id=message_id or str(next(_ids)),
        publish_time=publish_time,
        ordering_key=ordering_key,
    )


def to_bytes(data: Any) -> bytes:
    """Return message data in its wire form; see `make_message`."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if hasattr(data, "SerializeToString"):
        return bytes(data.SerializeToString())
    if protobuf_class(type(data)) is not None:  # of proto-plus
        return bytes(type(data).serialize(data))
    if isinstance(data, BaseModel):
        return data.model_dump_json(by_alias=True).encode()
    return json.dumps(data, default=_json_value).encode()


def _json_value(value: Any) -> Any:
    return to_jsonable_python(value, by_alias=True)


def make_cloud_event(
    data: Any = None,
    *,
    type: str = "com.example.test",
    source: str = "//example.com/test",
    **attributes: str,
) -> CloudEvent:
    """Make a CloudEvent; `id`, `subject`, `time` and extensions are keyword arguments."""
    from cloudevents.http import CloudEvent

    return CloudEvent({"type": type, "source": source, **attributes}, data)


def make_message_event(message: Any = b"", *, subscription: str = SUBSCRIPTION) -> CloudEvent:
    """Make the CloudEvent that Eventarc delivers for a message, or for message data."""
    return make_cloud_event(
        _wrapped(_as_message(message), subscription, None),
        type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        source="//pubsub.googleapis.com/projects/test-project/topics/test-topic",
    )


@dataclass(frozen=True, slots=True)
class Push:
    """The body and headers of an HTTP request that delivers a message."""

    body: bytes
    headers: dict[str, str]


def make_push(
    message: Any = b"",
    *,
    subscription: str = SUBSCRIPTION,
    delivery_attempt: int | None = None,
    wrapped: bool = True,
) -> Push:
    """Make the request of a push subscription for a message, or for message data.

    Args:
        message: a PubsubMessage, or message data as `make_message` takes it.
        subscription: its full name.
        delivery_attempt: sent by subscriptions with a dead-letter policy only.
        wrapped: False: payload unwrapping, with metadata as headers.
    """
    message = _as_message(message)
    if wrapped:
        body = json.dumps(_wrapped(message, subscription, delivery_attempt)).encode()
        return Push(body, {"Content-Type": "application/json"})
    headers = {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": message.message_id,
        **message.attributes,
    }
    if message.publish_time is not None:
        headers["x-goog-pubsub-publish-time"] = message.publish_time.isoformat()
    if delivery_attempt is not None:
        headers["x-goog-pubsub-delivery-attempt"] = str(delivery_attempt)
    if message.ordering_key:
        headers["x-goog-pubsub-ordering-key"] = message.ordering_key
    return Push(message.data, headers)


def _as_message(message: Any) -> PubsubMessage:
    return message if isinstance(message, PubsubMessage) else make_message(message)


def _wrapped(message: PubsubMessage, subscription: str, attempt: int | None) -> dict[str, Any]:
    fields = message.model_dump(mode="json", exclude={"type"})
    fields |= {"messageId": fields["message_id"], "publishTime": fields["publish_time"]}
    ordering_key = fields.pop("ordering_key")
    if ordering_key:
        fields["orderingKey"] = ordering_key
    push: dict[str, Any] = {"message": fields, "subscription": subscription}
    return push if attempt is None else {**push, "deliveryAttempt": attempt}
