"""Publishing: ids, order, and the limits of a message and of a request."""

from __future__ import annotations

import time

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, ids_of, refused

publishing = Group("Publishing")

MB = 1_000_000


@publishing("Publishing returns one id a message, all different.", docs="API: PublishResponse")
def test_ids(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    ids = pubsub.publish(topic, b"1", b"2") + pubsub.publish(topic, b"3")

    assert len(set(ids)) == 3
    assert all(ids)


@publishing("The ids are in the order of the messages.", docs="API: PublishResponse")
def test_order_of_ids(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    ids = pubsub.publish(topic, *(b"%d" % number for number in range(20)))

    received = pubsub.pull(subscription, 20)
    expected = {id: b"%d" % number for number, id in enumerate(ids)}
    assert dict(zip(ids_of(received), data_of(received), strict=True)) == expected


@publishing("A message arrives with its data, as bytes.", docs="API: PubsubMessage")
@pytest.mark.parametrize("data", [b"hello", b"\x00\xff\xfe", "ünï ✓".encode(), b"x" * 100_000])
def test_data(pubsub: PubSub, data: bytes) -> None:
    topic, subscription = pubsub.subscribed_topic()

    pubsub.publish(topic, data)

    assert data_of(pubsub.pull(subscription)) == [data]


@publishing("A message arrives with its attributes.", docs="API: PubsubMessage")
def test_attributes(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    attributes = {"a": "1", "empty": "", "Ünïcode and spaces": "✓ \n", "a.b:c/d": "=&"}

    pubsub.publish(topic, {"data": b"x", "attributes": attributes})

    (received,) = pubsub.pull(subscription)
    assert dict(received.message.attributes) == attributes


@publishing("A message arrives with the time at which it was published.", docs="API: PubsubMessage")
def test_publish_time(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    before = time.time()

    pubsub.publish(topic, b"x")

    (received,) = pubsub.pull(subscription)
    assert before - 1 <= received.message.publish_time.timestamp() <= time.time() + 1


@publishing(
    "A message id and a publish time of the sender's are not used.", docs="API: PubsubMessage"
)
def test_senders_id_and_time(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    (id,) = pubsub.publish(
        topic, {"data": b"x", "message_id": "mine", "publish_time": {"seconds": 1}}
    )

    (received,) = pubsub.pull(subscription)
    assert received.message.message_id == id != "mine"
    assert received.message.publish_time.timestamp() > 1


@publishing("A message arrives with its ordering key.", docs="API: PubsubMessage")
def test_ordering_key(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    pubsub.publish(topic, {"data": b"x", "ordering_key": "key"})

    (received,) = pubsub.pull(subscription)
    assert received.message.ordering_key == "key"


@publishing("Every subscription of the topic gets every message.", docs="API: Subscription")
def test_fan_out(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscriptions = [pubsub.subscription(topic) for _ in range(3)]

    ids = pubsub.publish(topic, b"1", b"2")

    assert [sorted(ids_of(pubsub.pull(subscription, 2))) for subscription in subscriptions] == [
        sorted(ids)
    ] * 3


@publishing("A subscription gets no message from before it was created.", docs="API: Subscription")
def test_messages_before_the_subscription(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    pubsub.publish(topic, b"early")

    subscription = pubsub.subscription(topic)

    pubsub.publish(topic, b"late")
    assert data_of(pubsub.pull(subscription)) == [b"late"]
    assert pubsub.pull_now(subscription) == []


@publishing("Publishing to a topic that does not exist is NOT_FOUND.", docs="API: Publisher")
def test_missing_topic(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.publish(pubsub.name("topics"), b"x")


@publishing("A request without messages is INVALID_ARGUMENT.", docs="API: PublishRequest")
def test_no_messages(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.publish(topic)


@publishing("A message has data or at least one attribute.", docs="API: PubsubMessage")
def test_empty_message(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    pubsub.publish(topic, {"attributes": {"a": "1"}})

    assert data_of(pubsub.pull(subscription)) == [b""]
    with refused():
        pubsub.publish(topic, {"data": b""})
    with refused():
        pubsub.publish(topic, {"ordering_key": "key"})


@publishing("If one message is refused, none of its request is published.", docs="Not documented")
def test_all_or_nothing(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    with refused():
        pubsub.publish(topic, b"good", {"data": b""})

    assert pubsub.pull_now(subscription) == []


@publishing("A request has at most 1,000 messages.", docs="Quotas and limits")
def test_messages_a_request(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    assert len(pubsub.publish(topic, *[b"x"] * 1000)) == 1000
    with refused():
        pubsub.publish(topic, *[b"x"] * 1001)


@publishing("A message has at most 10 MB.", docs="Quotas and limits", google="does not answer")
def test_size_of_a_message(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.publish(topic, b"x" * (10 * MB - 1000))
    with refused():
        pubsub.publish(topic, b"x" * 11 * MB, seconds=pubsub.patience)


@publishing(
    "A request has at most 10 MB in all.", docs="Quotas and limits", google="does not answer"
)
def test_size_of_a_request(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.publish(topic, *[b"x" * MB] * 11, seconds=pubsub.patience)


@publishing("A message of 10 MB is delivered as it is.", docs="Quotas and limits")
def test_large_message_is_delivered(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    pubsub.publish(topic, b"x" * (10 * MB - 1000))

    assert [len(data) for data in data_of(pubsub.pull(subscription))] == [10 * MB - 1000]


@publishing(
    "A message has at most 100 attributes.", docs="Quotas and limits", google="takes any number"
)
def test_number_of_attributes(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.publish(topic, {"attributes": {f"k{number}": "" for number in range(100)}})
    with refused():
        pubsub.publish(topic, {"attributes": {f"k{number}": "" for number in range(101)}})


@publishing(
    "An attribute's key has at most 256 bytes.", docs="Quotas and limits", google="takes any length"
)
def test_length_of_a_key(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.publish(topic, {"attributes": {"é" * 128: "x"}})
    for key in ("k" * 257, "é" * 129):
        with refused():
            pubsub.publish(topic, {"attributes": {key: "x"}})


@publishing("An attribute's key is not empty.", docs="Publish messages", google="takes it")
def test_empty_key(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.publish(topic, {"data": b"x", "attributes": {"": "x"}})


@publishing(
    "An attribute's value has at most 1,024 bytes.",
    docs="Quotas and limits",
    google="takes any length",
)
def test_length_of_a_value(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.publish(topic, {"attributes": {"k": "é" * 512}})
    for value in ("v" * 1025, "é" * 513):
        with refused():
            pubsub.publish(topic, {"attributes": {"k": value}})


@publishing(
    "An attribute's key does not begin with `goog`.", docs="Publish messages", google="takes it"
)
def test_goog_key(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.publish(topic, {"data": b"x", "attributes": {"googclient": "x"}})


@publishing(
    "An ordering key has at most 1,024 bytes.", docs="Order messages", google="takes any length"
)
def test_length_of_an_ordering_key(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.publish(topic, {"data": b"x", "ordering_key": "é" * 512})
    for key in ("k" * 1025, "é" * 513):
        with refused():
            pubsub.publish(topic, {"data": b"x", "ordering_key": key})


publishing.only_in_the_cloud(
    "A topic in an organisation stores messages in the regions that its policy allows.",
    docs="Topic properties",
)
publishing.only_in_the_cloud(
    "An ordering key takes at most 1 MB/s; quotas per region apply.", docs="Quotas and limits"
)
