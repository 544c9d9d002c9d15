"""The names that topics, subscriptions and snapshots may have, and their labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, refused

names = Group("Names and labels")


@names("An id has 3 to 255 characters.", docs="API: Topic")
def test_length(pubsub: PubSub) -> None:
    pubsub.topic(name=pubsub.name("topics", "abc"))
    pubsub.topic(name=pubsub.name("topics", "a" * 255))

    for id in ("ab", "a" * 256):
        with refused():
            pubsub.topic(name=pubsub.name("topics", id))


@names("An id begins with a letter.", docs="API: Topic")
@pytest.mark.parametrize("id", ["1abc", "-abc", "_abc", ".abc", "~abc", "%abc"])
def test_first_character(pubsub: PubSub, id: str) -> None:
    with refused():
        pubsub.topic(name=pubsub.name("topics", id))


@names("An id may hold letters, digits and any of `- _ . ~ + %`.", docs="API: Topic")
def test_characters(pubsub: PubSub) -> None:
    name = pubsub.name("topics", "aZ09-_.~+%")

    assert pubsub.topic(name=name) == name
    assert pubsub.call("get_topic", topic=name).name == name


@names("An id holds no other character.", docs="API: Topic")
@pytest.mark.parametrize("id", ["ab c", "ab/c", "ab:c", "abc!", "abç", "ab#c", "ab@c"])
def test_other_characters(pubsub: PubSub, id: str) -> None:
    with refused():
        pubsub.topic(name=pubsub.name("topics", id))


@names("An id does not begin with `goog`.", docs="API: Topic")
def test_goog(pubsub: PubSub) -> None:
    with refused():
        pubsub.topic(name=pubsub.name("topics", "google-news"))


@names("Capital letters are others: `GoogTopic` is a fine id.", docs="API: Topic")
@pytest.mark.parametrize("id", ["GoogTopic", "Google-news", "gOOg"])
def test_capital_goog(pubsub: PubSub, id: str) -> None:
    topic = pubsub.topic(name=pubsub.name("topics", id))

    assert pubsub.subscription(topic, name=pubsub.name("subscriptions", id)).endswith(id)


@names("A topic's name has the form projects/P/topics/T.", docs="API: Topic")
@pytest.mark.parametrize("name", ["", "topic", "topics/abc", "projects/p-1/queues/abc"])
def test_form(pubsub: PubSub, name: str) -> None:
    with refused():
        pubsub.call("create_topic", name=name)


MALFORMED = ["", "abc", "{kind}/abc", "projects/p-1/{kind}/", "projects/p-1/{kind}/ab"]
MALFORMED += ["projects/p-1/{kind}/1abc", "projects/p-1/{kind}/goog-abc", "projects/p-1/jobs/abc"]
TOPIC_METHODS: dict[str, dict[str, Any]] = {
    "get_topic": {},
    "delete_topic": {},
    "publish": {"messages": [{"data": b"x"}]},
    "list_topic_subscriptions": {},
    "list_topic_snapshots": {},
}
SUBSCRIPTION_METHODS: dict[str, dict[str, Any]] = {
    "get_subscription": {},
    "delete_subscription": {},
    "pull": {"max_messages": 1},
    "acknowledge": {"ack_ids": ["a"]},
    "modify_ack_deadline": {"ack_ids": ["a"], "ack_deadline_seconds": 10},
    "modify_push_config": {"push_config": {}},
    "seek": {"time": {"seconds": 1_700_000_000}},
}


@names("A malformed name is INVALID_ARGUMENT to every method.", docs="API: Topic")
@pytest.mark.parametrize("form", MALFORMED)
def test_malformed(pubsub: PubSub, form: str) -> None:
    kinds = {"topic": TOPIC_METHODS, "subscription": SUBSCRIPTION_METHODS}
    kinds["snapshot"] = {"get_snapshot": {}, "delete_snapshot": {}}
    for kind, methods in kinds.items():
        name = form.format(kind=f"{kind}s")
        for method, fields in methods.items():
            with refused():
                pubsub.call(method, **{kind: name}, **fields)
    mask = {"paths": ["message_retention_duration"]}
    with refused():
        pubsub.call("update_topic", topic={"name": form.format(kind="topics")}, update_mask=mask)
    subscription = {"name": form.format(kind="subscriptions")}
    with refused():
        pubsub.call("update_subscription", subscription=subscription, update_mask=mask)
    with refused():
        pubsub.call("get_iam_policy", resource=form.format(kind="topics"))


@names(
    "A malformed name of a subscription is INVALID_ARGUMENT to detach.",
    docs="API: Topic",
    google="UNIMPLEMENTED",
)
@pytest.mark.parametrize("form", MALFORMED)
def test_malformed_to_detach(pubsub: PubSub, form: str) -> None:
    with refused():
        pubsub.call("detach_subscription", subscription=form.format(kind="subscriptions"))


@names(
    "A malformed name of a subscription is INVALID_ARGUMENT to take a snapshot of.",
    docs="API: Topic",
    google="NOT_FOUND",
)
@pytest.mark.parametrize("form", MALFORMED)
def test_malformed_to_take_a_snapshot_of(pubsub: PubSub, form: str) -> None:
    subscription = form.format(kind="subscriptions")

    with refused():
        pubsub.call("create_snapshot", name=pubsub.name("snapshots"), subscription=subscription)


@names("A malformed project is INVALID_ARGUMENT to list.", docs="API: Topic", google="UNKNOWN")
@pytest.mark.parametrize("method", ["list_topics", "list_subscriptions", "list_snapshots"])
@pytest.mark.parametrize("project", ["", "p-1"])
def test_malformed_project(pubsub: PubSub, method: str, project: str) -> None:
    with refused():
        pubsub.call(method, project=project)


@names("A subscription's id follows the rules of a topic's.", docs="API: Subscription")
@pytest.mark.parametrize("id", ["ab", "a" * 256, "1abc", "ab c", "abc!", "goog-abc"])
def test_subscription(pubsub: PubSub, id: str) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, name=pubsub.name("subscriptions", id))


@names("A snapshot's id follows them too.", docs="API: Subscriber")
@pytest.mark.parametrize("id", ["ab", "a" * 256, "1abc", "abc!", "goog-abc"])
def test_snapshot(pubsub: PubSub, id: str) -> None:
    subscription = pubsub.subscription()

    with refused():
        pubsub.call("create_snapshot", name=pubsub.name("snapshots", id), subscription=subscription)


@names("A subscription's topic has the form projects/P/topics/T.", docs="API: Subscription")
@pytest.mark.parametrize("topic", ["topic", "projects/p-1/subscriptions/abc"])
def test_form_of_a_subscriptions_topic(pubsub: PubSub, topic: str) -> None:
    with refused():
        pubsub.subscription(topic)


@names("A subscription may follow a topic of another project.", docs="API: Subscription")
def test_topic_of_another_project(pubsub: PubSub) -> None:
    topic = pubsub.topic(name=f"{pubsub.project}-other/topics/abc")
    subscription = pubsub.subscription(topic)

    pubsub.publish(topic, b"hello")

    assert len(pubsub.pull(subscription)) == 1


@names("The same id in two projects is two topics.", docs="API: Topic")
def test_projects_are_apart(pubsub: PubSub) -> None:
    pubsub.topic(name=pubsub.name("topics", "abc"))

    with refused("NOT_FOUND"):
        pubsub.call("get_topic", topic=f"{pubsub.project}-other/topics/abc")


@names("Label keys and values are lower-case letters, digits, `-` and `_`.", docs="Labels")
@pytest.mark.parametrize("label", [("team-a_1", "x-1_y"), ("empty", ""), ("clé", "à-bientôt")])
def test_labels(pubsub: PubSub, label: tuple[str, str]) -> None:
    name = pubsub.topic(labels=dict([label]))

    assert dict(pubsub.call("get_topic", topic=name).labels) == dict([label])


@names(
    "Labels with other characters are INVALID_ARGUMENT.", docs="Labels", google="takes any label"
)
@pytest.mark.parametrize("label", [("Team", "x"), ("team", "X"), ("a b", "x"), ("a", "x.y")])
def test_characters_of_labels(pubsub: PubSub, label: tuple[str, str]) -> None:
    with refused():
        pubsub.topic(labels=dict([label]))


@names(
    "A label's key is not empty and begins with a letter.", docs="Labels", google="takes any label"
)
@pytest.mark.parametrize("key", ["", "1a", "-a", "_a"])
def test_keys_of_labels(pubsub: PubSub, key: str) -> None:
    with refused():
        pubsub.topic(labels={key: "x"})


@names(
    "A label's key and its value have at most 63 characters each.",
    docs="Labels",
    google="takes any label",
)
def test_length_of_labels(pubsub: PubSub) -> None:
    pubsub.topic(labels={"k" * 63: "v" * 63})

    for labels in ({"k" * 64: "v"}, {"k": "v" * 64}):
        with refused():
            pubsub.topic(labels=labels)


@names("A resource has at most 64 labels.", docs="Labels", google="takes any number")
def test_number_of_labels(pubsub: PubSub) -> None:
    pubsub.topic(labels={f"k{number}": "" for number in range(64)})

    with refused():
        pubsub.topic(labels={f"k{number}": "" for number in range(65)})


@names(
    "A subscription's labels follow the rules of a topic's.",
    docs="Labels",
    google="takes any label",
)
def test_labels_of_subscriptions(pubsub: PubSub) -> None:
    name = pubsub.subscription(labels={"team": "data"})

    assert dict(pubsub.call("get_subscription", subscription=name).labels) == {"team": "data"}
    with refused():
        pubsub.subscription(labels={"Team": "data"})
