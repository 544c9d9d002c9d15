"""Bytes and headers of one delivery in, an `Envelope` out.

Reads CloudEvents 1.0 (binary and structured), wrapped and unwrapped Pub/Sub pushes and Cloud
Scheduler's HTTP requests. It knows nothing of tasks: whether the event fits is for the parsers.

Sources: the CloudEvents HTTP protocol binding 1.0; Google's pages "Push subscriptions",
"Payload unwrapping" and "HTTP target" (Cloud Scheduler).
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from ucam_faas.events import tracing
from ucam_faas.events.context import CloudEventAttributes
from ucam_faas.events.messages import (
    PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    TOPIC_PATH,
    MessagePublishedData,
    PubsubMessage,
)
from ucam_faas.events.model_errors import describe
from ucam_faas.exceptions import EnvelopeError, NotAnEventError, UnsupportedMediaError

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent

SCHEDULER_EVENT_TYPE = "google.cloud.scheduler.job.v1.executed"
"""The type that a Cloud Scheduler HTTP request gets as a CloudEvent; Google defines none."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery as it came in, decoded. `attributes` is None for what is no event."""

    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    execution_id: str
    trace: tracing.Trace | None = None
    attributes: CloudEventAttributes | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    """The CloudEvent's other attributes: content type, schema, extensions."""
    data: Any = None
    """The CloudEvent's data; None: the body."""
    encoded: bool = True
    """The data are bytes that are yet to be read as their content type says."""
    message: PubsubMessage | None = None
    subscription: str = ""
    delivery_attempt: int | None = None
    pushed: bool = False
    """The message came as a push: the event's data are made of it."""
    request: str = ""
    """Method and path, of an HTTP task's."""

    def event_data(self) -> Any:
        """Return the CloudEvent's data: parsed when it is JSON, bytes otherwise.

        Raises:
            EnvelopeError: the data says it is JSON, and is not.
        """
        if self.pushed:
            return self._push()
        if not self.encoded:
            return self.data
        content = self.body if self.data is None else self.data
        if not content:
            return None
        media_type = self.extensions.get("datacontenttype")
        if media_type is not None and not _is_json(media_type):
            return content
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            if media_type is None:
                return content  # it was never said that it is JSON
            raise EnvelopeError("data: not JSON") from error

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
            EnvelopeError: the delivery is no event, or its data cannot be read.
        """
        from cloudevents.http import CloudEvent

        if self.attributes is None:
            raise NotAnEventError("a CloudEvent or a Pub/Sub push was expected")
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

    def published(self) -> MessagePublishedData:
        """Return the Pub/Sub message of the delivery, and where it comes from.

        Raises:
            EnvelopeError: it holds no message, or one with a wrong part.
        """
        if self.message is not None:
            return MessagePublishedData(
                message=self.message,
                subscription=self.subscription,
                delivery_attempt=self.delivery_attempt,
            )
        kind = self.attributes.event_type if self.attributes else None
        if kind is not None and kind != PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE:
            raise EnvelopeError("type: events of this type hold no message")
        content = self.body if self.data is None and self.encoded else self.data
        if not isinstance(content, bytes):
            try:
                content = json.dumps(content).encode()
            except (TypeError, ValueError) as error:
                raise EnvelopeError("data: not JSON") from error
        return _validate_push(content)


def raw(body: bytes, headers: Mapping[str, str], request: str = "") -> Envelope:
    """Wrap a delivery without reading it."""
    return Envelope(
        request=request,
        headers=headers,
        body=body,
        execution_id=headers.get("function-execution-id", "")[:64] or os.urandom(8).hex(),
        trace=tracing.from_headers(headers),
    )


def decode(body: bytes, headers: Mapping[str, str], path: str = "") -> Envelope:
    """Read a delivery.

    Args:
        body: the request's body.
        headers: the request's headers, with lower-case names.
        path: the request's path; one that ends in `projects/P/topics/T` names the topic.

    Raises:
        NotAnEventError: it is neither a CloudEvent nor a Pub/Sub push.
        UnsupportedMediaError: the same, and its media type is not JSON.
        EnvelopeError: its form is known, but a part is missing or wrong.

    >>> decode(b'{"message": {"data": "aGk="}}', {"content-type": "application/json"}).message.data
    b'hi'
    """
    envelope = raw(body, headers)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if "x-goog-pubsub-message-id" in headers or "x-goog-pubsub-subscription-name" in headers:
        return _unwrapped(envelope, path)  # first: a message may be a CloudEvent itself
    if media_type.startswith("application/cloudevents"):
        if media_type != "application/cloudevents+json":
            raise UnsupportedMediaError("content-type: only application/cloudevents+json is read")
        return _structured(envelope)
    if "ce-specversion" in headers or "ce-type" in headers:
        return _binary(envelope)
    if "x-cloudscheduler-jobname" in headers:
        return _scheduled(envelope)
    return _plain(envelope, media_type, path)


def of_cloud_event(event: Any) -> Envelope:
    """Wrap an event of the cloudevents package."""
    attributes = CloudEventAttributes.from_cloud_event(event)
    extensions = {
        name: value for name, value in event.get_attributes().items() if name not in _CORE
    }
    return replace(
        raw(b"", {}),
        attributes=attributes,
        extensions=extensions,
        data=event.get_data(),
        encoded=False,
    )


def _plain(envelope: Envelope, media_type: str, path: str) -> Envelope:
    """Read what no header announces: a wrapped push, or one unwrapped without metadata."""
    agent = envelope.headers.get("user-agent", "")
    of_google = agent.startswith(("APIs-Google", "CloudPubSub-Google"))
    try:
        published = _validate_push(envelope.body)
        if published.subscription or not of_google:
            return _with_message(envelope, published, path)
    except EnvelopeError as error:
        malformed = error
    if of_google:  # whose wrapped pushes are whole, and name their subscription
        return _unwrapped(envelope, path)
    try:
        found = json.loads(envelope.body)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and "message" in found:
        raise malformed
    missing = "body: not JSON" if found is None else "body: JSON without a message"
    if isinstance(found, dict) and "specversion" in found:
        return _structured(envelope)
    if media_type and not _is_json(media_type):
        raise UnsupportedMediaError("content-type: expected JSON or a CloudEvent")
    raise NotAnEventError(f"{missing}, and no headers of a CloudEvent or an unwrapped push")


def _unwrapped(envelope: Envelope, path: str) -> Envelope:
    headers = envelope.headers
    attributes = {
        name: value
        for name, value in headers.items()
        if not name.startswith(_TRANSPORT_PREFIXES) and name not in _TRANSPORT_HEADERS
    }
    message: dict[str, Any] = {
        "data": envelope.body,
        "attributes": attributes if "x-goog-pubsub-message-id" in headers else {},
        "message_id": headers.get("x-goog-pubsub-message-id", ""),
        "publish_time": headers.get("x-goog-pubsub-publish-time"),
        "ordering_key": headers.get("x-goog-pubsub-ordering-key", ""),
    }
    attempt = headers.get("x-goog-pubsub-delivery-attempt")
    try:
        published = MessagePublishedData.model_validate(
            {
                "message": message,
                "subscription": headers.get("x-goog-pubsub-subscription-name", ""),
                "delivery_attempt": attempt,
            }
        )
    except ValidationError as error:
        raise EnvelopeError(describe(error)) from error
    return _with_message(envelope, published, path)


def _scheduled(envelope: Envelope) -> Envelope:
    headers = envelope.headers
    job, time = headers["x-cloudscheduler-jobname"], headers.get("x-cloudscheduler-scheduletime")
    attributes = CloudEventAttributes(
        event_id=f"{job}/{time or envelope.execution_id}",
        event_source=f"//cloudscheduler.googleapis.com/{job}",
        event_type=SCHEDULER_EVENT_TYPE,
        event_time=time,
    )
    content_type = headers.get("content-type", "application/octet-stream")
    return _with_data(envelope, attributes, content_type)


def of_data(content: bytes, attributes: CloudEventAttributes) -> Envelope:
    """Make an envelope of data that came without one."""
    media_type = "application/json"
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        media_type = "application/octet-stream"
    return _with_data(raw(content, {}), attributes, media_type)


def _with_data(envelope: Envelope, attributes: CloudEventAttributes, media_type: str) -> Envelope:
    """Let the body stand for an event's data and for a message's."""
    return replace(
        envelope,
        attributes=attributes,
        data=envelope.body,
        extensions={"datacontenttype": media_type},
        message=PubsubMessage(data=envelope.body, message_id=attributes.event_id),
    )


def _with_message(envelope: Envelope, published: MessagePublishedData, path: str) -> Envelope:
    """Give a push the attributes that Eventarc gives a CloudEvent for the same message."""
    message = published.message
    topic = TOPIC_PATH.search(path) if "/topics/" in path else None
    name = topic.group(0) if topic else published.subscription or "projects/-"
    attributes = CloudEventAttributes(
        event_id=message.message_id or envelope.execution_id,
        event_source=f"//pubsub.googleapis.com/{name}",
        event_type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        event_time=message.publish_time.isoformat() if message.publish_time else None,
    )
    return Envelope(  # not replace(): this is the hot path, and it is three times as fast
        headers=envelope.headers,
        body=envelope.body,
        execution_id=envelope.execution_id,
        trace=envelope.trace or tracing.from_attributes(message.attributes),
        attributes=attributes,
        message=message,
        subscription=published.subscription,
        delivery_attempt=published.delivery_attempt,
        pushed=True,
    )


def _binary(envelope: Envelope) -> Envelope:
    found = {
        name[3:]: _header_value(name[3:], value)
        for name, value in envelope.headers.items()
        if name.startswith("ce-")
    }
    if "content-type" in envelope.headers:
        found["datacontenttype"] = envelope.headers["content-type"]
    return _event(envelope, found, data=None, encoded=True)


def _header_value(name: str, text: str) -> str:
    """Return a header's value, as the HTTP protocol binding 1.0 says in 3.1.3.2.

    Raises:
        EnvelopeError: it encodes bytes that are not UTF-8.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise EnvelopeError(f"{name}: percent-encoded bytes that are not UTF-8") from error


