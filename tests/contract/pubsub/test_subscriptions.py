"""Subscriptions: create, get, list, detach, delete."""

from __future__ import annotations

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, refused

subscriptions = Group("Subscriptions")

DAY = 24 * 60 * 60


@subscriptions(
    "Creating a subscription returns it, with its name and topic.", docs="API: Subscriber"
)
def test_create(pubsub: PubSub) -> None:
    topic, name = pubsub.topic(), pubsub.name("subscriptions")

    resource = pubsub.call("create_subscription", name=name, topic=topic)

    assert (resource.name, resource.topic) == (name, topic)
    assert resource == pubsub.get_subscription(name)


@subscriptions(
    "A subscription that exists is not created again: ALREADY_EXISTS.", docs="API: Subscriber"
)
def test_create_twice(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()

    with refused("ALREADY_EXISTS"):
        pubsub.subscription(topic, name=name)


@subscriptions(
    "A subscription to a topic that does not exist is NOT_FOUND.", docs="API: Subscriber"
)
def test_create_for_a_missing_topic(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.subscription(pubsub.name("topics"))


@subscriptions("A subscription created without a name gets a random one.", docs="API: Subscriber")
def test_random_name(pubsub: PubSub) -> None:
    resource = pubsub.call("create_subscription", topic=pubsub.topic())

    assert resource.name.startswith(f"{pubsub.project}/subscriptions/")
    assert pubsub.call("get_subscription", subscription=resource.name) == resource


@subscriptions("The ack deadline is 10 s if none is given.", docs="API: Subscription")
def test_default_ack_deadline(pubsub: PubSub) -> None:
    resource = pubsub.get_subscription(pubsub.subscription())

    assert resource.ack_deadline_seconds == 10


@subscriptions("Messages are kept for 7 days if nothing else is given.", docs="API: Subscription")
def test_default_retention(pubsub: PubSub) -> None:
    resource = pubsub.get_subscription(pubsub.subscription())

    assert resource.message_retention_duration.total_seconds() == 7 * DAY


@subscriptions(
    "A subscription expires after 31 days unused if nothing else is given.",
    docs="API: Subscription",
    google="none",
)
def test_default_expiry(pubsub: PubSub) -> None:
    resource = pubsub.get_subscription(pubsub.subscription())

    assert resource.expiration_policy.ttl.total_seconds() == 31 * DAY


@subscriptions(
    "An expiration policy without a ttl means that it never expires.", docs="API: Subscription"
)
def test_never_expires(pubsub: PubSub) -> None:
    name = pubsub.subscription(expiration_policy={})

    resource = pubsub.get_subscription(name)

    assert "expiration_policy" in resource
    assert "ttl" not in resource.expiration_policy


@subscriptions(
    "Ordering, exactly-once, dead letters, retries and filter are off by default.",
    docs="API: Subscription",
)
def test_default_features(pubsub: PubSub) -> None:
    resource = pubsub.get_subscription(pubsub.subscription())

    assert not resource.enable_message_ordering
    assert not resource.enable_exactly_once_delivery
    assert not resource.retain_acked_messages
    assert not resource.detached
    assert "dead_letter_policy" not in resource
    assert "retry_policy" not in resource
    assert resource.filter == resource.push_config.push_endpoint == ""


@subscriptions(
    "A subscription's state is ACTIVE.", docs="API: Subscription", google="STATE_UNSPECIFIED"
)
def test_state(pubsub: PubSub) -> None:
    resource = pubsub.get_subscription(pubsub.subscription())

    assert resource.state.name == "ACTIVE"


@subscriptions("A subscription keeps all that it was created with.", docs="API: Subscription")
def test_everything_given(pubsub: PubSub) -> None:
    dead = pubsub.topic()
    fields = {
        "ack_deadline_seconds": 42,
        "retain_acked_messages": True,
        "message_retention_duration": {"seconds": DAY},
        "labels": {"team": "data"},
        "enable_message_ordering": True,
        "expiration_policy": {"ttl": {"seconds": 2 * DAY}},
        "filter": "attributes:a",
        "dead_letter_policy": {"dead_letter_topic": dead, "max_delivery_attempts": 7},
        "retry_policy": {"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 9}},
    }

    resource = pubsub.get_subscription(pubsub.subscription(**fields))

    assert resource.ack_deadline_seconds == 42
    assert resource.retain_acked_messages
    assert resource.message_retention_duration.total_seconds() == DAY
    assert dict(resource.labels) == {"team": "data"}
    assert resource.enable_message_ordering
    assert resource.expiration_policy.ttl.total_seconds() == 2 * DAY
    assert resource.filter == "attributes:a"
    assert resource.dead_letter_policy.dead_letter_topic == dead
    assert resource.dead_letter_policy.max_delivery_attempts == 7
    assert resource.retry_policy.minimum_backoff.total_seconds() == 1
    assert resource.retry_policy.maximum_backoff.total_seconds() == 9


@subscriptions(
    "A subscription tells its topic's retention.",
    docs="API: Subscription",
    google="does not tell it",
)
def test_topics_retention(pubsub: PubSub) -> None:
    topic = pubsub.topic(message_retention_duration={"seconds": DAY})

    resource = pubsub.get_subscription(pubsub.subscription(topic))

    assert resource.topic_message_retention_duration.total_seconds() == DAY


@subscriptions("A subscription that does not exist is NOT_FOUND to get.", docs="Error codes")
def test_get_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.get_subscription(pubsub.name("subscriptions"))


@subscriptions("Listing returns the project's subscriptions.", docs="API: Subscriber")
def test_list(pubsub: PubSub) -> None:
    names = {pubsub.subscription() for _ in range(3)}

    listed = pubsub.call("list_subscriptions", project=pubsub.project)

    assert {resource.name for resource in listed} == names


@subscriptions(
    "A list comes in pages of at most `page_size`, each one once.", docs="API: Subscriber"
)
def test_list_pages(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    names = sorted(pubsub.subscription(topic) for _ in range(3))

    pages = pubsub.call("list_subscriptions", project=pubsub.project, page_size=2).pages
    listed = [[resource.name for resource in page.subscriptions] for page in pages]

    assert [len(page) for page in listed] == [2, 1]
    assert sorted(listed[0] + listed[1]) == names


@subscriptions("A deleted subscription is NOT_FOUND to get and to pull.", docs="API: Subscriber")
def test_delete(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    pubsub.call("delete_subscription", subscription=name)

    with refused("NOT_FOUND"):
        pubsub.get_subscription(name)
    with refused("NOT_FOUND"):
        pubsub.pull_now(name)


@subscriptions("A subscription that does not exist is NOT_FOUND to delete.", docs="Error codes")
def test_delete_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("delete_subscription", subscription=pubsub.name("subscriptions"))


@subscriptions("Deleting a subscription drops its messages.", docs="API: Subscriber")
def test_delete_drops_messages(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()
    pubsub.publish(topic, b"old")
    pubsub.call("delete_subscription", subscription=name)

    pubsub.subscription(topic, name=name)
    pubsub.publish(topic, b"new")

    assert data_of(pubsub.pull(name)) == [b"new"]
    assert pubsub.pull_now(name) == []


@subscriptions("When its topic is deleted, its topic is `_deleted-topic_`.", docs="API: Publisher")
def test_deleted_topic(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()

    pubsub.call("delete_topic", topic=topic)

    assert pubsub.get_subscription(name).topic == "_deleted-topic_"


@subscriptions(
    "Messages that a deleted topic left in its subscriptions are still delivered.",
    docs="API: Publisher",
)
def test_messages_of_a_deleted_topic(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()
    pubsub.publish(topic, b"left")

    pubsub.call("delete_topic", topic=topic)

    assert data_of(pubsub.pull(name)) == [b"left"]


@subscriptions(
    "A detached subscription says so.", docs="Detach subscriptions", google="UNIMPLEMENTED"
)
def test_detach(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()

    pubsub.call("detach_subscription", subscription=name)

    assert pubsub.get_subscription(name).detached
    assert list(pubsub.call("list_topic_subscriptions", topic=topic).subscriptions) == []


@subscriptions(
    "Pull from a detached subscription is FAILED_PRECONDITION.",
    docs="API: Subscription",
    google="UNIMPLEMENTED",
)
def test_pull_from_detached(pubsub: PubSub) -> None:
    topic, name = pubsub.subscribed_topic()
    pubsub.publish(topic, b"dropped")

    pubsub.call("detach_subscription", subscription=name)

    with refused("FAILED_PRECONDITION"):
        pubsub.pull_now(name)


@subscriptions(
    "A subscription that does not exist is NOT_FOUND to detach.",
    docs="Error codes",
    google="UNIMPLEMENTED",
)
def test_detach_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("detach_subscription", subscription=pubsub.name("subscriptions"))


subscriptions.only_in_the_cloud(
    "An unused subscription is deleted after its ttl, in days at the least.",
    docs="API: ExpirationPolicy",
)
