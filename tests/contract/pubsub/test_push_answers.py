"""Push: which answers acknowledge, and how fast messages come after others."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.contract.behaviours import Group
from tests.integration.processes import HANG_SECONDS

from .backends import PubSub
from .sink import Sink

answers = Group("Push: answers and backoff")


def stays(pubsub: PubSub, subscription: str) -> bool:
    """Return True if a message was left unacknowledged, by turning push off."""
    pubsub.call("modify_push_config", subscription=subscription, push_config={})
    return bool(pubsub.pull_now(subscription, wait=pubsub.patience))


@answers("200, 201, 202 and 204 acknowledge, and so does 102.", docs="Push subscriptions")
@pytest.mark.parametrize("status", [200, 201, 202, 204, 102])
def test_success(pubsub: PubSub, sink: Sink, status: int) -> None:
    sink.answers = [status]
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, b"1")
    sink.wait_for(1)

    pubsub.publish(topic, b"2")

    pushes = sink.wait_for(2)
    assert [push.json["message"]["data"] for push in pushes] == ["MQ==", "Mg=="]


@answers(
    "An answer without a length, which ends with the connection, is an answer.",
    docs="Not documented",
)
def test_answer_without_length(pubsub: PubSub, sink: Sink) -> None:
    sink.headers = {}
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, b"1")
    sink.wait_for(1)

    pubsub.publish(topic, b"2")

    pushes = sink.wait_for(2)
    assert [push.json["message"]["data"] for push in pushes] == ["MQ==", "Mg=="]


@answers("Every other status is a nack: the message is pushed again.", docs="Push subscriptions")
def test_failure(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    with ExitStack() as stack:
        sinks = [
            stack.enter_context(Sink(status, 200, patience=pubsub.patience))
            for status in (206, 302, 400, 404, 429, 500, 503)
        ]
        for sink in sinks:
            pubsub.subscription(topic, push_config={"push_endpoint": sink.url})

        (id,) = pubsub.publish(topic, b"x")

        for sink in sinks:
            assert [push.json["message"]["messageId"] for push in sink.wait_for(2)] == [id, id]


@answers("203 is a nack.", docs="Push subscriptions", google="acknowledges")
def test_non_authoritative(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [203, 200]
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})

    pubsub.publish(topic, b"x")

    assert len(sink.wait_for(2)) == 2


@answers("A redirect is not followed.", docs="Push subscriptions", google="follows it")
def test_redirect(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [302, 200]
    sink.headers["Location"] = "/elsewhere"
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})

    pubsub.publish(topic, b"x")

    assert [push.path for push in sink.wait_for(2)] == ["/push", "/push"]


@answers("No connection is a nack: the message stays.", docs="Push subscriptions")
def test_no_connection(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(
        push_config={"push_endpoint": "http://127.0.0.1:9/"}
    )

    pubsub.publish(topic, b"x")

    assert stays(pubsub, subscription)


@answers(
    "A failed push comes again within a second: backoff begins at 100 ms.",
    docs="Push subscriptions",
    google="always after 1 s",
)
def test_first_backoff(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500, 200]
    delays = []

    for _ in range(5):  # on a busy machine one of them is not held up
        sink.pushes, sink.answers = [], [500, 200]
        topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
        pubsub.publish(topic, b"x")
        first, second = sink.wait_for(2)
        delays.append(second.at - first.at)

    assert 0.05 < min(delays) < 0.8


@answers("The backoff grows with each failure.", docs="Push subscriptions", google="always 1 s")
def test_growing_backoff(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500] * 5 + [200]
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, b"x")

    pushes = sink.wait_for(6)

    first, *_, last = (after.at - before.at for before, after in pairwise(pushes))
    assert last > 1.5 * first  # 16 times, but a busy machine may hold up the first


@answers(
    "The backoff is of the subscription: other messages wait too.",
    docs="Push subscriptions",
    google="no backoff",
)
def test_backoff_of_the_subscription(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500] * 4 + [200]
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, b"x")
    failed = sink.wait_for(4)[-1]

    pubsub.publish(topic, b"other")

    assert sink.wait_for(5)[-1].at - failed.at > 0.3


@answers("A success ends the backoff.", docs="Push subscriptions")
def test_success_ends_the_backoff(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500] * 5 + [200, 500, 200]
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, b"x")
    *_, last, success = sink.wait_for(6, seconds=HANG_SECONDS)

    pubsub.publish(topic, b"other")
    failed, again = sink.wait_for(8)[-2:]

    assert again.at - failed.at < 1.5 * (success.at - last.at)  # or else it would double


@answers("With a retry policy the larger delay of the two counts.", docs="Handle message failures")
def test_retry_policy(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500, 200]
    topic, _ = pubsub.subscribed_topic(
        push_config={"push_endpoint": sink.url},
        retry_policy={"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 5}},
    )
    pubsub.publish(topic, b"x")

    first, second = sink.wait_for(2)

    assert second.at - first.at > 0.9


@answers("Pushing begins slowly: a few requests at once.", docs="Push subscriptions")
def test_slow_start(pubsub: PubSub, sink: Sink) -> None:
    sink.open.clear()
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})

    pubsub.publish(topic, *[b"x"] * 50)

    sink.wait_for(1)
    assert sink.most_at_once <= 5


@answers("As pushes succeed there are more at once.", docs="Push subscriptions", google="at most 2")
def test_more_at_once(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pubsub.subscribed_topic(push_config={"push_endpoint": sink.url})
    pubsub.publish(topic, *[b"x"] * 100)
    sink.wait_for(100)

    sink.open.clear()
    pubsub.publish(topic, *[b"x"] * 20)

    assert len(sink.wait_for(110)) >= 110


answers.only_in_the_cloud(
    "The number of pushes at once grows up to 3,000 and more, by the region.",
    docs="Quotas and limits",
)
