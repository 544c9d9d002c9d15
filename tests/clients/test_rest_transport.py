"""The REST transport of google-cloud-pubsub, over plain HTTP."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PubsubMessage, StreamingPullRequest

from tests.integration.emulator import PROJECT, new_name

from .endpoint import Endpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def options(endpoint: Endpoint) -> dict[str, Any]:
    """Make a client use plain HTTP: a scheme in the endpoint, and no account."""
    return {
        "transport": "rest",
        "credentials": AnonymousCredentials(),
        "client_options": {"api_endpoint": endpoint.url},
    }


@pytest.fixture
def publisher(options: dict[str, Any]) -> Iterator[PublisherClient]:
    with PublisherClient(**options) as client:
        yield client


@pytest.fixture
def subscriber(options: dict[str, Any]) -> Iterator[SubscriberClient]:
    with SubscriberClient(**options) as client:
        yield client


@pytest.fixture
def topic(publisher: PublisherClient) -> str:
    return str(publisher.create_topic(name=new_name("topics")).name)


@pytest.fixture
def subscription(subscriber: SubscriberClient, topic: str) -> str:
    created = subscriber.create_subscription(name=new_name("subscriptions"), topic=topic)
    return str(created.name)


def publish(publisher: PublisherClient, topic: str, data: bytes, **attributes: str) -> str:
    messages = [PubsubMessage(data=data, attributes=attributes)]
    (message_id,) = publisher.publish(topic=topic, messages=messages).message_ids
    return str(message_id)


def pull(subscriber: SubscriberClient, subscription: str) -> Any:
    response = subscriber.pull(subscription=subscription, max_messages=10, timeout=20)
    (received,) = response.received_messages
    return received


def test_a_message_is_published_pulled_and_acknowledged(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    message_id = publish(publisher, topic, b"\x00\xff bytes", colour="bleu é")

    received = pull(subscriber, subscription)

    assert received.message.message_id == message_id
    assert received.message.data == b"\x00\xff bytes"
    assert dict(received.message.attributes) == {"colour": "bleu é"}
    age = datetime.datetime.now(datetime.UTC) - received.message.publish_time
    assert abs(age) < datetime.timedelta(minutes=1)
    subscriber.modify_ack_deadline(
        subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=20
    )
    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
    publish(publisher, topic, b"next")
    assert pull(subscriber, subscription).message.data == b"next"


def test_an_ordering_key_passes(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    message = PubsubMessage(data=b"data", ordering_key="a/b c")
    publisher.publish(topic=topic, messages=[message])

    assert pull(subscriber, subscription).message.ordering_key == "a/b c"


def test_resources_are_found_listed_and_deleted(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    project = f"projects/{PROJECT}"

    assert publisher.get_topic(topic=topic).name == topic
    assert topic in {
        topic.name for topic in publisher.list_topics(request={"project": project, "page_size": 2})
    }
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [subscription]
    assert subscription in {
        resource.name for resource in subscriber.list_subscriptions(project=project)
    }
    subscriber.delete_subscription(subscription=subscription)
    publisher.delete_topic(topic=topic)
    with pytest.raises(NotFound):
        subscriber.get_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        publisher.get_topic(topic=topic)


def test_a_subscription_keeps_its_settings_and_is_changed_with_a_mask(
    subscriber: SubscriberClient, topic: str
) -> None:
    name = new_name("subscriptions")
    created = subscriber.create_subscription(
        request={
            "name": name,
            "topic": topic,
            "ack_deadline_seconds": 30,
            "retry_policy": {"minimum_backoff": {"seconds": 5}, "maximum_backoff": {"seconds": 60}},
            "message_retention_duration": {"seconds": 911},
            "labels": {"team": "x"},
            "enable_message_ordering": True,
        }
    )
    assert created.ack_deadline_seconds == 30
    assert created.retry_policy.minimum_backoff == datetime.timedelta(seconds=5)
    assert created.message_retention_duration == datetime.timedelta(seconds=911)
    assert dict(created.labels) == {"team": "x"}
    assert created.enable_message_ordering

    changed = subscriber.update_subscription(
        request={
            "subscription": {"name": name, "ack_deadline_seconds": 42, "labels": {}},
            "update_mask": {"paths": ["ack_deadline_seconds"]},
        }
    )

    assert (changed.ack_deadline_seconds, dict(changed.labels)) == (42, {"team": "x"})
    subscriber.modify_push_config(
        subscription=name, push_config={"push_endpoint": "http://127.0.0.1:9/x"}
    )
    resource = subscriber.get_subscription(subscription=name)
    assert resource.push_config.push_endpoint == "http://127.0.0.1:9/x"


def test_a_topic_is_changed_with_a_mask(publisher: PublisherClient, topic: str) -> None:
    changed = publisher.update_topic(
        request={
            "topic": {"name": topic, "message_retention_duration": datetime.timedelta(days=1)},
            "update_mask": {"paths": ["message_retention_duration"]},
        }
    )

    assert changed.message_retention_duration == datetime.timedelta(days=1)


def test_snapshots_and_seeking(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    name = new_name("snapshots")
    subscriber.create_snapshot(name=name, subscription=subscription)
    publish(publisher, topic, b"data")
    received = pull(subscriber, subscription)
    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])

    subscriber.seek(request={"subscription": subscription, "snapshot": name})

    assert pull(subscriber, subscription).message.data == b"data"
    assert subscriber.get_snapshot(snapshot=name).topic == topic
    assert list(publisher.list_topic_snapshots(topic=topic)) == [name]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    subscriber.seek(request={"subscription": subscription, "time": later})
    subscriber.delete_snapshot(snapshot=name)
    with pytest.raises(NotFound):
        subscriber.get_snapshot(snapshot=name)


def test_errors_have_their_classes(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str
) -> None:
    with pytest.raises(Conflict):
        publisher.create_topic(name=topic)
    with pytest.raises(NotFound):
        publish(publisher, new_name("topics"), b"data")
    with pytest.raises(BadRequest):
        publisher.publish(topic=topic, messages=[])
    with pytest.raises(NotFound):
        subscriber.pull(subscription=new_name("subscriptions"), max_messages=1, timeout=10)


def test_a_pull_may_return_at_once(subscriber: SubscriberClient, subscription: str) -> None:
    with pytest.warns(DeprecationWarning, match="return_immediately"):
        response = subscriber.pull(
            request={"subscription": subscription, "max_messages": 1, "return_immediately": True}
        )

    assert list(response.received_messages) == []


@pytest.mark.usefixtures("ours_only")
def test_policies_and_detaching(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    binding = {"role": "roles/pubsub.editor", "members": ["domain:google.com"]}
    publisher.set_iam_policy(request={"resource": topic, "policy": {"bindings": [binding]}})
    permissions = ["pubsub.topics.publish"]

    policy = publisher.get_iam_policy(request={"resource": topic})
    allowed = publisher.test_iam_permissions(
        request={"resource": topic, "permissions": permissions}
    )
    publisher.detach_subscription(request={"subscription": subscription})

    assert [list(each.members) for each in policy.bindings] == [["domain:google.com"]]
    assert list(allowed.permissions) == permissions
    assert subscriber.get_subscription(subscription=subscription).detached


def test_the_batching_publisher_works_over_rest(
    options: dict[str, Any], subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    publisher = pubsub_v1.PublisherClient(**options)

    futures = [publisher.publish(topic, b"%d" % n) for n in range(50)]
    ids = {future.result(timeout=30) for future in futures}

    received: set[str] = set()
    while len(received) < 50:
        response = subscriber.pull(subscription=subscription, max_messages=50, timeout=20)
        received |= {each.message.message_id for each in response.received_messages}
        ack_ids = [each.ack_id for each in response.received_messages]
        subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)
    assert received == ids
    publisher.stop()
    publisher.transport.close()


def test_the_client_has_no_streams_over_rest(
    subscriber: SubscriberClient, subscription: str
) -> None:
    request = StreamingPullRequest(subscription=subscription, stream_ack_deadline_seconds=10)

    with pytest.raises((NotImplementedError, GoogleAPICallError)):
        subscriber.streaming_pull(requests=iter([request]))
