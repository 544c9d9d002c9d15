"""Snapshots, and seeking to one or to a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, refused

seeking = Group("Snapshots and seek")

DAY = 24 * 60 * 60


def snapshot(pubsub: PubSub, subscription: str, **fields: Any) -> str:
    name = pubsub.name("snapshots")
    pubsub.call("create_snapshot", name=name, subscription=subscription, **fields)
    return name


def drain(pubsub: PubSub, subscription: str, count: int = 1) -> list[Any]:
    """Acknowledge the messages of a subscription, and return them."""
    received = pubsub.pull(subscription, count)
    pubsub.acknowledge(subscription, *received)
    return received


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@seeking(
    "Creating a snapshot returns it, with the topic and its labels.",
    docs="API: Subscriber",
    google="forgets the labels",
)
def test_create(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    name = pubsub.name("snapshots")

    resource = pubsub.call(
        "create_snapshot", name=name, subscription=subscription, labels={"team": "data"}
    )

    assert (resource.name, resource.topic, dict(resource.labels)) == (name, topic, {"team": "data"})
    assert pubsub.call("get_snapshot", snapshot=name) == resource


@seeking("A snapshot of an empty backlog expires after 7 days.", docs="API: Snapshot")
def test_expire_time(pubsub: PubSub) -> None:
    name = snapshot(pubsub, pubsub.subscription())

    resource = pubsub.call("get_snapshot", snapshot=name)

    left = resource.expire_time.timestamp() - time.time()
    assert left == pytest.approx(7 * DAY, abs=60)


@seeking(
    "A snapshot created without a name gets a random one.",
    docs="API: Subscriber",
    google="INVALID_ARGUMENT",
)
def test_random_name(pubsub: PubSub) -> None:
    resource = pubsub.call("create_snapshot", subscription=pubsub.subscription())

    assert resource.name.startswith(f"{pubsub.project}/snapshots/")


@seeking("A snapshot that exists is not created again: ALREADY_EXISTS.", docs="API: Subscriber")
def test_create_twice(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()
    name = snapshot(pubsub, subscription)

    with refused("ALREADY_EXISTS"):
        pubsub.call("create_snapshot", name=name, subscription=subscription)


@seeking("A snapshot of a subscription that does not exist is NOT_FOUND.", docs="API: Subscriber")
def test_create_for_a_missing_subscription(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        snapshot(pubsub, pubsub.name("subscriptions"))


@seeking("A snapshot that does not exist is NOT_FOUND to get and to delete.", docs="Error codes")
def test_missing(pubsub: PubSub) -> None:
    name = pubsub.name("snapshots")

    with refused("NOT_FOUND"):
        pubsub.call("get_snapshot", snapshot=name)
    with refused("NOT_FOUND"):
        pubsub.call("delete_snapshot", snapshot=name)


@seeking("Listing returns the project's snapshots, in pages.", docs="API: Subscriber")
def test_list(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()
    names = {snapshot(pubsub, subscription) for _ in range(3)}

    pages = pubsub.call("list_snapshots", project=pubsub.project, page_size=2).pages
    listed = [[resource.name for resource in page.snapshots] for page in pages]

    assert [len(page) for page in listed] == [2, 1]
    assert set(listed[0] + listed[1]) == names


@seeking("A topic lists the names of its snapshots.", docs="API: Publisher")
def test_list_of_a_topic(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    names = {snapshot(pubsub, subscription) for _ in range(2)}
    snapshot(pubsub, pubsub.subscription())

    listed = pubsub.call("list_topic_snapshots", topic=topic)

    assert set(listed.snapshots) == names


@seeking(
    "An update changes the labels of a snapshot.", docs="API: Subscriber", google="UNIMPLEMENTED"
)
def test_update_labels(pubsub: PubSub) -> None:
    name = snapshot(pubsub, pubsub.subscription())

    pubsub.call(
        "update_snapshot",
        snapshot={"name": name, "labels": {"team": "data"}},
        update_mask={"paths": ["labels"]},
    )

    assert dict(pubsub.call("get_snapshot", snapshot=name).labels) == {"team": "data"}


@seeking(
    "An update changes when a snapshot expires.", docs="API: Subscriber", google="UNIMPLEMENTED"
)
def test_update_expire_time(pubsub: PubSub) -> None:
    name = snapshot(pubsub, pubsub.subscription())
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    pubsub.call(
        "update_snapshot",
        snapshot={"name": name, "expire_time": soon},
        update_mask={"paths": ["expire_time"]},
    )

    assert pubsub.call("get_snapshot", snapshot=name).expire_time == soon


@seeking("A deleted snapshot is gone.", docs="API: Subscriber")
def test_delete(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()
    name = snapshot(pubsub, subscription)

    pubsub.call("delete_snapshot", snapshot=name)

    with refused("NOT_FOUND"):
        pubsub.call("seek", subscription=subscription, snapshot=name)


@seeking(
    "Seeking to a snapshot brings back the messages that were not acknowledged then.",
    docs="Replay messages",
)
def test_seek_to_a_snapshot(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"acknowledged")
    drain(pubsub, subscription)
    pubsub.publish(topic, b"not acknowledged")
    name = snapshot(pubsub, subscription)
    drain(pubsub, subscription)

    pubsub.call("seek", subscription=subscription, snapshot=name)

    assert data_of(pubsub.pull(subscription)) == [b"not acknowledged"]
    assert pubsub.pull_now(subscription) == []


@seeking(
    "Seeking to a snapshot also brings back the messages published since.", docs="API: Subscriber"
)
def test_seek_to_a_snapshot_and_later_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    name = snapshot(pubsub, subscription)
    pubsub.publish(topic, b"later")
    drain(pubsub, subscription)

    pubsub.call("seek", subscription=subscription, snapshot=name)

    assert data_of(pubsub.pull(subscription)) == [b"later"]


@seeking(
    "In a snapshot, an outstanding message counts as not acknowledged.", docs="API: Subscriber"
)
def test_snapshot_of_outstanding_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    received = pubsub.pull(subscription)
    name = snapshot(pubsub, subscription)
    pubsub.acknowledge(subscription, *received)

    pubsub.call("seek", subscription=subscription, snapshot=name)

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@seeking(
    "Another subscription of the topic may seek to the snapshot.",
    docs="Replay messages",
    google="brings nothing back",
)
def test_seek_of_another_subscription(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    name = snapshot(pubsub, subscription)
    other = pubsub.subscription(topic)
    assert pubsub.pull_now(other) == []

    pubsub.call("seek", subscription=other, snapshot=name)

    assert data_of(pubsub.pull(other)) == [b"x"]


@seeking("Seeking to a snapshot of another topic is FAILED_PRECONDITION.", docs="API: SeekRequest")
def test_seek_to_a_snapshot_of_another_topic(pubsub: PubSub) -> None:
    name = snapshot(pubsub, pubsub.subscription())
    subscription = pubsub.subscription()

    with refused("FAILED_PRECONDITION"):
        pubsub.call("seek", subscription=subscription, snapshot=name)


@seeking(
    "Seeking to a snapshot of a deleted topic is FAILED_PRECONDITION.", docs="API: SeekRequest"
)
def test_seek_to_a_snapshot_of_a_deleted_topic(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    name = snapshot(pubsub, subscription)

    pubsub.call("delete_topic", topic=topic)

    with refused("FAILED_PRECONDITION"):
        pubsub.call("seek", subscription=subscription, snapshot=name)


@seeking(
    "A topic made again under its name is another one: its subscriptions cannot go back to the "
    "snapshot.",
    docs="API: SeekRequest",
    google="seeks",
)
def test_seek_to_a_snapshot_of_the_topic_before(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    name = snapshot(pubsub, subscription)
    pubsub.call("delete_topic", topic=topic)

    subscription = pubsub.subscription(pubsub.topic(name=topic))

    with refused("FAILED_PRECONDITION"):
        pubsub.call("seek", subscription=subscription, snapshot=name)


@seeking("Seeking to a snapshot that does not exist is NOT_FOUND.", docs="Error codes")
def test_seek_to_a_missing_snapshot(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    with refused("NOT_FOUND"):
        pubsub.call("seek", subscription=subscription, snapshot=pubsub.name("snapshots"))


@seeking("Seeking a subscription that does not exist is NOT_FOUND.", docs="Error codes")
def test_seek_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("seek", subscription=pubsub.name("subscriptions"), time=ago(1))


@seeking("Seeking to nothing is INVALID_ARGUMENT.", docs="API: SeekRequest")
def test_seek_to_nothing(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.call("seek", subscription=subscription)


@seeking("Seeking to a time in the future acknowledges all.", docs="Replay messages")
def test_seek_to_the_future(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2")

    pubsub.call("seek", subscription=subscription, time=ago(-60))

    assert pubsub.pull_now(subscription) == []


@seeking(
    "Seeking to the past brings back outstanding messages, and late acknowledgements of them do "
    "not count.",
    docs="API: SeekRequest",
)
def test_seek_of_outstanding_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    received = pubsub.pull(subscription)

    pubsub.call("seek", subscription=subscription, time=received[0].message.publish_time)
    pubsub.acknowledge(subscription, *received)

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@seeking("A message published after a seek to now is delivered.", docs="Replay messages")
def test_publish_after_a_seek(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"old")
    pubsub.call("seek", subscription=subscription, time=ago(-0.05))
    time.sleep(0.1)  # until the time that was sought to has passed

    pubsub.publish(topic, b"new")

    assert data_of(pubsub.pull(subscription)) == [b"new"]


@seeking(
    "Seeking to a time in the future acknowledges outstanding messages too.",
    docs="API: SeekRequest",
)
def test_seek_to_the_future_and_outstanding_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    received = pubsub.pull(subscription)

    pubsub.call("seek", subscription=subscription, time=ago(-60))

    pubsub.modify(subscription, 0, *received)
    assert pubsub.pull_now(subscription) == []


@seeking(
    "With retained messages, seeking to the past brings back acknowledged ones.",
    docs="API: Subscription",
)
def test_seek_to_the_past(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retain_acked_messages=True)
    pubsub.publish(topic, b"x")
    drain(pubsub, subscription)

    pubsub.call("seek", subscription=subscription, time=ago(60))

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@seeking("Without retained messages, acknowledged ones do not come back.", docs="API: Subscription")
def test_seek_to_the_past_without_retention(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    drain(pubsub, subscription)

    pubsub.call("seek", subscription=subscription, time=ago(60))

    assert pubsub.pull_now(subscription) == []


@seeking("Messages before the time count as acknowledged, later ones not.", docs="API: SeekRequest")
def test_seek_to_a_time_between(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retain_acked_messages=True)
    pubsub.publish(topic, b"before")
    time.sleep(0.02)  # so that the clock tells them apart
    between = datetime.now(UTC)
    time.sleep(0.02)
    pubsub.publish(topic, b"after")
    drain(pubsub, subscription, 2)

    pubsub.call("seek", subscription=subscription, time=between)

    assert data_of(pubsub.pull(subscription)) == [b"after"]
    assert pubsub.pull_now(subscription) == []


@seeking("Messages that the topic keeps come back, acknowledged or not.", docs="Replay messages")
def test_seek_in_the_topics_retention(pubsub: PubSub) -> None:
    topic = pubsub.topic(message_retention_duration={"seconds": DAY})
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"x")
    drain(pubsub, subscription)

    pubsub.call("seek", subscription=subscription, time=ago(60))

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@seeking(
    "A new subscription gets no messages that its topic kept from before.",
    docs="Replay messages",
    google="gets it",
)
def test_new_subscription(pubsub: PubSub) -> None:
    topic = pubsub.topic(message_retention_duration={"seconds": DAY})
    pubsub.publish(topic, b"x")

    subscription = pubsub.subscription(topic)

    assert pubsub.pull_now(subscription) == []


@seeking(
    "A new subscription may seek to messages that its topic kept from before.", docs="API: Topic"
)
def test_seek_before_the_subscription(pubsub: PubSub) -> None:
    topic = pubsub.topic(message_retention_duration={"seconds": DAY})
    pubsub.publish(topic, b"x")
    subscription = pubsub.subscription(topic)

    pubsub.call("seek", subscription=subscription, time=ago(60))

    assert data_of(pubsub.pull(subscription)) == [b"x"]


seeking.only_in_the_cloud(
    "Seek takes a while: until then a message may still come, or not yet.",
    docs="Replay messages",
)
seeking.only_in_the_cloud(
    "A snapshot that would expire within the hour is refused: FAILED_PRECONDITION.",
    docs="API: Subscriber",
)
