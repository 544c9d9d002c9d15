"""Acknowledge and ModifyAckDeadline."""

from __future__ import annotations

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, refused

acks = Group("Acknowledgements")

MALFORMED = ["no such id", "", "é", "AAAA", "x" * 200]


@acks("An acknowledged message does not come again.", docs="API: Subscriber")
def test_acknowledge(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2")
    received = sorted(pubsub.pull(subscription, 2), key=lambda delivery: delivery.message.data)

    pubsub.acknowledge(subscription, received[0])

    pubsub.modify(subscription, 0, *received)
    assert data_of(pubsub.pull(subscription)) == [b"2"]
    assert pubsub.pull_now(subscription) == []


@acks("One request acknowledges several messages.", docs="API: AcknowledgeRequest")
def test_acknowledge_several(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2", b"3")
    received = sorted(pubsub.pull(subscription, 3), key=lambda delivery: delivery.message.data)

    pubsub.acknowledge(subscription, *received[:2])

    pubsub.modify(subscription, 0, *received)
    assert data_of(pubsub.pull(subscription)) == [b"3"]
    assert pubsub.pull_now(subscription) == []


@acks(
    "An ack id of another subscription is INVALID_ARGUMENT, and its message comes again.",
    docs="API: AcknowledgeRequest",
)
@pytest.mark.parametrize("exactly_once", [False, True])
def test_ack_id_of_another_subscription(pubsub: PubSub, exactly_once: bool) -> None:
    topic, first = pubsub.subscribed_topic()
    second = pubsub.subscription(topic, enable_exactly_once_delivery=exactly_once)
    pubsub.publish(topic, b"x")
    received = pubsub.pull(first)

    with refused():
        pubsub.acknowledge(second, *received)
    with refused():
        pubsub.modify(second, 0, *received)

    pubsub.modify(first, 0, *received)
    assert data_of(pubsub.pull(first)) == [b"x"]


@acks("An acknowledgement in one subscription means nothing to another.", docs="API: Subscription")
def test_subscriptions_are_apart(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    first, second = pubsub.subscription(topic), pubsub.subscription(topic)
    pubsub.publish(topic, b"x")

    pubsub.acknowledge(first, *pubsub.pull(first))

    assert data_of(pubsub.pull(second)) == [b"x"]


@acks("Acknowledging a message twice isn't an error.", docs="API: Subscriber")
def test_acknowledge_twice(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)

    pubsub.acknowledge(subscription, received)
    pubsub.acknowledge(subscription, received)


@acks("Acknowledging too late isn't an error.", docs="Exactly-once delivery")
def test_acknowledge_too_late(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)
    pubsub.modify(subscription, 0, received)
    pubsub.pull(subscription)

    pubsub.acknowledge(subscription, received)
    pubsub.modify(subscription, 20, received)


@acks("A malformed ack id is INVALID_ARGUMENT to acknowledge.", docs="Error codes")
@pytest.mark.parametrize("ack_id", MALFORMED)
def test_malformed_ack_id(pubsub: PubSub, ack_id: str) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.acknowledge(subscription, ack_id)


@acks("A request to acknowledge nothing is INVALID_ARGUMENT.", docs="API: AcknowledgeRequest")
def test_acknowledge_nothing(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.acknowledge(subscription)


@acks("A subscription that does not exist is NOT_FOUND to acknowledge.", docs="Error codes")
def test_acknowledge_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.acknowledge(pubsub.name("subscriptions"), "id")


@acks(
    "A request to acknowledge has at most 512 KiB.",
    docs="Quotas and limits",
    google="takes any size",
)
def test_size_of_a_request(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)
    count = 512 * 1024 // len(received.ack_id) + 1

    with refused():
        pubsub.acknowledge(subscription, *[received] * count)


@acks(
    "A deadline of 0 is a nack: the message comes again at once.",
    docs="API: ModifyAckDeadlineRequest",
)
def test_nack(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)

    pubsub.modify(subscription, 0, received)

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@acks(
    "Only the messages that are named get the new deadline.", docs="API: ModifyAckDeadlineRequest"
)
def test_nack_one_of_two(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2")
    _, second = pubsub.pull(subscription, 2)

    pubsub.modify(subscription, 0, second)

    assert data_of(pubsub.pull(subscription)) == data_of([second])
    assert pubsub.pull_now(subscription) == []


@acks(
    "The last deadline counts, from the time of its request.", docs="API: ModifyAckDeadlineRequest"
)
def test_extend(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"extended", b"not extended")
    received = pubsub.pull(subscription, 2)
    pubsub.modify(subscription, 1, *received)

    pubsub.modify(subscription, 30, *(x for x in received if x.message.data == b"extended"))

    assert data_of(pubsub.pull(subscription)) == [b"not extended"]
    assert pubsub.pull_now(subscription) == []


@acks(
    "A modified deadline is 0 to 600 s.",
    docs="API: ModifyAckDeadlineRequest",
    google="takes any number from 0",
)
def test_limits(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)

    pubsub.modify(subscription, 600, received)
    for seconds in (-1, 601):
        with refused():
            pubsub.modify(subscription, seconds, received)


@acks("A modified deadline leaves the subscription's alone.", docs="API: Subscriber")
def test_subscriptions_deadline(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    pubsub.modify(subscription, 99, *pubsub.pull(subscription))

    resource = pubsub.get_subscription(subscription)
    assert resource.ack_deadline_seconds == 10


@acks("A malformed ack id is INVALID_ARGUMENT to modify.", docs="Error codes")
@pytest.mark.parametrize("ack_id", MALFORMED)
def test_modify_malformed_ack_id(pubsub: PubSub, ack_id: str) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.modify(subscription, 10, ack_id)


@acks("A request to modify nothing is INVALID_ARGUMENT.", docs="API: ModifyAckDeadlineRequest")
def test_modify_nothing(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.modify(subscription, 10)


@acks("A subscription that does not exist is NOT_FOUND to modify.", docs="Error codes")
def test_modify_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.modify(pubsub.name("subscriptions"), 10, "id")
