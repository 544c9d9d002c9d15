"""The subscriber of google-cloud-pubsub with callbacks: acks, nacks, flow control, ending."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.cloud.pubsub_v1.types import FlowControl

from tests.integration.emulator import Emulator, new_name
from tests.integration.processes import wait_until

from .conftest import Subscribe
from .endpoint import Endpoint

pytestmark = pytest.mark.slow

gives_back_at_once = pytest.mark.usefixtures("ours_only")
"""Google's emulator gives messages to closed streams, and gives them back after 60 s."""


class Seen:
    """A callback that acknowledges, and keeps its arguments."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def __call__(self, message: Any) -> None:
        message.ack()
        self.messages.append(message)

    def wait(self, count: int, seconds: float = 15.0) -> list[Any]:
        wait_until(lambda: len(self.messages) >= count, f"{count} messages", seconds)
        return self.messages


def subscribed(pubsub: Emulator, **options: Any) -> tuple[str, str]:
    topic = pubsub.create_topic()
    return topic, pubsub.subscribe(topic, **options)


def publish_numbers(pubsub: Emulator, topic: str, count: int) -> None:
    futures = [pubsub.publisher.publish(topic, b"%d" % n) for n in range(count)]
    for future in futures:
        future.result(timeout=30)


def numbers(messages: list[Any]) -> list[int]:
    return sorted(int(message.data) for message in messages)


def test_each_message_reaches_the_callback_once(pubsub: Emulator, subscribe: Subscribe) -> None:
    topic, subscription = subscribed(pubsub)
    seen = Seen()
    future = subscribe(subscription, seen)

    publish_numbers(pubsub, topic, 300)

    seen.wait(300)
    future.cancel()
    assert future.result(timeout=10) is None or future.result() is True
    assert numbers(seen.messages) == list(range(300))


def test_a_message_carries_what_was_published(pubsub: Emulator, subscribe: Subscribe) -> None:
    topic, subscription = subscribed(pubsub)
    seen = Seen()
    subscribe(subscription, seen)

    message_id = pubsub.publish(topic, b"\x00\xff", colour="bleu é", empty="")

    (message,) = seen.wait(1)
    assert message.message_id == message_id
    assert (message.data, dict(message.attributes)) == (
        b"\x00\xff",
        {"colour": "bleu é", "empty": ""},
    )
    assert message.ordering_key == ""
    assert message.delivery_attempt is None
    assert message.publish_time.tzinfo is not None
    assert message.size > 0


@gives_back_at_once
def test_what_was_acknowledged_does_not_come_again(pubsub: Emulator, subscribe: Subscribe) -> None:
    topic, subscription = subscribed(pubsub)
    publish_numbers(pubsub, topic, 20)
    first = Seen()
    future = subscribe(subscription, first)
    first.wait(20)
    future.cancel()
    future.result(timeout=10)

    pubsub.publish(topic, b"20")

    second = Seen()
    subscribe(subscription, second)
    assert numbers(second.wait(1)) == [20]


@pytest.mark.parametrize("how", ["nack", "modify_ack_deadline"])
def test_a_message_that_is_refused_comes_again(
    pubsub: Emulator, subscribe: Subscribe, how: str
) -> None:
    topic, subscription = subscribed(pubsub)
    seen = Seen()
    refused: list[str] = []

    def refuse_first(message: Any) -> None:
        if refused:
            return seen(message)
        refused.append(message.message_id)
        return message.nack() if how == "nack" else message.modify_ack_deadline(0)

    subscribe(subscription, refuse_first)
    message_id = pubsub.publish(topic, b"data")

    assert seen.wait(1)[0].message_id == message_id
    assert refused == [message_id]


@gives_back_at_once
def test_an_error_in_the_callback_ends_the_future_and_gives_the_message_back(
    pubsub: Emulator, subscribe: Subscribe
) -> None:
    topic, subscription = subscribed(pubsub)

    def fail(_: Any) -> None:
        raise LookupError("of the callback")

    leases = FlowControl(max_duration_per_lease_extension=10)  # it may end before it has nacked
    future = subscribe(subscription, fail, flow_control=leases)
    pubsub.publish(topic, b"data")

    with pytest.raises(LookupError, match="of the callback"):
        future.result(timeout=20)
    future.cancel()
    seen = Seen()
    subscribe(subscription, seen)
    assert seen.wait(1, 30)[0].data == b"data"


@pytest.mark.parametrize("legacy", [False, True], ids=["server-side", "client-side"])
@pytest.mark.parametrize(
    "limit", [FlowControl(max_messages=5), FlowControl(max_bytes=500)], ids=["messages", "bytes"]
)
def test_flow_control_bounds_what_is_held_and_loses_nothing(
    pubsub: Emulator, subscribe: Subscribe, limit: FlowControl, legacy: bool
) -> None:
    topic, subscription = subscribed(pubsub)
    seen = Seen()
    lock = threading.Lock()
    held: list[int] = [0]
    most: list[int] = [0]

    def hold(message: Any) -> None:
        with lock:
            held[0] += 1
            most[0] = max(most[0], held[0])
        threading.Event().wait(0.005)  # long enough for others to come, were they let
        with lock:
            held[0] -= 1
        seen(message)

    publish_numbers(pubsub, topic, 50)
    subscribe(subscription, hold, flow_control=limit, use_legacy_flow_control=legacy)

    assert numbers(seen.wait(50, seconds=60)) == list(range(50))
    if limit.max_messages == 5:
        assert most[0] <= 5


def test_a_lease_is_extended_for_as_long_as_the_callback_runs(
    pubsub: Emulator, subscribe: Subscribe
) -> None:
    """A message whose lease is not extended comes again meanwhile."""
    topic, subscription = subscribed(pubsub, ack_deadline_seconds=10)
    unleased = pubsub.subscribe(topic, ack_deadline_seconds=10)
    finish = threading.Event()
    started: list[str] = []

    def work(message: Any) -> None:
        started.append(message.message_id)
        finish.wait(60)
        message.ack()

    limit = FlowControl(max_duration_per_lease_extension=10)
    future = subscribe(subscription, work, flow_control=limit, await_callbacks_on_shutdown=True)
    pubsub.publish(topic, b"data")
    wait_until(lambda: started, "the callback runs")
    pull = pubsub.subscriber.pull
    (first,) = pull(subscription=unleased, max_messages=1, timeout=30).received_messages

    (second,) = pull(subscription=unleased, max_messages=1, timeout=60).received_messages

    assert second.message.message_id == first.message.message_id
    assert len(started) == 1
    finish.set()
    future.cancel()
    future.result(timeout=30)
    assert len(started) == 1


@gives_back_at_once
def test_a_graceful_end_finishes_what_runs_and_gives_back_the_rest(
    pubsub: Emulator, subscribe: Subscribe
) -> None:
    topic, subscription = subscribed(pubsub)
    finish, second = threading.Event(), Seen()
    started: list[Any] = []
    finished: list[Any] = []

    def work(message: Any) -> None:
        started.append(message)
        finish.wait(60)
        message.ack()
        finished.append(message)

    publish_numbers(pubsub, topic, 10)
    scheduler = ThreadScheduler(executor=ThreadPoolExecutor(max_workers=3))
    future = subscribe(
        subscription,
        work,
        flow_control=FlowControl(max_messages=5),
        scheduler=scheduler,
        await_callbacks_on_shutdown=True,
    )
    wait_until(lambda: len(started) == 3, "three callbacks run")
    future.cancel()
    finish.set()
    future.result(timeout=30)

    assert len(finished) == len(started)
    subscribe(subscription, second)
    second.wait(10 - len(finished))
    assert numbers(finished + second.messages) == list(range(10))


def test_one_keys_messages_run_one_after_the_other(pubsub: Emulator, subscribe: Subscribe) -> None:
    topic, subscription = subscribed(pubsub, enable_message_ordering=True)
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    publisher = pubsub_v1.PublisherClient(publisher_options=options)
    deliveries: list[tuple[str, int]] = []
    acknowledged: set[tuple[str, int]] = set()

    def refuse_some(message: Any) -> None:
        delivery = (message.ordering_key, int(message.data))
        first = delivery not in deliveries
        deliveries.append(delivery)
        if first and delivery[1] % 7 == 6:
            message.nack()
        else:
            message.ack()
            acknowledged.add(delivery)

    for n in range(20):
        for key in "abc":
            publisher.publish(topic, b"%d" % n, ordering_key=key)
    publisher.stop()
    subscribe(subscription, refuse_some)

    wait_until(lambda: len(acknowledged) == 60, "all are acknowledged", 60)
    publisher.transport.close()
    for key in "abc":
        came = [n for of_key, n in deliveries if of_key == key]
        assert list(dict.fromkeys(came)) == list(range(20))
        assert min(came.count(refused) for refused in (6, 13)) >= 2


def test_a_subscription_that_does_not_exist_ends_the_future(subscribe: Subscribe) -> None:
    future = subscribe(new_name("subscriptions"), Seen())

    with pytest.raises(NotFound):
        future.result(timeout=20)


def test_a_subscription_that_is_deleted_ends_the_future(
    pubsub: Emulator, subscribe: Subscribe
) -> None:
    topic, subscription = subscribed(pubsub)
    seen = Seen()
    future = subscribe(subscription, seen)
    pubsub.publish(topic, b"data")
    seen.wait(1)

    pubsub.subscriber.delete_subscription(subscription=subscription)

    with pytest.raises(NotFound):
        future.result(timeout=20)


def test_two_subscribers_share_a_subscription(pubsub: Emulator, subscribe: Subscribe) -> None:
    topic, subscription = subscribed(pubsub)
    ones, others = Seen(), Seen()
    subscribe(subscription, ones)
    subscribe(subscription, others)

    publish_numbers(pubsub, topic, 400)

    wait_until(lambda: len(ones.messages) + len(others.messages) >= 400, "all messages")
    assert numbers(ones.messages + others.messages) == list(range(400))


def test_one_client_serves_many_subscriptions(
    pubsub: Emulator, endpoint: Endpoint, environ: None
) -> None:
    topic = pubsub.create_topic()
    seen = {pubsub.subscribe(topic): Seen() for _ in range(10)}

    with pubsub_v1.SubscriberClient() as subscriber:
        futures = [subscriber.subscribe(name, callback) for name, callback in seen.items()]
        publish_numbers(pubsub, topic, 20)
        for callback in seen.values():
            callback.wait(20)
        for future in futures:
            future.cancel()
        for future in futures:
            future.result(timeout=20)

    for callback in seen.values():
        assert Counter(numbers(callback.messages)) == Counter(range(20))


def test_what_is_refused_five_times_goes_to_the_dead_letter_topic(
    pubsub: Emulator, subscribe: Subscribe
) -> None:
    dead_letter_topic, dead = subscribed(pubsub)
    policy = {"dead_letter_topic": dead_letter_topic, "max_delivery_attempts": 5}
    topic, subscription = subscribed(pubsub, dead_letter_policy=policy)
    attempts: list[int] = []
    seen = Seen()

    def refuse(message: Any) -> None:
        attempts.append(message.delivery_attempt)
        message.nack()

    subscribe(subscription, refuse)
    subscribe(dead, seen)
    message_id = pubsub.publish(topic, b"poison", colour="red")

    (letter,) = seen.wait(1, seconds=30)
    assert attempts == [1, 2, 3, 4, 5]
    assert letter.data == b"poison"
    assert letter.attributes["colour"] == "red"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert letter.message_id != message_id
