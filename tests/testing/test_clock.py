"""`ucam_faas_clock` with the embedded Pub/Sub: hours pass at once."""

from __future__ import annotations

import queue
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import pubsub_v1

from tests.integration.processes import wait_until
from ucam_faas.emulator.core.lease import State
from ucam_faas.local_testing import EmbeddedPubsub
from ucam_faas.testing import PUBLISH_TIME, ManualClock

from .conftest import Subscribe

SECOND = timedelta(seconds=1)


class Puller:
    """Takes messages by Google's client, and does not acknowledge them by itself."""

    def __init__(self) -> None:
        self.client = pubsub_v1.SubscriberClient()

    def pull(self, subscription: str) -> list[Any]:
        response = self.client.pull(
            subscription=subscription, max_messages=10, return_immediately=True, timeout=10
        )
        return list(response.received_messages)

    def nack(self, subscription: str, received: Any) -> None:
        self.client.modify_ack_deadline(
            subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0
        )


@pytest.mark.parametrize("by", [timedelta(seconds=5), 5, 5.0])
def test_a_clock_is_advanced_by_a_timedelta_or_seconds(by: Any) -> None:
    clock = ManualClock()

    clock.advance(by)

    assert clock.monotonic() == 5.0


@pytest.mark.parametrize("by", ["5", None, True])
def test_a_clock_refuses_to_be_advanced_by_anything_else(by: Any) -> None:
    with pytest.raises(TypeError, match="expected a timedelta, or seconds"):
        ManualClock().advance(by)


def is_delayed(pubsub: EmbeddedPubsub, subscription: str) -> bool:
    entries = pubsub.emulator.subscriber.queue(subscription).entries.values()
    return [entry.state for entry in entries] == [State.DELAYED]


@pytest.fixture
def puller(ucam_faas_clock: ManualClock, ucam_faas_pubsub: EmbeddedPubsub) -> Any:
    puller = Puller()
    yield puller
    puller.client.close()


pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning")


def test_messages_are_published_at_the_clocks_time(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    ucam_faas_pubsub.create_subscription("orders")
    ucam_faas_pubsub.publish("orders", b"1")
    ucam_faas_clock.advance(timedelta(days=1))
    ucam_faas_pubsub.publish("orders", b"2")

    times = [message.publish_time for message in ucam_faas_pubsub.pull("orders")]

    assert times == [PUBLISH_TIME, PUBLISH_TIME + timedelta(days=1)]


def test_without_it_the_systems_time_counts(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    ucam_faas_pubsub.create_subscription("orders")
    before = datetime.now(UTC) - SECOND

    ucam_faas_pubsub.publish("orders", b"1")

    (message,) = ucam_faas_pubsub.pull("orders")
    assert message.publish_time is not None
    assert before < message.publish_time < datetime.now(UTC) + SECOND


def test_a_lease_expires_when_the_clock_is_advanced(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock, puller: Puller
) -> None:
    subscription = ucam_faas_pubsub.create_subscription("orders", ack_deadline_seconds=30)
    ucam_faas_pubsub.publish("orders", b"x")
    (first,) = puller.pull(subscription)

    ucam_faas_clock.advance(29 * SECOND)
    before = puller.pull(subscription)
    ucam_faas_clock.advance(SECOND)
    (again,) = puller.pull(subscription)

    assert before == []
    assert again.message.message_id == first.message.message_id


def test_backoffs_end_when_the_clock_is_advanced(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock, puller: Puller
) -> None:
    policy = {"minimum_backoff": {"seconds": 10}, "maximum_backoff": {"seconds": 600}}
    subscription = ucam_faas_pubsub.create_subscription("orders", retry_policy=policy)
    ucam_faas_pubsub.publish("orders", b"x")
    waited = []

    for _ in range(8):
        (received,) = puller.pull(subscription)
        puller.nack(subscription, received)
        seconds = 0
        while ucam_faas_pubsub.call(is_delayed, ucam_faas_pubsub, subscription):
            ucam_faas_clock.advance(10 * SECOND)
            seconds += 10
        waited.append(seconds)

    assert waited == [10, 20, 40, 80, 160, 320, 600, 600]


def test_messages_are_dropped_when_their_retention_is_over(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    ucam_faas_pubsub.create_subscription(
        "orders", message_retention_duration={"seconds": 600}, expiration_policy={}
    )
    ucam_faas_pubsub.publish("orders", b"old")
    ucam_faas_clock.advance(590 * SECOND)
    ucam_faas_pubsub.publish("orders", b"new")

    ucam_faas_clock.advance(20 * SECOND)

    assert [message.data for message in ucam_faas_pubsub.pull("orders")] == [b"new"]


def test_a_subscriber_gets_a_message_again_when_its_backoff_ends(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock, subscribe: Subscribe
) -> None:
    policy = {"minimum_backoff": {"seconds": 60}, "maximum_backoff": {"seconds": 60}}
    subscription = ucam_faas_pubsub.create_subscription("orders", retry_policy=policy)
    seen: queue.Queue[bytes] = queue.Queue()

    def take(message: Any) -> None:
        message.nack()
        seen.put(message.data)

    subscribe(subscription, take)
    ucam_faas_pubsub.publish("orders", b"x")
    first = seen.get(timeout=10)
    wait_until(
        lambda: ucam_faas_pubsub.call(is_delayed, ucam_faas_pubsub, subscription), "its nack"
    )
    ucam_faas_clock.advance(60 * SECOND)

    assert (first, seen.get(timeout=10)) == (b"x", b"x")


def test_the_clock_of_an_earlier_test_moves_nothing(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    ucam_faas_pubsub.create_subscription("orders", ack_deadline_seconds=10)
    other = ManualClock()
    ucam_faas_pubsub.reset(other)
    ucam_faas_pubsub.create_subscription("orders", ack_deadline_seconds=10)
    ucam_faas_pubsub.publish("orders", b"x")

    ucam_faas_clock.advance(timedelta(days=40))

    assert len(ucam_faas_pubsub.pull("orders")) == 1
