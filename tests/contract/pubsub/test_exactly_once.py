"""Exactly-once delivery: acknowledgements that are confirmed or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, refused
from .streams import Stream

exactly_once = Group("Exactly-once delivery")

INVALID = "PERMANENT_FAILURE_INVALID_ACK_ID"


def received_twice(pubsub: PubSub) -> tuple[str, Any, Any]:
    """Return a subscription, a message whose ack id is outdated, and the same with the valid id."""
    topic, subscription = pubsub.subscribed_topic(enable_exactly_once_delivery=True)
    pubsub.publish(topic, b"x")
    (first,) = pubsub.pull(subscription)
    pubsub.modify(subscription, 0, first)
    (second,) = pubsub.pull(subscription)
    return subscription, first, second


def failures(call: Callable[[], object]) -> dict[str, str]:
    """Return the reason that a refused call has for each ack id."""
    with refused() as refusal:
        call()
    infos = [detail for detail in refusal.details if isinstance(detail, ErrorInfo)]
    assert len(infos) == 1, refusal
    return dict(infos[0].metadata)


@exactly_once("The newest ack id acknowledges a message.", docs="Exactly-once delivery")
def test_newest_ack_id(pubsub: PubSub) -> None:
    subscription, _, second = received_twice(pubsub)

    pubsub.acknowledge(subscription, second)

    assert pubsub.pull_now(subscription) == []


@exactly_once(
    "Acknowledging with an outdated ack id is INVALID_ARGUMENT.", docs="Exactly-once delivery"
)
def test_outdated_ack_id(pubsub: PubSub) -> None:
    subscription, first, _ = received_twice(pubsub)

    with refused():
        pubsub.acknowledge(subscription, first)


@exactly_once(
    "The error's ErrorInfo says PERMANENT_FAILURE_INVALID_ACK_ID of the ack id.",
    docs="Exactly-once delivery",
)
def test_error_info(pubsub: PubSub) -> None:
    subscription, first, _ = received_twice(pubsub)

    failed = failures(lambda: pubsub.acknowledge(subscription, first))

    assert failed == {first.ack_id: INVALID}


@exactly_once(
    "Modifying the deadline with an outdated ack id fails likewise.", docs="Exactly-once delivery"
)
def test_outdated_ack_id_to_modify(pubsub: PubSub) -> None:
    subscription, first, _ = received_twice(pubsub)

    failed = failures(lambda: pubsub.modify(subscription, 30, first))

    assert failed == {first.ack_id: INVALID}


@exactly_once("An outdated acknowledgement changes nothing.", docs="Exactly-once delivery")
def test_outdated_ack_changes_nothing(pubsub: PubSub) -> None:
    subscription, first, second = received_twice(pubsub)

    failures(lambda: pubsub.acknowledge(subscription, first))

    pubsub.modify(subscription, 0, second)
    assert data_of(pubsub.pull(subscription)) == [b"x"]


@exactly_once("An ack id whose deadline has passed is outdated.", docs="Exactly-once delivery")
def test_expired_ack_id(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(enable_exactly_once_delivery=True)
    pubsub.publish(topic, b"x")
    (first,) = pubsub.pull(subscription)
    pubsub.modify(subscription, 1, first)
    pubsub.pull(subscription)

    failed = failures(lambda: pubsub.acknowledge(subscription, first))

    assert failed == {first.ack_id: INVALID}


@exactly_once(
    "In a mixed request the valid ack ids count, the others are told.", docs="Exactly-once delivery"
)
def test_mixed_request(pubsub: PubSub) -> None:
    subscription, first, second = received_twice(pubsub)

    failed = failures(lambda: pubsub.acknowledge(subscription, first, second))

    assert failed == {first.ack_id: INVALID}
    assert failures(lambda: pubsub.modify(subscription, 0, second)) == {second.ack_id: INVALID}


@exactly_once("An acknowledged message does not come again.", docs="Exactly-once delivery")
def test_acknowledged(pubsub: PubSub) -> None:
    subscription, _, second = received_twice(pubsub)
    pubsub.acknowledge(subscription, second)

    assert failures(lambda: pubsub.modify(subscription, 0, second)) == {second.ack_id: INVALID}

    assert pubsub.pull_now(subscription) == []


@exactly_once(
    "A stream confirms acknowledgements.",
    docs="API: StreamingPullResponse",
    google="sends an empty confirmation",
)
def test_confirmed_acknowledgement(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(enable_exactly_once_delivery=True)
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        (received,) = stream.wait_for(1)
        stream.acknowledge(received)
        response = stream.wait_for_part("acknowledge_confirmation")

    assert list(response.ack_ids) == [received.ack_id]
    assert list(response.invalid_ack_ids) == []


@exactly_once(
    "A stream confirms modified deadlines.",
    docs="API: StreamingPullResponse",
    google="sends an empty confirmation",
)
def test_confirmed_modification(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(enable_exactly_once_delivery=True)
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        (received,) = stream.wait_for(1)
        stream.modify(30, received)
        response = stream.wait_for_part("modify_ack_deadline_confirmation")

    assert list(response.ack_ids) == [received.ack_id]
    assert list(response.invalid_ack_ids) == []


@exactly_once(
    "A stream tells outdated ack ids, and goes on.",
    docs="API: StreamingPullResponse",
    google="tells nothing",
)
def test_refused_on_a_stream(pubsub: PubSub) -> None:
    subscription, first, second = received_twice(pubsub)

    with Stream(pubsub, subscription) as stream:
        stream.acknowledge(first)
        response = stream.wait_for_part("acknowledge_confirmation")
        assert list(response.invalid_ack_ids) == [first.ack_id]

        stream.modify(0, second)
        assert data_of(stream.wait_for(1)) == [b"x"]


@exactly_once("Without exactly-once a stream confirms nothing.", docs="API: StreamingPullResponse")
def test_no_confirmation(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        (received,) = stream.wait_for(1)
        stream.acknowledge(received)
        pubsub.publish(topic, b"y")
        stream.wait_for(2)

        assert not any(response.acknowledge_confirmation for response in stream.responses)


exactly_once.only_in_the_cloud(
    "Exactly-once delivery holds for subscribers that connect in one region.",
    docs="Exactly-once delivery",
)
exactly_once.only_in_the_cloud(
    "A passing failure is told as TRANSIENT_FAILURE_…, to be tried again.",
    docs="Exactly-once delivery",
)