_ESCAPED = re.compile(r"\\(.)")


class _Structured(BaseModel):
    model_config = ConfigDict(extra="allow")

    data: Any = None
    data_base64: str | None = None


def _structured(envelope: Envelope) -> Envelope:
    try:
        event = _Structured.model_validate_json(envelope.body)
    except ValidationError as error:
        raise EnvelopeError(describe(error)) from error
    attributes = dict(event.model_extra or {})
    if event.data_base64 is not None:
        try:
            content = base64.b64decode(event.data_base64, validate=True)
        except ValueError as error:
            raise EnvelopeError("data_base64: not base64") from error
        return _event(envelope, attributes, content, encoded=True)
    is_json = _is_json(str(attributes.get("datacontenttype", "application/json")))
    data = event.data.encode() if isinstance(event.data, str) and not is_json else event.data
    return _event(envelope, attributes, data, encoded=False)


def _event(envelope: Envelope, found: dict[str, Any], data: Any, *, encoded: bool) -> Envelope:
    for name in ("id", "source", "type", "specversion"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise EnvelopeError(f"{name}: required by CloudEvents 1.0, and a string")
    if found["specversion"] != "1.0":
        raise EnvelopeError("specversion: only 1.0 is read")
    for name in ("subject", "time", "datacontenttype"):
        if found.get(name) is not None and not isinstance(found[name], str):
            raise EnvelopeError(f"{name}: expected a string")
    attributes = CloudEventAttributes(
        event_id=found.pop("id"),
        event_source=found.pop("source"),
        event_spec_version=found.pop("specversion"),
        event_type=found.pop("type"),
        event_subject=found.pop("subject", None),
        event_time=found.pop("time", None),
    )
    return replace(envelope, attributes=attributes, extensions=found, data=data, encoded=encoded)


def _validate_push(content: bytes) -> MessagePublishedData:
    try:
        published = MessagePublishedData.model_validate_json(content)
    except ValidationError as error:
        raise EnvelopeError(describe(error)) from error
    if not published.message.model_fields_set and json.loads(content)["message"]:
        raise EnvelopeError("message: has none of the fields of a Pub/Sub message")
    return published


def _is_json(media_type: str) -> bool:
    media_type = media_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith(("+json", "/json"))


_TRANSPORT_PREFIXES = ("x-goog-", "x-forwarded-", "x-appengine-", "x-envoy-", "sec-")
_RARE = ("orderingKey", "publishTime")
"""Parts of a message that a push leaves out when they are empty."""
_CORE = frozenset({"id", "source", "specversion", "type", "subject", "time"})
_TRANSPORT_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "cookie",
        "content-encoding",
        "content-length",
        "content-type",
        "forwarded",
        "from",
        "function-execution-id",
        "host",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "user-agent",
        "via",
        "x-cloud-trace-context",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-serverless-authorization",
    }
)
"""Headers of an unwrapped push that are no attributes of its message."""
