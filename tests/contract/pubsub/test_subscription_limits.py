"""The values that a subscription's settings may have."""

from __future__ import annotations

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, refused

limits = Group("Limits of subscriptions")

DAY = 24 * 60 * 60


@limits(
    "The ack deadline is 10 to 600 s; 0 means 10.",
    docs="API: Subscription",
    google="takes any number from 0",
)
def test_ack_deadline(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    for seconds in (0, 10, 600):
        pubsub.subscription(topic, ack_deadline_seconds=seconds)
    for seconds in (-1, 9, 601):
        with refused():
            pubsub.subscription(topic, ack_deadline_seconds=seconds)


@limits("Messages are kept for at least 10 minutes.", docs="API: Subscription")
def test_shortest_retention(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.subscription(topic, message_retention_duration={"seconds": 600})
    with refused():
        pubsub.subscription(topic, message_retention_duration={"seconds": 599})


@limits("Messages are kept for at most 31 days.", docs="API: Subscription", google="at most 7 days")
def test_longest_retention(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.subscription(topic, message_retention_duration={"seconds": 31 * DAY})
    with refused():
        pubsub.subscription(topic, message_retention_duration={"seconds": 31 * DAY + 1})


@limits(
    "A subscription expires after at least one day.",
    docs="API: Subscription",
    google="takes any ttl",
)
def test_expiry(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    pubsub.subscription(
        topic,
        expiration_policy={"ttl": {"seconds": DAY}},
        message_retention_duration={"seconds": 600},
    )
    with refused():
        pubsub.subscription(
            topic,
            expiration_policy={"ttl": {"seconds": DAY - 1}},
            message_retention_duration={"seconds": 600},
        )


@limits("The backoffs of a retry policy are 0 to 600 s.", docs="API: RetryPolicy")
def test_backoffs(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    for low, high in [(0, 0), (0, 600), (600, 600)]:
        pubsub.subscription(topic, retry_policy=backoff(low, high))
    for low, high in [(-1, 10), (601, 602), (1, 601)]:
        with refused():
            pubsub.subscription(topic, retry_policy=backoff(low, high))


@limits("The minimum backoff is not above the maximum.", docs="Handle message failures")
def test_backoffs_the_wrong_way_round(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, retry_policy=backoff(20, 10))


@limits("A retry policy's backoffs are 10 s and 600 s if not given.", docs="API: RetryPolicy")
def test_default_backoffs(pubsub: PubSub) -> None:
    name = pubsub.subscription(retry_policy={})

    policy = pubsub.get_subscription(name).retry_policy
    assert policy.minimum_backoff.total_seconds() == 10
    assert policy.maximum_backoff.total_seconds() == 600


@limits(
    "The maximum of delivery attempts is 5 to 100; others are OUT_OF_RANGE.",
    docs="API: DeadLetterPolicy",
)
def test_delivery_attempts(pubsub: PubSub) -> None:
    topic, dead = pubsub.topic(), pubsub.topic()

    for number in (5, 100):
        pubsub.subscription(topic, dead_letter_policy=dead_letters(dead, number))
    for number in (-1, 4, 101):
        with refused("OUT_OF_RANGE"):
            pubsub.subscription(topic, dead_letter_policy=dead_letters(dead, number))


@limits("A maximum of 0 delivery attempts means 5.", docs="API: DeadLetterPolicy")
def test_default_delivery_attempts(pubsub: PubSub) -> None:
    name = pubsub.subscription(dead_letter_policy=dead_letters(pubsub.topic(), 0))

    policy = pubsub.get_subscription(name).dead_letter_policy
    assert policy.max_delivery_attempts == 5


@limits("A dead-letter topic that does not exist is refused.", docs="API: DeadLetterPolicy")
@pytest.mark.parametrize("when", ["create", "update"])
def test_missing_dead_letter_topic(pubsub: PubSub, when: str) -> None:
    policy = dead_letters(pubsub.name("topics"), 5)
    topic, name = pubsub.subscribed_topic()

    with refused("NOT_FOUND"):
        if when == "create":
            pubsub.subscription(topic, dead_letter_policy=policy)
        else:
            pubsub.call(
                "update_subscription",
                subscription={"name": name, "dead_letter_policy": policy},
                update_mask={"paths": ["dead_letter_policy"]},
            )


@limits("A push endpoint is an http or https address.", docs="API: PushConfig")
@pytest.mark.parametrize("endpoint", ["not an address", "ftp://example.com/", "/path"])
def test_push_endpoint(pubsub: PubSub, endpoint: str) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, push_config={"push_endpoint": endpoint})


@limits(
    "Push with exactly-once delivery is refused: only pull has it.",
    docs="Exactly-once delivery",
    google="takes it",
)
def test_push_with_exactly_once(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(
            topic,
            push_config={"push_endpoint": "http://127.0.0.1:9/"},
            enable_exactly_once_delivery=True,
        )


def backoff(low: int, high: int) -> dict[str, object]:
    return {"minimum_backoff": {"seconds": low}, "maximum_backoff": {"seconds": high}}


def dead_letters(topic: str, attempts: int) -> dict[str, object]:
    return {"dead_letter_topic": topic, "max_delivery_attempts": attempts}


limits.only_in_the_cloud(
    "A project has at most 10,000 topics and 10,000 subscriptions, a topic 10,000 subscriptions.",
    docs="Quotas and limits",
)
