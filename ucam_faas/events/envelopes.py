"""Bytes and headers of one delivery in, a `Delivery` out.

Reads CloudEvents 1.0 (binary and structured), wrapped and unwrapped Pub/Sub pushes and Cloud
Scheduler's HTTP requests. It knows nothing of tasks: whether the event fits is for the parsers.

Sources: the CloudEvents HTTP protocol binding 1.0; Google's pages "Push subscriptions",
"Payload unwrapping" and "HTTP target" (Cloud Scheduler).
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from ucam_faas.events import tracing
from ucam_faas.events.context import CloudEventAttributes
from ucam_faas.events.deliveries import Delivery, is_json, validate_push
from ucam_faas.events.messages import (
    PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    TOPIC_PATH,
    MessagePublishedData,
    PubsubMessage,
)
from ucam_faas.events.model_errors import describe
from ucam_faas.outcomes import MalformedEvent, NotAnEvent, UnsupportedMedia

SCHEDULER_EVENT_TYPE = "google.cloud.scheduler.job.v1.executed"
"""The type that a Cloud Scheduler HTTP request gets as a CloudEvent; Google defines none."""


def raw(body: bytes, headers: Mapping[str, str], request: str = "") -> Delivery:
    """Wrap a delivery without reading it.

    Args:
        request: method and path, of an HTTP task's.
    """
    return Delivery(
        headers, body, _execution_id(headers), tracing.from_headers(headers), request=request
    )


_RANDOM = random.Random()
"""Not the shared one, which a task may seed; and not the system's, which lets other threads in."""
os.register_at_fork(after_in_child=_RANDOM.seed)


def _execution_id(headers: Mapping[str, str]) -> str:
    return headers.get("function-execution-id", "")[:64] or f"{_RANDOM.getrandbits(64):016x}"


def decode(body: bytes, headers: Mapping[str, str], path: str = "") -> Delivery:
    """Read a delivery.

    Args:
        body: the request's body.
        headers: the request's headers, with lower-case names.
        path: the request's path; one that ends in `projects/P/topics/T` names the topic.

    Raises:
        NotAnEvent: it is neither a CloudEvent nor a Pub/Sub push.
        UnsupportedMedia: the same, and its media type is not JSON.
        MalformedEvent: its form is known, but a part is missing or wrong.

    >>> decode(b'{"message": {"data": "aGk="}}', {"content-type": "application/json"}).message.data
    b'hi'
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if "x-goog-pubsub-message-id" in headers or "x-goog-pubsub-subscription-name" in headers:
        return _unwrapped(body, headers, path)  # first: a message may be a CloudEvent itself
    if media_type.startswith("application/cloudevents"):
        if media_type != "application/cloudevents+json":
            raise UnsupportedMedia("content-type: only application/cloudevents+json is read")
        return _structured(raw(body, headers))
    if "ce-specversion" in headers or "ce-type" in headers:
        return _binary(raw(body, headers))
    if "x-cloudscheduler-jobname" in headers:
        return _scheduled(raw(body, headers))
    return _plain(body, headers, media_type, path)


def of_message(published: MessagePublishedData) -> Delivery:
    """Return the delivery of a message that was pulled: the same as that of its push."""
    return _pushed(published.message.data, {}, published, "")


def of_cloud_event(event: Any) -> Delivery:
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


def _plain(body: bytes, headers: Mapping[str, str], media_type: str, path: str) -> Delivery:
    """Read a wrapped push, or one unwrapped without metadata: no header announces these."""
    from_google = headers.get("user-agent", "").startswith(("APIs-Google", "CloudPubSub-Google"))
    try:
        published = validate_push(body)
        if published.subscription or not from_google:
            return _pushed(body, headers, published, path)
    except MalformedEvent as error:
        malformed = error
    if from_google:  # Google's wrapped pushes are whole, and name their subscription
        return _unwrapped(body, headers, path)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and "message" in content:
        raise malformed
    if isinstance(content, dict) and "specversion" in content:
        return _structured(raw(body, headers))
    if media_type and not is_json(media_type):
        raise UnsupportedMedia("content-type: expected JSON or a CloudEvent")
    missing = "body: not JSON" if content is None else "body: JSON without a message"
    raise NotAnEvent(f"{missing}, and no headers of a CloudEvent or an unwrapped push")


def _unwrapped(body: bytes, headers: Mapping[str, str], path: str) -> Delivery:
    attributes = {
        name: value
        for name, value in headers.items()
        if not name.startswith(_TRANSPORT_PREFIXES) and name not in _TRANSPORT_HEADERS
    }
    message: dict[str, Any] = {
        "data": body,
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
        raise MalformedEvent(describe(error)) from error
    return _pushed(body, headers, published, path)


def _scheduled(delivery: Delivery) -> Delivery:
    headers = delivery.headers
    job, time = headers["x-cloudscheduler-jobname"], headers.get("x-cloudscheduler-scheduletime")
    attributes = CloudEventAttributes(
        event_id=f"{job}/{time or delivery.execution_id}",
        event_source=f"//cloudscheduler.googleapis.com/{job}",
        event_type=SCHEDULER_EVENT_TYPE,
        event_time=time,
    )
    content_type = headers.get("content-type", "application/octet-stream")
    return _with_data(delivery, attributes, content_type)


def of_data(content: bytes, attributes: CloudEventAttributes) -> Delivery:
    """Return a delivery of data that came without an envelope."""
    media_type = "application/json"
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        media_type = "application/octet-stream"
    return _with_data(raw(content, {}), attributes, media_type)


def _with_data(delivery: Delivery, attributes: CloudEventAttributes, media_type: str) -> Delivery:
    """Use the body as an event's data and as a message's."""
    message = PubsubMessage(data=delivery.body, message_id=attributes.event_id)
    return replace(
        delivery,
        attributes=attributes,
        data=delivery.body,
        extensions={"datacontenttype": media_type},
        published=MessagePublishedData(message=message),
    )


def _pushed(
    body: bytes, headers: Mapping[str, str], published: MessagePublishedData, path: str
) -> Delivery:
    """Give a push the attributes that Eventarc gives a CloudEvent for the same message."""
    message = published.message
    topic = TOPIC_PATH.search(path) if "/topics/" in path else None
    name = topic.group(0) if topic else published.subscription or "projects/-"
    execution_id = _execution_id(headers)
    attributes = CloudEventAttributes(
        event_id=message.message_id or execution_id,
        event_source=f"//pubsub.googleapis.com/{name}",
        event_type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        event_time=message.publish_time.isoformat() if message.publish_time else None,
    )
    trace = tracing.from_headers(headers) or tracing.from_attributes(message.attributes)
    return Delivery(headers, body, execution_id, trace, attributes, published, pushed=True)


def _binary(delivery: Delivery) -> Delivery:
    members = {
        name[3:]: _header_value(name[3:], value)
        for name, value in delivery.headers.items()
        if name.startswith("ce-")
    }
    if "content-type" in delivery.headers:
        members["datacontenttype"] = delivery.headers["content-type"]
    return _event(delivery, members, data=None, encoded=True)


def _header_value(name: str, text: str) -> str:
    """Return a header's value, as the HTTP protocol binding 1.0 says in 3.1.3.2.

    Raises:
        MalformedEvent: it encodes bytes that are not UTF-8.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedEvent(f"{name}: percent-encoded bytes that are not UTF-8") from error


