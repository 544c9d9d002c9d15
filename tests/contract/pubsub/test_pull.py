"""Pull: the messages that come, redelivery, and empty answers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, ids_of, refused

pull = Group("Pull")


@pull("A pull returns messages, each with an ack id of its own.", docs="API: ReceivedMessage")
def test_pull(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    ids = pubsub.publish(topic, b"1", b"2")

    received = pubsub.pull(subscription, 2)

    assert sorted(ids_of(received)) == sorted(ids)
    assert len({message.ack_id for message in received} - {""}) == 2


@pull("A pull returns at most `max_messages`.", docs="API: PullRequest")
def test_max_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *[b"x"] * 5)

    assert 1 <= len(pubsub.pull_now(subscription, limit=2, wait=5)) <= 2


@pull("`max_messages` is positive.", docs="API: PullRequest", google="takes -1")
def test_limit_of_max_messages(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    for limit in (0, -1):
        with refused():
            pubsub.pull_now(subscription, limit=limit)


@pull("A pull that returns immediately may return nothing.", docs="API: PullRequest")
def test_return_immediately(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    assert pubsub.pull_now(subscription) == []  # a pull that waits ends as DEADLINE_EXCEEDED


@pull("A pull waits for a message that is published meanwhile.", docs="API: PullRequest")
def test_waiting_pull(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pubsub.pull_now, subscription, wait=10)
        pubsub.publish(topic, b"late")

        assert data_of(waiting.result(10)) == [b"late"]


@pull("A waiting pull gets a message that is nacked meanwhile.", docs="API: PullRequest")
def test_waiting_pull_and_nack(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"again")
    (received,) = pubsub.pull(subscription)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pubsub.pull_now, subscription, wait=10)
        pubsub.modify(subscription, 0, received)

        assert data_of(waiting.result(10)) == [b"again"]


@pull("An outstanding message is not delivered again.", docs="API: Subscription")
def test_outstanding(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    pubsub.pull(subscription)

    assert pubsub.pull_now(subscription) == []


@pull("Two pulls share the messages: each goes to one of them.", docs="API: Subscription")
def test_two_pulls(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    ids = pubsub.publish(topic, *[b"x"] * 4)

    messages = pubsub.pull_now(subscription, limit=2, wait=5)
    messages += pubsub.pull(subscription, 4 - len(messages))

    assert sorted(ids_of(messages)) == sorted(ids)


@pull("A message is delivered again when its ack deadline has passed.", docs="API: Subscription")
def test_expired_deadline(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (first,) = pubsub.pull(subscription)
    pubsub.modify(subscription, 1, first)
    start = time.monotonic()

    (second,) = pubsub.pull(subscription)

    assert second.message == first.message
    assert time.monotonic() - start > 0.8


@pull(
    "A message that comes again has its id, data and time, and a new ack id.",
    docs="Exactly-once delivery",
)
def test_redelivered_message(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, {"data": b"x", "attributes": {"a": "1"}})
    (first,) = pubsub.pull(subscription)
    pubsub.modify(subscription, 0, first)

    (second,) = pubsub.pull(subscription)

    assert second.message == first.message
    assert second.ack_id != first.ack_id


@pull(
    "A message's delivery attempt is 0 without a dead-letter policy.", docs="API: ReceivedMessage"
)
def test_delivery_attempt(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    (received,) = pubsub.pull(subscription)

    assert received.delivery_attempt == 0


@pull("Pull from a subscription that does not exist is NOT_FOUND.", docs="Error codes")
def test_missing_subscription(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.pull_now(pubsub.name("subscriptions"))


@pull("Pull from a push subscription is FAILED_PRECONDITION.", docs="Error codes", google="pulls")
def test_pull_from_a_push_subscription(pubsub: PubSub) -> None:
    subscription = pubsub.subscription(push_config={"push_endpoint": "http://127.0.0.1:9/"})

    with refused("FAILED_PRECONDITION"):
        pubsub.pull_now(subscription)


pull.only_in_the_cloud(
    "A pull may return fewer messages than there are, even none.", docs="API: PullRequest"
)
