"""Topics and subscriptions with google-cloud-pubsub: settings, masks, pages, policies, errors."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    GoogleAPICallError,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
)
from google.iam.v1.policy_pb2 import Policy
from google.pubsub_v1.types import ExpirationPolicy, Subscription

from tests.integration.emulator import PROJECT, Emulator, new_name

pytestmark = pytest.mark.slow

OF_PROJECT = f"projects/{PROJECT}"


def test_a_topic_is_created_found_listed_and_deleted(pubsub: Emulator) -> None:
    publisher, name = pubsub.publisher, new_name("topics")

    created = publisher.create_topic(request={"name": name, "labels": {"team": "x"}})

    assert (created.name, dict(created.labels)) == (name, {"team": "x"})
    assert publisher.get_topic(topic=name) == created
    assert created in list(publisher.list_topics(project=OF_PROJECT))
    publisher.delete_topic(topic=name)
    with pytest.raises(NotFound):
        publisher.get_topic(topic=name)
    with pytest.raises(NotFound):
        publisher.delete_topic(topic=name)


def test_a_topic_is_changed_with_a_mask(pubsub: Emulator, topic: str) -> None:
    changed = pubsub.publisher.update_topic(
        request={
            "topic": {
                "name": topic,
                "message_retention_duration": datetime.timedelta(days=1),
                "labels": {"not": "in-the-mask"},
            },
            "update_mask": {"paths": ["message_retention_duration"]},
        }
    )

    assert changed.message_retention_duration == datetime.timedelta(days=1)
    assert dict(changed.labels) == {}
    assert pubsub.publisher.get_topic(topic=topic) == changed


@pytest.mark.usefixtures("ours_only")
def test_a_topics_labels_are_changed_with_a_mask(pubsub: Emulator, topic: str) -> None:
    changed = pubsub.publisher.update_topic(
        request={
            "topic": {"name": topic, "labels": {"team": "y"}},
            "update_mask": {"paths": ["labels"]},
        }
    )

    assert dict(changed.labels) == {"team": "y"}


def test_names_are_taken_once(pubsub: Emulator, topic: str, subscription: str) -> None:
    with pytest.raises(AlreadyExists):
        pubsub.publisher.create_topic(name=topic)
    with pytest.raises(AlreadyExists):
        pubsub.subscriber.create_subscription(name=subscription, topic=topic)


@pytest.mark.parametrize(
    "name", ["", "t", "projects/p/topics/", "projects/p/topics/1x", "projects/p/topics/a b"]
)
def test_an_invalid_name_is_refused(pubsub: Emulator, name: str) -> None:
    with pytest.raises(InvalidArgument):
        pubsub.publisher.create_topic(name=name)


def test_a_subscription_keeps_every_setting(pubsub: Emulator, topic: str) -> None:
    request = {
        "name": new_name("subscriptions"),
        "topic": topic,
        "ack_deadline_seconds": 30,
        "retain_acked_messages": True,
        "message_retention_duration": {"seconds": 911},
        "expiration_policy": {"ttl": {"seconds": 90210}},
        "enable_message_ordering": True,
        "enable_exactly_once_delivery": True,
        "filter": 'attributes.colour = "red"',
        "labels": {"team": "x"},
        "retry_policy": {"minimum_backoff": {"seconds": 5}, "maximum_backoff": {"seconds": 60}},
        "dead_letter_policy": {
            "dead_letter_topic": pubsub.create_topic(),
            "max_delivery_attempts": 7,
        },
    }

    created = pubsub.subscriber.create_subscription(request)

    wanted = Subscription(request)
    assert {name: getattr(created, name) for name in request} == {
        name: getattr(wanted, name) for name in request
    }
    assert pubsub.subscriber.get_subscription(subscription=created.name) == created
    listed = pubsub.subscriber.list_subscriptions(project=OF_PROJECT)
    assert [resource for resource in listed if resource.topic == topic] == [created]


@pytest.mark.usefixtures("ours_only")
def test_a_subscription_gets_the_documented_defaults(pubsub: Emulator, topic: str) -> None:
    created = pubsub.subscriber.create_subscription(name=new_name("subscriptions"), topic=topic)

    assert created.ack_deadline_seconds == 10
    assert created.message_retention_duration == datetime.timedelta(days=7)
    assert created.expiration_policy.ttl == datetime.timedelta(days=31)
    assert created.state is Subscription.State.ACTIVE
    never = pubsub.subscriber.create_subscription(
        request={
            "name": new_name("subscriptions"),
            "topic": topic,
            "expiration_policy": ExpirationPolicy(),
        }
    )
    assert "expiration_policy" in never
    assert "ttl" not in never.expiration_policy


def test_a_subscription_is_changed_with_a_mask(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    """As in the samples: push endpoint, dead-letter policy, deadline; and back again."""
    dead_letter_topic = pubsub.create_topic()

    def update(*paths: str, **settings: Any) -> Subscription:
        request = {
            "subscription": {"name": subscription, "topic": topic, **settings},
            "update_mask": {"paths": list(paths)},
        }
        return pubsub.subscriber.update_subscription(request)

    endpoint = {"push_endpoint": "http://127.0.0.1:9/push", "attributes": {"x-goog-version": "v1"}}
    changed = update("push_config", push_config=endpoint, ack_deadline_seconds=99)
    assert changed.push_config.push_endpoint == endpoint["push_endpoint"]
    assert changed.ack_deadline_seconds == 10
    policy = {"dead_letter_topic": dead_letter_topic, "max_delivery_attempts": 9}
    changed = update(
        "dead_letter_policy",
        "ack_deadline_seconds",
        "push_config",
        dead_letter_policy=policy,
        ack_deadline_seconds=77,
        push_config={},
    )
    assert changed.dead_letter_policy.max_delivery_attempts == 9
    assert changed.ack_deadline_seconds == 77
    assert not changed.push_config.push_endpoint
    removed = update("dead_letter_policy")
    assert not removed.dead_letter_policy.dead_letter_topic
    assert pubsub.subscriber.get_subscription(subscription=subscription) == removed


@pytest.mark.usefixtures("ours_only")
def test_a_mask_may_name_a_field_of_a_field(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    """As the samples of dead-letter policies do."""
    policy = {"dead_letter_topic": pubsub.create_topic(), "max_delivery_attempts": 9}
    paths = ["dead_letter_policy.dead_letter_topic", "dead_letter_policy.max_delivery_attempts"]

    changed = pubsub.subscriber.update_subscription(
        request={
            "subscription": {"name": subscription, "topic": topic, "dead_letter_policy": policy},
            "update_mask": {"paths": paths},
        }
    )

    assert changed.dead_letter_policy.dead_letter_topic == policy["dead_letter_topic"]
    assert changed.dead_letter_policy.max_delivery_attempts == 9


def test_what_cannot_be_changed_is_refused(pubsub: Emulator, topic: str, subscription: str) -> None:
    other = {"name": subscription, "topic": pubsub.create_topic()}

    for mask in ({"paths": ["topic"]}, {"paths": ["no_such_field"]}):
        with pytest.raises(InvalidArgument):
            pubsub.subscriber.update_subscription(
                request={"subscription": other, "update_mask": mask}
            )


def test_lists_come_in_pages(pubsub: Emulator) -> None:
    project = new_name("topics").replace("/topics/t-", "-")  # used by no other test
    topics = [f"{project}/topics/topic-{n}" for n in range(5)]
    subscriptions = [f"{project}/subscriptions/sub-{n}" for n in range(5)]
    for name in topics:
        pubsub.publisher.create_topic(name=name)
    for name in subscriptions:
        pubsub.subscriber.create_subscription(name=name, topic=topics[0])

    of_topics = pubsub.publisher.list_topics(request={"project": project, "page_size": 2})
    of_subscriptions = pubsub.subscriber.list_subscriptions(
        request={"project": project, "page_size": 2}
    )
    of_topic = pubsub.publisher.list_topic_subscriptions(
        request={"topic": topics[0], "page_size": 2}
    )

    assert [len(page.topics) for page in of_topics.pages] == [2, 2, 1]
    assert sorted(resource.name for resource in of_subscriptions) == subscriptions
    assert sorted(of_topic) == subscriptions


Call = Callable[[Emulator], Any]
MISSING_TOPIC, MISSING = new_name("topics"), new_name("subscriptions")
CALLS: dict[str, Call] = {
    "get_topic": lambda on: on.publisher.get_topic(topic=MISSING_TOPIC),
    "update_topic": lambda on: on.publisher.update_topic(
        request={
            "topic": {"name": MISSING_TOPIC, "message_retention_duration": {"seconds": 86400}},
            "update_mask": {"paths": ["message_retention_duration"]},
        }
    ),
    "create_subscription": lambda on: on.subscriber.create_subscription(
        name=MISSING, topic=MISSING_TOPIC
    ),
    "get_subscription": lambda on: on.subscriber.get_subscription(subscription=MISSING),
    "pull": lambda on: on.subscriber.pull(subscription=MISSING, max_messages=1, timeout=10),
    "acknowledge": lambda on: on.subscriber.acknowledge(subscription=MISSING, ack_ids=["x"]),
    "modify_push_config": lambda on: on.subscriber.modify_push_config(
        subscription=MISSING, push_config={}
    ),
    "delete_subscription": lambda on: on.subscriber.delete_subscription(subscription=MISSING),
    "create_snapshot": lambda on: on.subscriber.create_snapshot(
        name=new_name("snapshots"), subscription=MISSING
    ),
    "delete_snapshot": lambda on: on.subscriber.delete_snapshot(snapshot=new_name("snapshots")),
    "seek": lambda on: on.subscriber.seek(
        request={"subscription": MISSING, "time": datetime.datetime.now(datetime.UTC)}
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_missing_is_not_found(pubsub: Emulator, call: Call) -> None:
    with pytest.raises(NotFound):
        call(pubsub)


@pytest.mark.usefixtures("ours_only")
def test_the_subscriptions_of_a_missing_topic_are_not_found(pubsub: Emulator) -> None:
    with pytest.raises(NotFound):
        list(pubsub.publisher.list_topic_subscriptions(topic=MISSING_TOPIC))


@pytest.mark.usefixtures("ours_only")
@pytest.mark.parametrize("kind", ["topic", "subscription"])
def test_a_policy_is_set_and_read_back(
    pubsub: Emulator, topic: str, subscription: str, kind: str
) -> None:
    client = pubsub.publisher if kind == "topic" else pubsub.subscriber
    resource = topic if kind == "topic" else subscription
    policy = client.get_iam_policy(request={"resource": resource})
    assert list(policy.bindings) == []

    policy.bindings.add(role="roles/pubsub.editor", members=["domain:google.com"])
    policy.bindings.add(role="roles/pubsub.viewer", members=["group:logs@google.com"])
    new_policy = client.set_iam_policy(request={"resource": resource, "policy": policy})

    policy = client.get_iam_policy(request={"resource": resource})
    assert policy == new_policy
    assert {binding.role: list(binding.members) for binding in policy.bindings} == {
        "roles/pubsub.editor": ["domain:google.com"],
        "roles/pubsub.viewer": ["group:logs@google.com"],
    }
    policy.etag = b"an old one"
    with pytest.raises(GoogleAPICallError):
        client.set_iam_policy(request={"resource": resource, "policy": policy})


@pytest.mark.usefixtures("ours_only")
def test_permissions_are_tested(pubsub: Emulator, topic: str, subscription: str) -> None:
    of_topic = ["pubsub.topics.attachSubscription", "pubsub.topics.publish"]
    of_subscription = ["pubsub.subscriptions.consume", "pubsub.subscriptions.update"]

    allowed = pubsub.publisher.test_iam_permissions(
        request={"resource": topic, "permissions": of_topic}
    )
    also = pubsub.subscriber.test_iam_permissions(
        request={"resource": subscription, "permissions": of_subscription}
    )

    assert list(allowed.permissions) == of_topic
    assert list(also.permissions) == of_subscription


@pytest.mark.usefixtures("ours_only")
def test_the_policy_of_what_does_not_exist_is_not_found(pubsub: Emulator) -> None:
    resource = new_name("topics")

    with pytest.raises(NotFound):
        pubsub.publisher.get_iam_policy(request={"resource": resource})
    with pytest.raises(NotFound):
        pubsub.publisher.set_iam_policy(request={"resource": resource, "policy": Policy()})


@pytest.mark.usefixtures("ours_only")
def test_a_subscription_to_bigquery_says_that_it_is_not_implemented(
    pubsub: Emulator, topic: str
) -> None:
    with pytest.raises((MethodNotImplemented, InvalidArgument), match=r"(?i)big_?query"):
        pubsub.subscribe(topic, bigquery_config={"table": "p.d.t"})