_ESCAPED = re.compile(r"\\(.)")


class _Structured(BaseModel):
    model_config = ConfigDict(extra="allow")

    data: Any = None
    data_base64: str | None = None


def _structured(delivery: Delivery) -> Delivery:
    try:
        event = _Structured.model_validate_json(delivery.body)
    except ValidationError as error:
        raise MalformedEvent(describe(error)) from error
    attributes = dict(event.model_extra or {})
    if event.data_base64 is not None:
        try:
            content = base64.b64decode(event.data_base64, validate=True)
        except ValueError as error:
            raise MalformedEvent("data_base64: not base64") from error
        return _event(delivery, attributes, content, encoded=True)
    is_text = not is_json(str(attributes.get("datacontenttype", "application/json")))
    data = event.data.encode() if isinstance(event.data, str) and is_text else event.data
    return _event(delivery, attributes, data, encoded=False)


def _event(delivery: Delivery, members: dict[str, Any], data: Any, *, encoded: bool) -> Delivery:
    for name in ("id", "source", "type", "specversion"):
        if not isinstance(members.get(name), str) or not members[name]:
            raise MalformedEvent(f"{name}: required by CloudEvents 1.0, and a string")
    if members["specversion"] != "1.0":
        raise MalformedEvent("specversion: only 1.0 is read")
    for name in ("subject", "time", "datacontenttype"):
        if members.get(name) is not None and not isinstance(members[name], str):
            raise MalformedEvent(f"{name}: expected a string")
    attributes = CloudEventAttributes(
        event_id=members.pop("id"),
        event_source=members.pop("source"),
        event_spec_version=members.pop("specversion"),
        event_type=members.pop("type"),
        event_subject=members.pop("subject", None),
        event_time=members.pop("time", None),
    )
    return replace(delivery, attributes=attributes, extensions=members, data=data, encoded=encoded)


_TRANSPORT_PREFIXES = ("x-goog-", "x-forwarded-", "x-appengine-", "x-envoy-", "sec-")
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
"""Headers of an unwrapped push that aren't attributes of its message."""
