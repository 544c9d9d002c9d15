"""Updates of subscriptions: fields that may change, and fields that may not."""

from __future__ import annotations

from typing import Any

from tests.contract.behaviours import Group

from .backends import PubSub, refused

updates = Group("Updates of subscriptions")

DAY = 24 * 60 * 60


def update(pubsub: PubSub, name: str, *paths: str, **fields: Any) -> Any:
    return pubsub.call(
        "update_subscription",
        subscription={"name": name, **fields},
        update_mask={"paths": list(paths)},
    )


@updates("An update changes the ack deadline.", docs="API: Subscriber")
def test_update_ack_deadline(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    resource = update(pubsub, name, "ack_deadline_seconds", ack_deadline_seconds=60)

    assert resource.ack_deadline_seconds == 60
    assert resource == pubsub.get_subscription(name)


@updates("An update changes the retention of messages.", docs="API: Subscriber")
def test_update_retention(pubsub: PubSub) -> None:
    name = pubsub.subscription()
    paths = ["message_retention_duration", "retain_acked_messages"]
    fields = {"message_retention_duration": {"seconds": DAY}, "retain_acked_messages": True}

    update(pubsub, name, *paths, **fields)

    resource = pubsub.get_subscription(name)
    assert resource.message_retention_duration.total_seconds() == DAY
    assert resource.retain_acked_messages


@updates(
    "An update changes the expiration policy.",
    docs="API: Subscriber",
    google="INVALID_ARGUMENT: not supported",
)
def test_update_expiry(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    update(pubsub, name, "expiration_policy", expiration_policy={"ttl": {"seconds": 20 * DAY}})

    assert pubsub.get_subscription(name).expiration_policy.ttl.total_seconds() == 20 * DAY


@updates("An update changes the retry policy, and clears it.", docs="API: Subscriber")
def test_update_retry_policy(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    update(pubsub, name, "retry_policy", retry_policy={"minimum_backoff": {"seconds": 2}})
    assert pubsub.get_subscription(name).retry_policy.minimum_backoff.total_seconds() == 2

    update(pubsub, name, "retry_policy")
    assert "retry_policy" not in pubsub.get_subscription(name)


@updates("An update changes the dead-letter policy, and clears it.", docs="API: Subscriber")
def test_update_dead_letter_policy(pubsub: PubSub) -> None:
    name, dead = pubsub.subscription(), pubsub.topic()

    update(pubsub, name, "dead_letter_policy", dead_letter_policy={"dead_letter_topic": dead})
    assert pubsub.get_subscription(name).dead_letter_policy.dead_letter_topic == dead

    update(pubsub, name, "dead_letter_policy")
    assert "dead_letter_policy" not in pubsub.get_subscription(name)


@updates(
    "An update changes the labels.",
    docs="Labels",
    google="INVALID_ARGUMENT: labels cannot be updated",
)
def test_update_labels(pubsub: PubSub) -> None:
    name = pubsub.subscription(labels={"team": "data"})

    update(pubsub, name, "labels", labels={"stage": "test"})

    assert dict(pubsub.get_subscription(name).labels) == {"stage": "test"}


@updates("An update changes the push endpoint.", docs="API: Subscriber")
def test_update_push_config(pubsub: PubSub) -> None:
    name = pubsub.subscription(push_config={"push_endpoint": "http://127.0.0.1:9/old"})

    update(pubsub, name, "push_config", push_config={"push_endpoint": "http://127.0.0.1:9/new"})

    assert pubsub.get_subscription(name).push_config.push_endpoint == "http://127.0.0.1:9/new"


@updates("An update turns exactly-once delivery on.", docs="Exactly-once delivery")
def test_update_exactly_once(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    update(pubsub, name, "enable_exactly_once_delivery", enable_exactly_once_delivery=True)

    assert pubsub.get_subscription(name).enable_exactly_once_delivery


@updates("An update changes only the fields that the mask names.", docs="API: Subscriber")
def test_update_only_what_the_mask_names(pubsub: PubSub) -> None:
    name = pubsub.subscription(ack_deadline_seconds=42)
    fields = {"ack_deadline_seconds": 60, "retain_acked_messages": True}

    update(pubsub, name, "retain_acked_messages", **fields)

    resource = pubsub.get_subscription(name)
    assert (resource.ack_deadline_seconds, resource.retain_acked_messages) == (42, True)


@updates("A bad value in an update is refused, and changes nothing.", docs="API: Subscriber")
def test_bad_update(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    with refused():
        update(pubsub, name, "ack_deadline_seconds", ack_deadline_seconds=601)

    assert pubsub.get_subscription(name).ack_deadline_seconds == 10


@updates("An update without a mask is INVALID_ARGUMENT.", docs="API: Subscriber")
def test_update_without_a_mask(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    with refused():
        update(pubsub, name, ack_deadline_seconds=60)


@updates("A mask that names no field is INVALID_ARGUMENT.", docs="API: Subscriber")
def test_update_unknown_field(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    with refused():
        update(pubsub, name, "colour")


@updates("A subscription's topic cannot be updated.", docs="API: Subscriber")
def test_update_topic(pubsub: PubSub) -> None:
    name, other = pubsub.subscription(), pubsub.topic()

    with refused():
        update(pubsub, name, "topic", topic=other)


@updates("Ordering cannot be turned on or off later.", docs="Order messages")
def test_update_ordering(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    with refused():
        update(pubsub, name, "enable_message_ordering", enable_message_ordering=True)


@updates("A filter cannot be changed later.", docs="Filter messages")
def test_update_filter(pubsub: PubSub) -> None:
    name = pubsub.subscription(filter="attributes:a")

    with refused():
        update(pubsub, name, "filter", filter="attributes:b")


@updates("A subscription that does not exist is NOT_FOUND to update.", docs="Error codes")
def test_update_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        update(
            pubsub,
            pubsub.name("subscriptions"),
            "ack_deadline_seconds",
            topic=pubsub.topic(),
            ack_deadline_seconds=60,
        )
