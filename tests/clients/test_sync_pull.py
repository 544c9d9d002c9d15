"""Pulling one request at a time with google-cloud-pubsub: deadlines, seeking, snapshots."""

from __future__ import annotations

import datetime
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition, NotFound
from google.api_core.retry import Retry

from tests.integration.emulator import Emulator, new_name
from tests.integration.processes import wait_until

pytestmark = pytest.mark.slow


def pull(pubsub: Emulator, subscription: str, count: int = 1, seconds: float = 20) -> list[Any]:
    """Pull until so many have come; nothing is acknowledged."""
    messages: list[Any] = []
    deadline = time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        response = pubsub.subscriber.pull(
            subscription=subscription, max_messages=count, timeout=seconds, retry=Retry()
        )
        messages += response.received_messages
    return messages


def acknowledge(pubsub: Emulator, subscription: str, received: list[Any]) -> None:
    ack_ids = [message.ack_id for message in received]
    pubsub.subscriber.acknowledge(request={"subscription": subscription, "ack_ids": ack_ids})


def test_a_pull_returns_at_most_what_it_asks_for(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    for n in range(5):
        pubsub.publish(topic, b"%d" % n, n=str(n))

    response = pubsub.subscriber.pull(
        request={"subscription": subscription, "max_messages": 2}, timeout=20
    )

    assert 1 <= len(response.received_messages) <= 2
    acknowledge(pubsub, subscription, list(response.received_messages))
    left = pull(pubsub, subscription, 5 - len(response.received_messages))
    everything = [*response.received_messages, *left]
    assert {received.message.attributes["n"] for received in everything} == set("01234")


def test_a_pull_waits_for_a_message(pubsub: Emulator, topic: str, subscription: str) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(pull, pubsub, subscription)
        message_id = pubsub.publish(topic, b"data")

        (received,) = waiting.result(timeout=30)

    assert received.message.message_id == message_id


def test_a_pull_may_return_at_once(pubsub: Emulator, subscription: str) -> None:
    with pytest.warns(DeprecationWarning, match="return_immediately"):
        response = pubsub.subscriber.pull(
            request={"subscription": subscription, "max_messages": 1, "return_immediately": True},
            timeout=5,
        )

    assert list(response.received_messages) == []


def test_a_deadline_of_zero_gives_the_message_back(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    pubsub.publish(topic, b"data")
    (first,) = pull(pubsub, subscription)

    pubsub.subscriber.modify_ack_deadline(
        subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0
    )

    (second,) = pull(pubsub, subscription)
    assert second.message.message_id == first.message.message_id


def test_seeking_to_a_time_in_the_future_acknowledges_everything(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    pubsub.publish(topic, b"old")
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)

    pubsub.subscriber.seek(request={"subscription": subscription, "time": later})

    pubsub.subscriber.seek(
        request={"subscription": subscription, "time": datetime.datetime.now(datetime.UTC)}
    )
    pubsub.publish(topic, b"new")
    (received,) = pull(pubsub, subscription)
    assert received.message.data == b"new"


def test_seeking_back_in_time_brings_back_what_was_acknowledged(
    pubsub: Emulator, topic: str
) -> None:
    subscription = pubsub.subscribe(topic, retain_acked_messages=True)
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    message_id = pubsub.publish(topic, b"data")
    acknowledge(pubsub, subscription, pull(pubsub, subscription))

    pubsub.subscriber.seek(request={"subscription": subscription, "time": before})

    (again,) = pull(pubsub, subscription)
    assert again.message.message_id == message_id


def test_seeking_to_a_snapshot_brings_back_what_was_acknowledged_since(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    """Also to one that was taken of another subscription of the topic."""
    subscriber = pubsub.subscriber
    name = new_name("snapshots")
    other = pubsub.subscribe(topic)
    pubsub.publish(topic, b"before")
    acknowledge(pubsub, subscription, pull(pubsub, subscription))
    snapshot = subscriber.create_snapshot(name=name, subscription=subscription)
    pubsub.publish(topic, b"after")
    acknowledge(pubsub, subscription, pull(pubsub, subscription))
    acknowledge(pubsub, other, pull(pubsub, other, 2))

    for seeking in (subscription, other):
        subscriber.seek(request={"subscription": seeking, "snapshot": name})

    assert (snapshot.name, snapshot.topic) == (name, topic)
    for sought in (subscription, other):
        (again,) = pull(pubsub, sought)
        assert again.message.data == b"after"


def test_snapshots_are_listed_changed_and_deleted(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    subscriber, name = pubsub.subscriber, new_name("snapshots")
    subscriber.create_snapshot(name=name, subscription=subscription)
    project = name.rpartition("/snapshots/")[0]

    listed = [snapshot.name for snapshot in subscriber.list_snapshots(project=project)]
    of_topic = list(pubsub.publisher.list_topic_snapshots(topic=topic))
    resource = subscriber.get_snapshot(snapshot=name)
    subscriber.delete_snapshot(snapshot=name)

    assert name in listed
    assert of_topic == [name]
    assert resource.topic == topic
    assert resource.expire_time > datetime.datetime.now(datetime.UTC)
    with pytest.raises(NotFound):
        subscriber.get_snapshot(snapshot=name)


@pytest.mark.usefixtures("ours_only")
def test_a_snapshots_labels_are_changed_with_a_mask(pubsub: Emulator, subscription: str) -> None:
    subscriber, name = pubsub.subscriber, new_name("snapshots")
    subscriber.create_snapshot(
        request={"name": name, "subscription": subscription, "labels": {"team": "x"}}
    )
    assert dict(subscriber.get_snapshot(snapshot=name).labels) == {"team": "x"}

    changed = subscriber.update_snapshot(
        request={
            "snapshot": {"name": name, "labels": {"team": "y"}},
            "update_mask": {"paths": ["labels"]},
        }
    )

    assert dict(changed.labels) == {"team": "y"}


def test_the_subscription_of_a_deleted_topic_keeps_its_messages(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    pubsub.publish(topic, b"data")

    pubsub.publisher.delete_topic(topic=topic)

    assert pubsub.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    assert pull(pubsub, subscription)[0].message.data == b"data"


@pytest.mark.usefixtures("ours_only")
def test_a_detached_subscription_cannot_be_pulled(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    pubsub.publish(topic, b"data")

    pubsub.publisher.detach_subscription(request={"subscription": subscription})

    assert pubsub.subscriber.get_subscription(subscription=subscription).detached
    assert list(pubsub.publisher.list_topic_subscriptions(topic=topic)) == []
    with pytest.raises(FailedPrecondition):
        pubsub.subscriber.pull(subscription=subscription, max_messages=1, timeout=10)


def test_a_push_subscription_becomes_a_pull_subscription(pubsub: Emulator, topic: str) -> None:
    endpoint = "http://127.0.0.1:9/unused"
    subscription = pubsub.subscribe(topic, push_config={"push_endpoint": endpoint})
    resource = pubsub.subscriber.get_subscription(subscription=subscription)
    assert resource.push_config.push_endpoint == endpoint
    pubsub.publish(topic, b"data")

    pubsub.subscriber.modify_push_config(subscription=subscription, push_config={})

    def pulled() -> list[Any]:
        return pull(pubsub, subscription)

    assert wait_until(pulled, "the message", 30)[0].message.data == b"data"
