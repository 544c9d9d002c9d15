"""IAM policies of topics, subscriptions and snapshots."""

from __future__ import annotations

from typing import Any

from tests.contract.behaviours import Group

from .backends import PubSub, refused

iam = Group("Access control (IAM)")

BINDINGS = [{"role": "roles/pubsub.publisher", "members": ["user:ann@example.com"]}]


def bindings_of(policy: Any) -> list[dict[str, Any]]:
    return [{"role": binding.role, "members": list(binding.members)} for binding in policy.bindings]


@iam("A new resource has a policy without bindings.", docs="API: IAMPolicy", google="UNIMPLEMENTED")
def test_new_resource(pubsub: PubSub) -> None:
    policy = pubsub.call("get_iam_policy", resource=pubsub.topic())

    assert bindings_of(policy) == []


@iam(
    "A policy that was set is returned from then on.", docs="API: IAMPolicy", google="UNIMPLEMENTED"
)
def test_set(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    answer = pubsub.call("set_iam_policy", resource=topic, policy={"bindings": BINDINGS})

    policy = pubsub.call("get_iam_policy", resource=topic)
    assert bindings_of(answer) == bindings_of(policy) == BINDINGS
    assert answer.etag == policy.etag != b""


@iam("Subscriptions have policies.", docs="Access control", google="UNIMPLEMENTED")
def test_subscription(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    pubsub.call("set_iam_policy", resource=subscription, policy={"bindings": BINDINGS})

    assert bindings_of(pubsub.call("get_iam_policy", resource=subscription)) == BINDINGS


@iam("Snapshots have policies.", docs="Access control", google="INVALID_ARGUMENT")
def test_snapshot(pubsub: PubSub) -> None:
    name = pubsub.name("snapshots")
    pubsub.call("create_snapshot", name=name, subscription=pubsub.subscription())

    pubsub.call("set_iam_policy", resource=name, policy={"bindings": BINDINGS})

    assert bindings_of(pubsub.call("get_iam_policy", resource=name)) == BINDINGS


@iam(
    "The policy of a resource that does not exist is NOT_FOUND.",
    docs="API: IAMPolicy",
    google="UNIMPLEMENTED",
)
def test_missing(pubsub: PubSub) -> None:
    name = pubsub.name("topics")

    with refused("NOT_FOUND"):
        pubsub.call("get_iam_policy", resource=name)
    with refused("NOT_FOUND"):
        pubsub.call("set_iam_policy", resource=name, policy={"bindings": BINDINGS})


@iam(
    "A policy with an outdated etag is not set: ABORTED.",
    docs="API: IAMPolicy",
    google="UNIMPLEMENTED",
)
def test_outdated_etag(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    first = pubsub.call("set_iam_policy", resource=topic, policy={"bindings": BINDINGS})
    pubsub.call("set_iam_policy", resource=topic, policy={"bindings": []})

    with refused("ABORTED"):
        pubsub.call("set_iam_policy", resource=topic, policy={"etag": first.etag})


@iam(
    "testIamPermissions returns the permissions that the caller has: here all.",
    docs="API: IAMPolicy",
    google="UNIMPLEMENTED",
)
def test_permissions(pubsub: PubSub) -> None:
    asked = ["pubsub.topics.publish", "pubsub.topics.get"]

    answer = pubsub.call("test_iam_permissions", resource=pubsub.topic(), permissions=asked)

    assert list(answer.permissions) == asked


@iam(
    "On a resource that does not exist it returns none, and no error.",
    docs="API: IAMPolicy",
    google="UNIMPLEMENTED",
)
def test_permissions_of_a_missing_resource(pubsub: PubSub) -> None:
    answer = pubsub.call(
        "test_iam_permissions",
        resource=pubsub.name("topics"),
        permissions=["pubsub.topics.publish"],
    )

    assert list(answer.permissions) == []


@iam(
    "A deleted topic's policy is not the one of a new topic of its name.",
    docs="API: Publisher",
    google="UNIMPLEMENTED",
)
def test_deleted_topic(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    pubsub.call("set_iam_policy", resource=topic, policy={"bindings": BINDINGS})
    pubsub.call("delete_topic", topic=topic)

    pubsub.topic(name=topic)

    assert bindings_of(pubsub.call("get_iam_policy", resource=topic)) == []


iam.only_in_the_cloud("Calls without the permission are PERMISSION_DENIED.", docs="Access control")
iam.only_in_the_cloud(
    "A new policy takes effect within minutes, not at once.", docs="Access control"
)
