"""Retry policies: how long a message that was not acknowledged stays away."""

from __future__ import annotations

import time
from typing import Any

from tests.contract.behaviours import Group

from .backends import PubSub

retries = Group("Retries")


def policy(low: float, high: float) -> dict[str, Any]:
    def duration(seconds: float) -> dict[str, int]:
        return {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}

    return {"minimum_backoff": duration(low), "maximum_backoff": duration(high)}


def delay(pubsub: PubSub, subscription: str, received: Any, lease: int = 0) -> float:
    """Nack a message, or let it expire; return the seconds until it is there again."""
    start = time.monotonic()
    pubsub.modify(subscription, lease, received)
    pubsub.pull(subscription)
    return time.monotonic() - start


@retries("Without a retry policy a nacked message comes again at once.", docs="API: Subscription")
def test_no_policy(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    for received in pubsub.pull(subscription):
        pubsub.modify(subscription, 0, received)

        assert pubsub.pull(subscription)  # sooner than the default backoff, which is 10 s


@retries(
    "With a retry policy a nacked message stays away for the minimum backoff.",
    docs="API: RetryPolicy",
    google="at once after the first nack, later 2 s and more",
)
def test_minimum_backoff(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(1, 10))
    pubsub.publish(topic, b"x")

    for received in pubsub.pull(subscription):
        assert delay(pubsub, subscription, received) > 0.9


@retries(
    "An ack deadline that passes begins the backoff, too.",
    docs="API: RetryPolicy",
    google="at once after the first expiry",
)
def test_backoff_after_expiry(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(1, 10))
    pubsub.publish(topic, b"x")

    for received in pubsub.pull(subscription):
        assert delay(pubsub, subscription, received, lease=1) > 1.9


@retries(
    "The backoff grows from one nack to the next.",
    docs="API: RetryPolicy",
    google="at once after the first nack, later 2 s and more",
)
def test_growing_backoff(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(0.2, 10))
    pubsub.publish(topic, b"x")

    (received,) = pubsub.pull(subscription)
    for least in (0.15, 0.3, 0.6):  # a busy machine may take any time more
        start = time.monotonic()
        pubsub.modify(subscription, 0, received)
        (received,) = pubsub.pull(subscription)

        assert time.monotonic() - start > least


@retries(
    "The backoff does not grow above the maximum.",
    docs="API: RetryPolicy",
    google="at once after the first nack, later 2 s and more",
)
def test_maximum_backoff(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(0.1, 0.2))
    pubsub.publish(topic, b"x")
    start = time.monotonic()

    (received,) = pubsub.pull(subscription)
    for _ in range(8):  # without a maximum the last backoff would be 12.8 s
        pubsub.modify(subscription, 0, received)
        (received,) = pubsub.pull(subscription)

    assert time.monotonic() - start > 0.1 + 7 * 0.2 - 0.3


@retries("A backoff of 0 retries at once.", docs="API: RetryPolicy")
def test_no_backoff(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(0, 0))
    pubsub.publish(topic, b"x")

    for received in pubsub.pull(subscription):
        pubsub.modify(subscription, 0, received)

        assert pubsub.pull(subscription)  # sooner than the default backoff, which is 10 s


@retries(
    "The backoff of a message does not hold up others.",
    docs="API: RetryPolicy",
    google="both come at once",
)
def test_other_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(retry_policy=policy(5, 10))
    pubsub.publish(topic, b"x")
    pubsub.modify(subscription, 0, *pubsub.pull(subscription))

    pubsub.publish(topic, b"y")

    assert [received.message.data for received in pubsub.pull(subscription)] == [b"y"]


retries.only_in_the_cloud(
    "Delays are kept at best effort; they may be longer or shorter.", docs="API: RetryPolicy"
)
