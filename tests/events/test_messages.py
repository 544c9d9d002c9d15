"""The message model, and Pub/Sub's names."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from ucam_faas.events.messages import (
    PUBSUB_MESSAGE_TYPE,
    PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    SUBSCRIPTION_PATH,
    TOPIC_PATH,
    MessagePublishedData,
    PubsubMessage,
)
from ucam_faas.gcp.limits import MAX_ATTRIBUTES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_the_types_are_those_of_google() -> None:
    assert PUBSUB_MESSAGE_TYPE == "type.googleapis.com/google.pubsub.v1.PubsubMessage"
    assert PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE == "google.cloud.pubsub.topic.v1.messagePublished"
    assert MAX_ATTRIBUTES == 100


@pytest.mark.parametrize(
    ("id_name", "time_name", "key_name"),
    [
        ("messageId", "publishTime", "orderingKey"),
        ("message_id", "publish_time", "ordering_key"),
    ],
)
def test_both_spellings_are_read(id_name: str, time_name: str, key_name: str) -> None:
    sent = {id_name: "7", time_name: "2026-01-31T09:00:00.5Z", key_name: "k", "data": "aGk="}

    message = PubsubMessage.model_validate_json(json.dumps(sent))

    assert message.data == b"hi"
    assert (message.message_id, message.ordering_key) == ("7", "k")
    assert message.publish_time == datetime(2026, 1, 31, 9, 0, 0, 500000, tzinfo=UTC)


def test_a_message_with_both_spellings_is_read() -> None:
    sent = {"messageId": "7", "message_id": "7", "data": "aGk="}

    message = PubsubMessage.model_validate_json(json.dumps(sent))

    assert message.message_id == "7"


def test_publish_times_have_nanoseconds() -> None:
    sent = {"publishTime": "2026-01-31T09:00:00.123456789Z"}

    message = PubsubMessage.model_validate_json(json.dumps(sent))

    assert message.publish_time == datetime(2026, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)


def test_everything_is_optional() -> None:
    message = PubsubMessage.model_validate_json("{}")

    assert message == PubsubMessage()
    assert (message.data, message.attributes, message.publish_time) == (b"", {}, None)


def test_a_message_is_made_with_python_names() -> None:
    message = PubsubMessage(data=b"\x00", message_id="1", ordering_key="k")

    assert (message.data, message.message_id, message.ordering_key) == (b"\x00", "1", "k")


def test_a_message_cannot_be_changed() -> None:
    message = PubsubMessage(data=b"1")

    with pytest.raises(ValidationError, match="frozen"):
        message.data = b"2"


def test_unknown_fields_are_tolerated() -> None:
    published = MessagePublishedData.model_validate_json(
        '{"message": {"data": "", "new": 1}, "alsoNew": 2}'
    )

    assert published.message.data == b""


@pytest.mark.parametrize("name", ["deliveryAttempt", "delivery_attempt"])
def test_both_spellings_of_the_delivery_attempt_are_read(name: str) -> None:
    sent = {"message": {}, "subscription": "projects/p/subscriptions/s", name: 5}

    published = MessagePublishedData.model_validate_json(json.dumps(sent))

    assert published.delivery_attempt == 5
    assert published.subscription == "projects/p/subscriptions/s"


def test_a_push_needs_a_message() -> None:
    with pytest.raises(ValidationError, match="message"):
        MessagePublishedData.model_validate_json('{"subscription": "s"}')


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=40))
def test_data_is_the_standard_base64_in_json(data: bytes) -> None:
    message = PubsubMessage(data=data)

    text = message.model_dump(mode="json")["data"]

    assert text == base64.b64encode(data).decode()


@settings(max_examples=50, deadline=None)
@given(
    message=st.builds(
        PubsubMessage,
        data=st.binary(max_size=40),
        attributes=st.dictionaries(TEXT, TEXT, max_size=3),
        message_id=TEXT,
        publish_time=st.none() | st.datetimes(timezones=st.just(UTC)),
        ordering_key=TEXT,
    )
)
def test_json_brings_any_message_back(message: PubsubMessage) -> None:
    assert PubsubMessage.model_validate_json(message.model_dump_json()) == message


def test_paths_name_their_parts() -> None:
    topic = TOPIC_PATH.fullmatch("projects/p-1/topics/t.2")
    subscription = SUBSCRIPTION_PATH.fullmatch("projects/p-1/subscriptions/s.2")

    assert topic is not None
    assert topic.groupdict() == {"project": "p-1", "topic": "t.2"}
    assert subscription is not None
    assert subscription.groupdict() == {"project": "p-1", "subscription": "s.2"}


@pytest.mark.parametrize("text", ["", "t", "projects/p/topics/", "projects//topics/t", "topics/t"])
def test_a_malformed_topic_path_does_not_match(text: str) -> None:
    assert TOPIC_PATH.fullmatch(text) is None
