"""Every form of a delivery decodes to the same one; malformed ones are refused, not quoted."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from cloudevents.http import CloudEvent
from cloudevents.pydantic import CloudEvent as PydanticCloudEvent
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from ucam_faas import outcomes
from ucam_faas.events import envelopes, model_errors
from ucam_faas.events.context import CloudEventAttributes
from ucam_faas.events.envelopes import (
    SCHEDULER_EVENT_TYPE,
    Delivery,
    decode,
    of_cloud_event,
    of_data,
    raw,
)
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE, PubsubMessage
from ucam_faas.events.tracing import Trace
from ucam_faas.outcomes import (
    MalformedEvent,
    NotAnEvent,
    Refused,
    UnsupportedMedia,
    WrongEventType,
)
from ucam_faas.testing import make_cloud_event, make_message, make_push

JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
TOPIC = "projects/p/topics/t"
SUBSCRIPTION = "projects/p/subscriptions/s"
EVENT = {"specversion": "1.0", "id": "1", "source": "//example.com", "type": "com.example.made"}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "//example.com",
    "ce-type": "com.example.made",
}
UNWRAPPED = {
    "x-goog-pubsub-subscription-name": SUBSCRIPTION,
    "x-goog-pubsub-message-id": "7",
    "x-goog-pubsub-publish-time": "2026-01-31T09:00:00.5Z",
    "content-type": "application/octet-stream",
    "user-agent": "CloudPubSub-Google",
}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
TRACE = Trace(TRACE_ID, "b7ad6b7169203331", True)


def push(message: Any, **rest: Any) -> bytes:
    return json.dumps({"message": message, **rest}).encode()


def structured(**attributes: Any) -> Delivery:
    return decode(json.dumps({**EVENT, **attributes}).encode(), STRUCTURED)


def message_of(delivery: Delivery) -> PubsubMessage:
    assert delivery.message is not None
    return delivery.message


def attributes_of(delivery: Delivery) -> CloudEventAttributes:
    assert delivery.attributes is not None
    return delivery.attributes


# --- wrapped pushes


def test_a_wrapped_push_is_decoded_whole() -> None:
    body = push(
        {
            "data": "aGk=",
            "attributes": {"k": "v"},
            "messageId": "7",
            "publishTime": "2026-01-31T09:00:00.5Z",
            "orderingKey": "o",
        },
        subscription=SUBSCRIPTION,
        deliveryAttempt=5,
    )

    delivery = decode(body, JSON)

    message = message_of(delivery)
    assert message.data == b"hi"
    assert message.attributes == {"k": "v"}
    assert message.message_id == "7"
    assert message.publish_time == datetime(2026, 1, 31, 9, 0, 0, 500000, tzinfo=UTC)
    assert message.ordering_key == "o"
    assert delivery.subscription == SUBSCRIPTION
    assert delivery.delivery_attempt == 5


@pytest.mark.parametrize(
    "message",
    [
        {"data": "aGk=", "messageId": "7", "publishTime": "2026-01-31T09:00:00Z"},
        {"data": "aGk=", "message_id": "7", "publish_time": "2026-01-31T09:00:00Z"},
        {
            "data": "aGk=",
            "messageId": "7",
            "message_id": "7",
            "publishTime": "2026-01-31T09:00:00Z",
            "publish_time": "2026-01-31T09:00:00Z",
        },
    ],
    ids=["camel", "snake", "both, as Pub/Sub sends"],
)
def test_both_spellings_of_names_are_read(message: dict[str, str]) -> None:
    delivery = decode(push(message), JSON)

    assert message_of(delivery).message_id == "7"
    assert message_of(delivery).publish_time == datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "message",
    [
        {"attributes": {"k": "v"}, "messageId": "7"},
        {"attributes": {"k": "v"}, "messageId": "7", "data": ""},
    ],
)
def test_a_message_with_attributes_only_has_empty_data(message: dict[str, Any]) -> None:
    delivery = decode(push(message), JSON)

    assert message_of(delivery).data == b""
    assert message_of(delivery).attributes == {"k": "v"}


def test_a_message_with_empty_data_and_no_attributes_is_a_message() -> None:
    delivery = decode(push({"messageId": "7", "data": ""}), JSON)

    assert message_of(delivery).data == b""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": "APPLICATION/JSON"},
        {"content-type": "text/plain"},
    ],
    ids=str,
)
def test_a_wrapped_push_is_known_by_its_body_not_its_media_type(headers: dict[str, str]) -> None:
    delivery = decode(push({"data": "aGk="}), headers)

    assert message_of(delivery).data == b"hi"


def test_a_wrapped_push_of_google_names_its_subscription() -> None:
    google = {"user-agent": "APIs-Google; (+https://x)", "content-type": "application/json"}
    wrapped = push({"data": "aGk="}, subscription="projects/p/subscriptions/s")

    assert message_of(decode(wrapped, google)).data == b"hi"
    assert message_of(decode(push({"data": "aGk="}), google)).data == push({"data": "aGk="})


@pytest.mark.parametrize("message", [{"text": "hi"}, {"Data": "aGk="}])
def test_a_message_without_a_field_of_pubsub_is_none(message: dict[str, str]) -> None:
    with pytest.raises(MalformedEvent):
        decode(push(message), JSON)


def test_an_event_of_another_type_holds_no_message() -> None:
    delivery = decode(push({"text": "precious"}), {**BINARY, "ce-type": "com.example.b"})

    with pytest.raises(WrongEventType):
        delivery.with_message()


def test_a_push_is_an_event_as_eventarc_makes_it() -> None:
    body = push(
        {"messageId": "7", "publishTime": "2026-01-31T09:00:00Z"}, subscription=SUBSCRIPTION
    )

    delivery = decode(body, JSON)

    assert attributes_of(delivery) == CloudEventAttributes(
        event_id="7",
        event_source=f"//pubsub.googleapis.com/{SUBSCRIPTION}",
        event_type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        event_time="2026-01-31T09:00:00+00:00",
    )


def test_a_push_as_a_cloud_event_has_the_push_as_its_data() -> None:
    body = push({"data": "aGk=", "messageId": "7"}, subscription=SUBSCRIPTION)

    event = decode(body, JSON).cloud_event()

    assert event["type"] == PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
    assert event.data["message"]["data"] == "aGk="
    assert event.data["subscription"] == SUBSCRIPTION


def test_a_message_without_an_id_gets_an_event_id() -> None:
    delivery = decode(push({"data": "aGk="}), JSON)

    assert attributes_of(delivery).event_id == delivery.execution_id != ""


@pytest.mark.parametrize("path", [f"/{TOPIC}", f"/my_task/{TOPIC}"])
def test_the_path_names_the_topic(path: str) -> None:
    delivery = decode(push({"messageId": "7"}, subscription=SUBSCRIPTION), JSON, path)

    assert attributes_of(delivery).event_source == f"//pubsub.googleapis.com/{TOPIC}"
    assert delivery.subscription == SUBSCRIPTION


@pytest.mark.parametrize("path", ["", "/", "/my_task", "/topics/t", "/projects/p"])
def test_another_path_names_no_topic(path: str) -> None:
    delivery = decode(push({"messageId": "7"}, subscription=SUBSCRIPTION), JSON, path)

    assert attributes_of(delivery).event_source == f"//pubsub.googleapis.com/{SUBSCRIPTION}"


def test_the_path_names_the_topic_of_an_unwrapped_push() -> None:
    delivery = decode(b"hi", UNWRAPPED, f"/task/{TOPIC}")

    assert attributes_of(delivery).event_source == f"//pubsub.googleapis.com/{TOPIC}"


# --- unwrapped pushes


def test_an_unwrapped_push_is_decoded_whole() -> None:
    headers = {**UNWRAPPED, "x-goog-pubsub-ordering-key": "o", "colour": "blue"}

    delivery = decode(b"\x00hi", headers)

    message = message_of(delivery)
    assert message.data == b"\x00hi"
    assert message.attributes == {"colour": "blue"}
    assert (message.message_id, message.ordering_key) == ("7", "o")
    assert message.publish_time == datetime(2026, 1, 31, 9, 0, 0, 500000, tzinfo=UTC)
    assert delivery.subscription == SUBSCRIPTION
    assert delivery.delivery_attempt is None


def test_the_delivery_attempt_of_an_unwrapped_push_is_read() -> None:
    delivery = decode(b"hi", {**UNWRAPPED, "x-goog-pubsub-delivery-attempt": "5"})

    assert delivery.delivery_attempt == 5


def test_headers_of_the_way_are_no_attributes() -> None:
    transport = {
        "host": "x",
        "content-length": "2",
        "accept": "*/*",
        "accept-encoding": "gzip",
        "authorization": "Bearer x",
        "from": "noreply@google.com",
        "forwarded": "for=1",
        "x-forwarded-for": "1",
        "x-forwarded-proto": "https",
        "traceparent": TRACEPARENT,
        "x-cloud-trace-context": f"{TRACE_ID}/1",
        "via": "1.1 google",
    }

    delivery = decode(b"hi", {**UNWRAPPED, **transport})

    assert message_of(delivery).attributes == {}
    assert delivery.trace == TRACE


@pytest.mark.parametrize("body", [b'{"message": {"data": "aGk="}}', b'{"specversion": "1.0"}', b""])
def test_the_body_of_an_unwrapped_push_is_the_data_whatever_it_looks_like(body: bytes) -> None:
    delivery = decode(body, {**UNWRAPPED, **JSON})

    assert message_of(delivery).data == body


@pytest.mark.parametrize(
    "agent", ["APIs-Google; (+https://developers.google.com)", "CloudPubSub-Google"]
)
@pytest.mark.parametrize("body", [b'{"user": 1}', b"[1]", b"\x00\xff", b"", b"text"])
def test_an_unwrapped_push_without_metadata_is_known_by_googles_user_agent(
    agent: str, body: bytes
) -> None:
    delivery = decode(body, {"user-agent": agent, "colour": "blue", **JSON})

    assert message_of(delivery).data == body
    assert message_of(delivery).attributes == {}


@pytest.mark.parametrize("body", [b'{"message": "hello"}', b'{"specversion": "draft"}'])
def test_an_unwrapped_payload_of_google_may_hold_the_words_of_an_envelope(body: bytes) -> None:
    # Google sends no malformed pushes: what is none is the payload of an unwrapped one.
    delivery = decode(body, {"user-agent": "APIs-Google; (+https://x)", **JSON})

    assert message_of(delivery).data == body


def test_an_unwrapped_message_with_attributes_of_a_cloud_event_is_still_a_message() -> None:
    # Publishers of CloudEvents through Pub/Sub put the event's attributes into the message's.
    attributes = {**BINARY, "ce-id": "abc"}

    delivery = decode(b"hi", {**UNWRAPPED, **attributes})

    assert message_of(delivery).data == b"hi"
    assert message_of(delivery).message_id == "7"


@pytest.mark.parametrize(
    "wrong",
    [
        {"x-goog-pubsub-publish-time": "secret"},
        {"x-goog-pubsub-delivery-attempt": "secret"},
    ],
)
def test_wrong_metadata_of_an_unwrapped_push_is_malformed(wrong: dict[str, str]) -> None:
    with pytest.raises(MalformedEvent) as caught:
        decode(b"hi", {**UNWRAPPED, **wrong})

    assert "secret" not in caught.value.reason


# --- CloudEvents


def test_a_binary_event_is_decoded_whole() -> None:
    headers = {
        **BINARY,
        **JSON,
        "ce-subject": "users/%C3%A9",
        "ce-time": "2026-01-31T09:00:00Z",
        "ce-colour": "blue",
    }

    delivery = decode(b'{"a": 1}', headers)

    assert attributes_of(delivery) == CloudEventAttributes(
        event_id="1",
        event_source="//example.com",
        event_type="com.example.made",
        event_subject="users/é",
        event_time="2026-01-31T09:00:00Z",
    )
    assert delivery.extensions == {"colour": "blue", "datacontenttype": "application/json"}
    assert delivery.event_data() == {"a": 1}
    assert delivery.message is None


def test_a_structured_event_is_decoded_whole() -> None:
    delivery = structured(
        subject="users/é",
        time="2026-01-31T09:00:00Z",
        datacontenttype="application/json",
        colour="blue",
        data={"a": 1},
    )

    assert attributes_of(delivery) == CloudEventAttributes(
        event_id="1",
        event_source="//example.com",
        event_type="com.example.made",
        event_subject="users/é",
        event_time="2026-01-31T09:00:00Z",
    )
    assert delivery.extensions == {"colour": "blue", "datacontenttype": "application/json"}
    assert delivery.event_data() == {"a": 1}


@pytest.mark.parametrize("headers", [STRUCTURED, JSON, {}])
def test_a_structured_event_is_known_by_its_media_type_or_its_body(headers: dict[str, str]) -> None:
    delivery = decode(json.dumps({**EVENT, "data": 1}).encode(), headers)

    assert attributes_of(delivery).event_id == "1"
    assert delivery.event_data() == 1


def test_a_media_type_may_have_parameters() -> None:
    headers = {"content-type": "Application/CloudEvents+JSON; charset=utf-8"}

    delivery = decode(json.dumps(EVENT).encode(), headers)

    assert attributes_of(delivery).event_id == "1"


@pytest.mark.parametrize("data", [{"a": [1, None]}, [1], "text", "", 0, 1.5, False, True], ids=repr)
def test_any_json_is_the_data_of_a_structured_event(data: Any) -> None:
    delivery = structured(data=data)

    assert delivery.event_data() == data
    assert type(delivery.event_data()) is type(data)


def test_a_structured_event_without_data_has_none() -> None:
    assert structured().event_data() is None
    assert structured(data=None).event_data() is None


def test_a_structured_text_is_bytes_unless_it_is_json() -> None:
    delivery = structured(data="héllo", datacontenttype="text/plain")

    assert delivery.event_data() == "héllo".encode()


def test_data_base64_is_decoded() -> None:
    data = base64.b64encode(b"\x00\xff\xfe").decode()

    delivery = structured(data_base64=data, datacontenttype="application/octet-stream")

    assert delivery.event_data() == b"\x00\xff\xfe"


def test_data_base64_of_json_is_parsed() -> None:
    data = base64.b64encode(b'{"a": 1}').decode()

    delivery = structured(data_base64=data, datacontenttype="application/json")

    assert delivery.event_data() == {"a": 1}


@pytest.mark.parametrize("text", ["%%%secret", "aGk=!!", "-_-_secr!", "a", 5, ["aGk="]], ids=repr)
def test_data_base64_that_is_none_is_malformed(text: Any) -> None:
    with pytest.raises(MalformedEvent) as caught:
        structured(data_base64=text, datacontenttype="application/octet-stream")

    assert "data_base64" in caught.value.reason
    assert "secr" not in caught.value.reason


def test_a_binary_event_of_another_media_type_has_bytes() -> None:
    delivery = decode(b"<a/>", {**BINARY, "content-type": "application/xml"})

    assert delivery.event_data() == b"<a/>"


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/vnd.x+json", "text/json; charset=utf-8"]
)
def test_json_media_types_are_parsed(media_type: str) -> None:
    delivery = decode(b"[1]", {**BINARY, "content-type": media_type})

    assert delivery.event_data() == [1]


def test_data_that_says_json_and_is_none_is_malformed() -> None:
    delivery = decode(b"secret", {**BINARY, **JSON})

    with pytest.raises(MalformedEvent) as caught:
        delivery.event_data()

    assert "secret" not in caught.value.reason


def test_an_event_of_a_message_holds_the_message() -> None:
    data = {"message": {"data": "aGk=", "messageId": "7"}, "subscription": SUBSCRIPTION}
    delivery = structured(type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE, data=data)

    published = delivery.with_message().published

    assert published is not None
    assert published.message.data == b"hi"
    assert published.message.attributes == {}
    assert published.subscription == SUBSCRIPTION


def test_a_binary_event_of_a_message_holds_the_message() -> None:
    headers = {**BINARY, **JSON, "ce-type": PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE}
    delivery = decode(push({"data": "aGk=", "messageId": "7"}, deliveryAttempt=2), headers)

    published = delivery.with_message().published

    assert published is not None
    assert published.message.data == b"hi"
    assert published.delivery_attempt == 2


@pytest.mark.parametrize("data", [None, {}, {"message": "secret"}, "secret", 5], ids=repr)
def test_an_event_without_a_message_has_none_to_publish(data: Any) -> None:
    delivery = structured(data=data)

    with pytest.raises(Refused) as caught:
        delivery.with_message()

    assert "secret" not in str(caught.value)


def test_an_event_object_is_restored_unchanged() -> None:
    event = make_cloud_event(
        {"a": 1}, id="7", subject="s", time="2026-01-31T09:00:00+00:00", colour="blue"
    )

    cloud_event = of_cloud_event(event).cloud_event()

    assert cloud_event == event


@pytest.mark.parametrize("data", [b"\x00\xff", b'{"a": 1}', "text", {"a": 1}, [1], 0], ids=repr)
def test_the_data_of_an_event_object_is_unchanged(data: Any) -> None:
    event = make_cloud_event(data)

    cloud_event = of_cloud_event(event).cloud_event()

    assert cloud_event.data == data


def test_an_event_object_of_the_pydantic_kind_is_read() -> None:
    event = PydanticCloudEvent.create(
        {"type": "t", "source": "s", "id": "7", "time": "2026-01-31T09:00:00+00:00"}, {"a": 1}
    )

    delivery = of_cloud_event(event)

    assert attributes_of(delivery).event_id == "7"
    assert attributes_of(delivery).event_spec_version == "1.0"
    assert str(attributes_of(delivery).event_time).startswith("2026-01-31T09:00:00")
    assert delivery.event_data() == {"a": 1}


def test_an_object_that_is_not_an_event_is_no_cloud_event() -> None:
    with pytest.raises(NotAnEvent):
        raw(b"", {}).cloud_event()


# --- Cloud Scheduler


def test_a_request_of_cloud_scheduler_is_an_event_and_a_message() -> None:
    headers = {
        "x-cloudscheduler": "true",
        "x-cloudscheduler-jobname": "nightly",
        "x-cloudscheduler-scheduletime": "2026-01-31T09:00:00Z",
        "content-type": "application/octet-stream",
        "user-agent": "Google-Cloud-Scheduler",
    }

    delivery = decode(b"hello", headers)

    assert attributes_of(delivery) == CloudEventAttributes(
        event_id="nightly/2026-01-31T09:00:00Z",
        event_source="//cloudscheduler.googleapis.com/nightly",
        event_type=SCHEDULER_EVENT_TYPE,
        event_time="2026-01-31T09:00:00Z",
    )
    assert message_of(delivery).data == b"hello"
    assert delivery.cloud_event().data == b"hello"


def test_json_of_cloud_scheduler_is_parsed_as_an_events_data() -> None:
    delivery = decode(b'{"a": 1}', {"x-cloudscheduler-jobname": "nightly", **JSON})

    assert delivery.event_data() == {"a": 1}
    assert message_of(delivery).data == b'{"a": 1}'


def test_runs_of_a_scheduler_job_without_a_time_have_ids_of_their_own() -> None:
    headers = {"x-cloudscheduler-jobname": "nightly"}

    ids = {attributes_of(decode(b"", headers)).event_id for _ in range(3)}

    assert len(ids) == 3


# --- data without an delivery


@pytest.mark.parametrize(("content", "data"), [(b'{"a": 1}', {"a": 1}), (b"\x00", b"\x00")])
def test_data_without_an_envelope_gets_one(content: bytes, data: Any) -> None:
    attributes = CloudEventAttributes(event_id="1", event_source="s", event_type="t")

    delivery = of_data(content, attributes)

    assert delivery.attributes == attributes
    assert delivery.event_data() == data
    assert message_of(delivery).data == content


# --- execution ids and traces


def test_each_delivery_has_an_execution_id_of_its_own() -> None:
    ids = {raw(b"", {}).execution_id for _ in range(20)}

    assert len(ids) == 20


def test_the_execution_id_of_the_front_end_is_kept() -> None:
    delivery = decode(push({}), {**JSON, "function-execution-id": "abc"})

    assert delivery.execution_id == "abc"


def test_an_execution_id_has_a_limit() -> None:
    delivery = raw(b"", {"function-execution-id": "a" * 1000})

    assert len(delivery.execution_id) <= 64


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (push({}), JSON),
        (b"hi", UNWRAPPED),
        (b"1", {**BINARY, **JSON}),
        (json.dumps(EVENT).encode(), STRUCTURED),
        (b"", {"x-cloudscheduler-jobname": "nightly"}),
    ],
    ids=["wrapped", "unwrapped", "binary", "structured", "scheduler"],
)
@pytest.mark.parametrize(
    "trace_header",
    [
        {"traceparent": TRACEPARENT},
        {"x-cloud-trace-context": f"{TRACE_ID}/{int('b7ad6b7169203331', 16)};o=1"},
    ],
    ids=["traceparent", "cloud"],
)
def test_trace_headers_are_read_in_every_form(
    body: bytes, headers: dict[str, str], trace_header: dict[str, str]
) -> None:
    delivery = decode(body, {**headers, **trace_header})

    assert delivery.trace == TRACE


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (push({"attributes": {"googclient_traceparent": TRACEPARENT}}), JSON),
        (b"hi", {**UNWRAPPED, "googclient_traceparent": TRACEPARENT}),
    ],
    ids=["wrapped", "unwrapped"],
)
def test_the_trace_of_the_publisher_is_read(body: bytes, headers: dict[str, str]) -> None:
    delivery = decode(body, headers)

    assert delivery.trace == TRACE


def test_the_trace_of_the_request_comes_before_that_of_the_publisher() -> None:
    other = f"00-{'1' * 32}-{'2' * 16}-00"
    body = push({"attributes": {"googclient_traceparent": other}})

    delivery = decode(body, {**JSON, "traceparent": TRACEPARENT})

    assert delivery.trace == TRACE


# --- what is refused


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", JSON),
        (b"[]", JSON),
        (b"null", JSON),
        (b"secret", JSON),
        (b"", JSON),
        (b"", {}),
        (b"\xff\xfe", {}),
        (b'{"secret": 1}', {"content-type": "application/vnd.x+json"}),
        (b"[" * 100_000, JSON),
        (b'{"a": ' + b"9" * 5000 + b"}", JSON),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_is_neither_an_event_nor_a_push_is_refused(
    body: bytes, headers: dict[str, str]
) -> None:
    with pytest.raises(NotAnEvent) as caught:
        decode(body, headers)

    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"secret", {"content-type": "text/plain"}),
        (b"a=secret", {"content-type": "application/x-www-form-urlencoded"}),
        (b"", {"content-type": "application/octet-stream"}),
        (b"[]", {"content-type": "application/cloudevents-batch+json"}),
        (b"secret", {"content-type": "application/cloudevents+avro"}),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_media_type_that_carries_no_events_is_unsupported(
    body: bytes, headers: dict[str, str]
) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        decode(body, headers)

    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("body", "headers", "path"),
    [
        (push("secret"), JSON, "message"),
        (push(None), JSON, "message"),
        (push(["secret"]), JSON, "message"),
        (push({"data": "secret!"}), JSON, "message.data"),
        (push({"data": {"secret": 1}}), JSON, "message.data"),
        (push({"attributes": ["secret"]}), JSON, "message.attributes"),
        (push({"attributes": {"k": {"secret": 1}}}), JSON, "message.attributes"),
        (push({"messageId": {"secret": 1}}), JSON, "message.messageId"),
        (push({"publishTime": "secret"}), JSON, "message.publishTime"),
        (push({}, subscription=["secret"]), JSON, "subscription"),
        (push({}, deliveryAttempt="secret"), JSON, "deliveryAttempt"),
        (b'{"specversion": "secret"', STRUCTURED, "(whole)"),
        (b'["secret"]', STRUCTURED, "(whole)"),
        (json.dumps({**EVENT, "id": {"secret": 1}}).encode(), STRUCTURED, "id"),
        (json.dumps({**EVENT, "id": ""}).encode(), STRUCTURED, "id"),
        (json.dumps({**EVENT, "source": None}).encode(), STRUCTURED, "source"),
        (json.dumps({**EVENT, "type": 5}).encode(), STRUCTURED, "type"),
        (json.dumps({**EVENT, "specversion": "secret"}).encode(), STRUCTURED, "specversion"),
        (json.dumps({**EVENT, "subject": ["secret"]}).encode(), STRUCTURED, "subject"),
        (json.dumps({**EVENT, "time": ["secret"]}).encode(), STRUCTURED, "time"),
        (json.dumps({**EVENT, "datacontenttype": ["secret"]}).encode(), STRUCTURED, "datacontent"),
        (b"secret", {"ce-type": "secret"}, "id"),
        (b"secret", {**BINARY, "ce-specversion": "0.3"}, "specversion"),
        (b"secret", {"ce-specversion": "1.0", "ce-id": "secret", "ce-source": "s"}, "type"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_wrong_part_is_malformed_and_named_without_its_value(
    body: bytes, headers: dict[str, str], path: str
) -> None:
    with pytest.raises(MalformedEvent) as caught:
        decode(body, headers)

    assert type(caught.value) is MalformedEvent, "its form is known: it is malformed"
    assert path in caught.value.reason
    assert "secret" not in caught.value.reason
    assert "secret" not in str(caught.value)


def test_an_attribute_that_is_no_string_is_named_without_its_key() -> None:
    # The sender makes up the keys of attributes: they are as personal as their values.
    body = push({"attributes": {"someone@example.com": 5}})

    with pytest.raises(MalformedEvent) as caught:
        decode(body, JSON)

    assert "someone@example.com" not in caught.value.reason


def test_a_description_names_paths_and_kinds() -> None:
    class Address(BaseModel):
        street: str

    class User(BaseModel):
        age: int
        addresses: list[Address]

    with pytest.raises(ValidationError) as caught:
        User.model_validate({"age": "secret", "addresses": [{"street": 5}]})

    assert model_errors.describe(caught.value) == (
        "age: int_parsing; addresses.0.street: string_type"
    )


@pytest.mark.parametrize("key", ["someone@example.com", "07700 900123", "07700900123", "Ada L."])
def test_a_description_does_not_hold_the_keys_of_a_payloads_dictionary(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({key: "x"})

    assert key not in model_errors.describe(caught.value)


def test_a_description_is_short_however_many_errors_there_are() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python(["x"] * 1000)

    assert model_errors.describe(caught.value).endswith(" and 995 more")


def test_another_error_is_described_by_its_type_only() -> None:
    assert model_errors.describe_error(ValueError("secret")) == "ValueError"


@pytest.mark.parametrize(
    ("outcome", "status"), [(MalformedEvent(), 400), (NotAnEvent(), 400), (UnsupportedMedia(), 415)]
)
def test_a_refused_delivery_is_a_client_error(outcome: outcomes.Outcome, status: int) -> None:
    assert outcomes.answer(outcome).http_status == status


# --- round trips

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MESSAGES = st.builds(
    PubsubMessage,
    data=st.binary(max_size=60),
    attributes=st.dictionaries(TEXT, TEXT, max_size=4),
    message_id=TEXT,
    publish_time=st.none() | st.datetimes(timezones=st.just(UTC)),
    ordering_key=TEXT,
)
HEADER_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
ATTRIBUTE_NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,15}", fullmatch=True).filter(
    lambda name: (
        not name.startswith((*envelopes._TRANSPORT_PREFIXES, "ce-"))
        and name not in envelopes._TRANSPORT_HEADERS
    )
)
UNWRAPPABLE = st.builds(
    PubsubMessage,
    data=st.binary(max_size=60),
    attributes=st.dictionaries(ATTRIBUTE_NAMES, HEADER_TEXT, max_size=4),
    message_id=HEADER_TEXT.filter(bool),
    publish_time=st.none() | st.datetimes(timezones=st.just(UTC)),
    ordering_key=HEADER_TEXT,
)
ATTEMPTS = st.none() | st.integers(1, 100)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@settings(max_examples=60, deadline=None)
@given(message=MESSAGES, attempt=ATTEMPTS)
def test_any_message_arrives_intact_in_a_wrapped_push(
    message: PubsubMessage, attempt: int | None
) -> None:
    made = make_push(message, subscription=SUBSCRIPTION, delivery_attempt=attempt)

    delivery = decode(made.body, lower(made.headers))

    assert delivery.message == message
    assert (delivery.subscription, delivery.delivery_attempt) == (SUBSCRIPTION, attempt)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(message=UNWRAPPABLE)
def test_any_message_arrives_intact_in_an_unwrapped_push(message: PubsubMessage) -> None:
    made = make_push(message, subscription=SUBSCRIPTION, wrapped=False)

    delivery = decode(made.body, lower(made.headers))

    assert delivery.message == message
    assert delivery.subscription == SUBSCRIPTION


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
EXTENSIONS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True).filter(
        lambda name: name not in {"data", "datacontenttype", "time", "subject", *EVENT}
    ),
    TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1),
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    required=st.fixed_dictionaries({name: TEXT.filter(bool) for name in ("id", "source", "type")}),
    subject=st.none() | TEXT,
    extensions=EXTENSIONS,
    data=VALUES,
)
def test_any_structured_event_arrives_intact(
    required: dict[str, str], subject: str | None, extensions: dict[str, Any], data: Any
) -> None:
    sent = {"specversion": "1.0", "time": "2026-01-31T09:00:00Z", **required, **extensions}
    if subject is not None:
        sent["subject"] = subject

    delivery = decode(json.dumps({**sent, "data": data}).encode(), STRUCTURED)

    assert delivery.cloud_event() == CloudEvent(sent, data)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=1, max_size=60))
def test_any_bytes_of_a_structured_event_arrive_intact(data: bytes) -> None:
    text = base64.b64encode(data).decode()

    delivery = structured(data_base64=text, datacontenttype="application/octet-stream")

    assert delivery.cloud_event().data == data


@settings(max_examples=60, deadline=None)
@given(
    required=st.fixed_dictionaries({name: TEXT.filter(bool) for name in ("id", "source", "type")}),
    body=st.binary(min_size=1, max_size=60),
)
def test_any_binary_event_arrives_intact(required: dict[str, str], body: bytes) -> None:
    headers = {f"ce-{name}": quote(value) for name, value in required.items()}
    headers |= {"ce-specversion": "1.0", "content-type": "application/octet-stream"}

    event = decode(body, headers).cloud_event()

    assert {name: event[name] for name in required} == required
    assert event.data == body


# --- the same message, whichever way it came


def test_wrapped_and_unwrapped_pushes_are_the_same_event_to_a_task() -> None:
    message = make_message(b"hello", attributes={"kind": "order"}, ordering_key="a")
    options: dict[str, Any] = {"subscription": "projects/p/subscriptions/s", "delivery_attempt": 2}
    wrapped, unwrapped = (
        make_push(message, wrapped=wrapped, **options) for wrapped in (True, False)
    )

    first = decode(wrapped.body, {"content-type": "application/json"}).cloud_event()
    second = decode(unwrapped.body, unwrapped.headers).cloud_event()

    assert first.get_data() == second.get_data()
    assert first.get_data()["message"]["data"] == "aGVsbG8="
    assert first.get_data()["message"]["messageId"] == message.message_id
    assert first.get_data()["message"]["message_id"] == message.message_id
    assert first.get_data()["message"]["attributes"] == {"kind": "order"}
    assert first.get_data()["message"]["orderingKey"] == "a"
    assert first.get_data()["subscription"] == "projects/p/subscriptions/s"
    assert first.get_data()["deliveryAttempt"] == 2
    assert first.get_attributes() == second.get_attributes()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC", "Euro €"),
        ('"quoted"', "quoted"),
        ('"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'),
        ('"percent%20too"', "percent too"),
        ("100%", "100%"),
        ("%2541", "%41"),
        ('"', '"'),
    ],
)
def test_a_header_of_a_cloud_event_is_unquoted_and_then_decoded_once(
    header: str, value: str
) -> None:
    """The HTTP protocol binding 1.0, 3.1.3.2."""
    headers = {"ce-specversion": "1.0", "ce-id": header, "ce-source": "//s", "ce-type": "t"}

    delivery = decode(b"", headers)

    assert delivery.attributes is not None
    assert delivery.attributes.event_id == value


@pytest.mark.parametrize("header", ["%C0%A0", "%ff", '"%e2%82"'])
def test_a_header_with_encoded_bytes_that_are_not_utf_8_is_refused(header: str) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": header, "ce-source": "//s", "ce-type": "t"}

    with pytest.raises(MalformedEvent) as caught:
        decode(b"", headers)

    assert caught.value.reason == "id: percent-encoded bytes that are not UTF-8"
