"""Ordering keys."""

from __future__ import annotations

from typing import Any

from tests.contract.behaviours import Group

from .backends import PubSub, data_of
from .sink import Sink
from .streams import Stream

ordering = Group("Ordering")


def keyed(key: str, *data: bytes) -> list[dict[str, Any]]:
    return [{"data": text, "ordering_key": key} for text in data]


def ordered(pubsub: PubSub, **fields: Any) -> tuple[str, str]:
    return pubsub.subscribed_topic(enable_message_ordering=True, **fields)


@ordering("Messages of one key are pulled in the order of publishing.", docs="Order messages")
def test_order_of_pull(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    data = [b"%d" % number for number in range(30)]
    for text in data:
        pubsub.publish(topic, *keyed("a", text))

    pulled: list[bytes] = []
    while len(pulled) < len(data):
        received = pubsub.pull(subscription)
        pubsub.acknowledge(subscription, *received)
        pulled += data_of(received)

    assert pulled == data


@ordering("A stream delivers messages of one key in order.", docs="Order messages")
def test_order_of_stream(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    data = [b"%d" % number for number in range(30)]

    with Stream(pubsub, subscription) as stream:
        for text in data:
            pubsub.publish(topic, *keyed("a", text))
        for count in range(1, 31):
            stream.acknowledge(stream.wait_for(count)[count - 1])

        assert data_of(stream.messages) == data


@ordering(
    "A stream gets a key's later messages before the first is acknowledged.", docs="Not documented"
)
def test_stream_does_not_wait(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)

    with Stream(pubsub, subscription) as stream:
        pubsub.publish(topic, *keyed("a", b"1"))
        stream.wait_for(1)
        pubsub.publish(topic, *keyed("a", b"2"))

        assert data_of(stream.wait_for(2)) == [b"1", b"2"]


@ordering(
    "Messages of one request and key are in the order of the request.", docs="API: PubsubMessage"
)
def test_order_of_a_request(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    data = [b"%d" % number for number in range(30)]

    pubsub.publish(topic, *keyed("a", *data))

    assert data_of(pubsub.pull(subscription, 30)) == data


@ordering(
    "A pull gets none of a key's messages while an earlier one is outstanding.",
    docs="Order messages",
)
def test_next_one_waits(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1", b"2"))
    (first,) = pubsub.pull_now(subscription, limit=1, wait=5)
    assert pubsub.pull_now(subscription) == []

    pubsub.acknowledge(subscription, first)

    assert data_of(pubsub.pull(subscription)) == [b"2"]


@ordering("Other keys do not wait.", docs="Order messages")
def test_other_keys_do_not_wait(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"a1", b"a2"))
    pubsub.pull_now(subscription, limit=1, wait=5)

    pubsub.publish(topic, *keyed("b", b"b1"))

    assert data_of(pubsub.pull(subscription)) == [b"b1"]


@ordering("Messages without a key do not wait.", docs="Order messages")
def test_no_key(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, b"1", b"2")
    first = pubsub.pull_now(subscription, limit=1, wait=5)

    second = pubsub.pull(subscription)

    assert sorted(data_of(first + second)) == [b"1", b"2"]


@ordering(
    "A nack brings back the message and then the key's later ones, in order.",
    docs="Order messages",
    google="only when the later ones' deadlines have passed, and not in order",
)
def test_nack(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1", b"2", b"3"))
    received = pubsub.pull(subscription, 3)

    pubsub.modify(subscription, 0, received[0])

    assert data_of(pubsub.pull(subscription, 3)) == [b"1", b"2", b"3"]


@ordering("An expired deadline brings back the key's later messages too.", docs="Order messages")
def test_expired_deadline(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1", b"2", b"3"))
    received = pubsub.pull(subscription, 3)

    pubsub.modify(subscription, 1, received[0])

    assert data_of(pubsub.pull(subscription, 3)) == [b"1", b"2", b"3"]


@ordering(
    "A nack brings back later messages even if acknowledged.",
    docs="Order messages",
    google="only when the other deadlines have passed",
)
def test_nack_after_a_later_ack(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1", b"2", b"3"))
    received = pubsub.pull(subscription, 3)
    pubsub.acknowledge(subscription, received[0], received[2])

    pubsub.modify(subscription, 0, received[1])

    assert data_of(pubsub.pull(subscription, 2)) == [b"2", b"3"]


@ordering(
    "A nack leaves the key's earlier, acknowledged messages alone.",
    docs="Order messages",
    google="only when the other deadlines have passed",
)
def test_nack_after_an_earlier_ack(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1", b"2", b"3"))
    received = pubsub.pull(subscription, 3)
    pubsub.acknowledge(subscription, received[0])

    pubsub.modify(subscription, 0, received[1])

    again = pubsub.pull(subscription, 2)
    assert data_of(again) == [b"2", b"3"]
    pubsub.acknowledge(subscription, *again)
    assert pubsub.pull_now(subscription) == []


@ordering("A nack leaves other keys alone.", docs="Order messages")
def test_nack_and_other_keys(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"a1"))
    pubsub.publish(topic, *keyed("b", b"b1"))
    received = pubsub.pull(subscription, 2)

    pubsub.modify(
        subscription, 0, *(delivery for delivery in received if delivery.message.data == b"a1")
    )

    assert data_of(pubsub.pull(subscription)) == [b"a1"]
    assert pubsub.pull_now(subscription) == []


@ordering(
    "Messages published during a retry come after it.", docs="Order messages", google="before it"
)
def test_publish_during_a_retry(pubsub: PubSub) -> None:
    topic, subscription = ordered(pubsub)
    pubsub.publish(topic, *keyed("a", b"1"))
    (first,) = pubsub.pull(subscription)

    pubsub.publish(topic, *keyed("a", b"2"))
    pubsub.modify(subscription, 0, first)

    assert data_of(pubsub.pull(subscription, 2)) == [b"1", b"2"]


@ordering("Without ordering a subscription takes no notice of keys.", docs="Order messages")
def test_ordering_off(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *keyed("a", b"1", b"2"))
    first = pubsub.pull_now(subscription, limit=1, wait=5)

    second = pubsub.pull(subscription)

    assert sorted(data_of(first + second)) == [b"1", b"2"]


@ordering("A push subscription has one outstanding message a key.", docs="Order messages")
def test_push(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = ordered(pubsub, push_config={"push_endpoint": sink.url})
    sink.open.clear()
    pubsub.publish(topic, *keyed("a", b"1", b"2", b"3"))
    sink.wait_for(1)

    sink.open.set()

    pushes = sink.wait_for(3)
    assert sink.most_at_once == 1
    assert [push.json["message"]["data"] for push in pushes] == ["MQ==", "Mg==", "Mw=="]


@ordering("A push that fails is pushed again before the key's next message.", docs="Order messages")
def test_push_again(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500, 200]
    topic, _ = ordered(pubsub, push_config={"push_endpoint": sink.url})

    pubsub.publish(topic, *keyed("a", b"1", b"2"))

    pushes = sink.wait_for(3)
    assert [push.json["message"]["data"] for push in pushes] == ["MQ==", "MQ==", "Mg=="]


ordering.only_in_the_cloud(
    "Order holds for messages that were published in the same region.", docs="Order messages"
)
