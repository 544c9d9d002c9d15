"""The publisher of google-cloud-pubsub: batches, flow control, ordering keys, futures."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.api_core.retry import Retry
from google.cloud.pubsub_v1.publisher.exceptions import (
    FlowControlLimitError,
    MessageTooLargeError,
    PublishToPausedOrderingKeyException,
)
from google.cloud.pubsub_v1.types import (
    BatchSettings,
    LimitExceededBehavior,
    PublisherOptions,
    PublishFlowControl,
)
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tests.integration.emulator import Emulator, new_name
from tests.integration.processes import wait_until

from .conftest import MakePublisher
from .endpoint import Endpoint

pytestmark = pytest.mark.slow

NEVER = float("inf")
"""The latency of batches that are sent when they are full, or when the publisher is stopped."""


def read(pubsub: Emulator, subscription: str, count: int) -> list[Any]:
    """Pull until so many messages have come."""
    messages: list[Any] = []

    def complete() -> bool:
        messages.extend(pubsub.pull(subscription))
        return len(messages) >= count

    wait_until(complete, f"{count} messages")
    return messages


def test_batches_arrive_whole_and_each_message_has_an_id_of_its_own(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    publisher = make_publisher()

    futures = [publisher.publish(topic, b"%d" % n, number=str(n)) for n in range(500)]
    ids = [future.result(timeout=30) for future in futures]

    messages = read(pubsub, subscription, 500)
    assert all(isinstance(message_id, str) for message_id in ids)
    assert Counter(message.message_id for message in messages) == Counter(ids)
    assert {(message.data, message.attributes["number"]) for message in messages} == {
        (b"%d" % n, str(n)) for n in range(500)
    }


def test_stop_publishes_what_waits_for_its_batch(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    publisher = make_publisher(batch_settings=BatchSettings(max_messages=10, max_latency=NEVER))
    futures = [publisher.publish(topic, b"data") for _ in range(13)]
    for future in futures[:9]:  # the tenth overflows the batch: it opens the next one
        future.result(timeout=10)
    assert not any(future.done() for future in futures[9:])

    publisher.stop()

    assert len({future.result(timeout=10) for future in futures}) == 13


def test_large_messages_are_split_into_requests_that_the_server_takes(
    endpoint: Endpoint, pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    """More than gRPC's default limit of 4 MB a request, and nearly Pub/Sub's of 10 MB."""
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    settings = BatchSettings(max_bytes=11_000_000, max_latency=0.5)
    publisher = make_publisher(batch_settings=settings)

    futures = [publisher.publish(topic, b"x" * 2_000_000, n=str(n)) for n in range(5)]
    futures.append(publisher.publish(topic, b"y" * 9_900_000))
    for future in futures:
        future.result(timeout=30)

    lengths: list[int] = []
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(endpoint.host, options=unlimited) as channel:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        while len(lengths) < 6:
            response = subscriber.pull(subscription=subscription, max_messages=10, timeout=30)
            lengths += [len(received.message.data) for received in response.received_messages]
    assert sorted(lengths) == [2_000_000] * 5 + [9_900_000]


def test_a_message_of_more_than_ten_megabytes_is_refused_by_the_client(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()

    with pytest.raises(MessageTooLargeError):
        make_publisher().publish(topic, b"x" * 10_000_001)


def test_flow_control_that_blocks_lets_everything_through(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    limits = PublishFlowControl(10, 1_000_000, LimitExceededBehavior.BLOCK)
    publisher = make_publisher(publisher_options=PublisherOptions(flow_control=limits))

    futures = [publisher.publish(topic, b"data") for _ in range(200)]

    assert len({future.result(timeout=30) for future in futures}) == 200


def test_flow_control_that_fails_takes_messages_again_when_earlier_ones_are_published(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    limits = PublishFlowControl(100, 1_000, LimitExceededBehavior.ERROR)
    publisher = make_publisher(
        batch_settings=BatchSettings(max_messages=2, max_latency=NEVER),
        publisher_options=PublisherOptions(flow_control=limits),
    )

    first = publisher.publish(topic, b"1" * 800)
    too_much = publisher.publish(topic, b"2" * 800)
    with pytest.raises(FlowControlLimitError):
        too_much.result(timeout=10)
    overflowing = publisher.publish(topic, b"3")  # the first is sent
    first.result(timeout=10)

    def taken() -> Any:
        again = publisher.publish(topic, b"4" * 800)
        return again if not again.done() or not again.exception() else None

    again = wait_until(taken, "there is room again")
    publisher.stop()
    assert overflowing.result(timeout=10)
    assert again.result(timeout=10)


def test_messages_of_a_key_are_published_in_order(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic, enable_message_ordering=True)
    publisher = make_publisher(
        batch_settings=BatchSettings(max_messages=7),
        publisher_options=PublisherOptions(enable_message_ordering=True),
    )

    futures = [
        publisher.publish(topic, b"%d" % n, ordering_key=key) for n in range(50) for key in "ab"
    ]
    for future in futures:
        future.result(timeout=30)

    messages = read(pubsub, subscription, 100)
    for key in "ab":
        data = [int(message.data) for message in messages if message.ordering_key == key]
        assert data == list(range(50))


def test_an_error_pauses_an_ordering_key_until_publishing_is_resumed(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = new_name("topics")
    publisher = make_publisher(publisher_options=PublisherOptions(enable_message_ordering=True))

    with pytest.raises(NotFound):
        publisher.publish(topic, b"1", ordering_key="k").result(timeout=30)
    with pytest.raises(PublishToPausedOrderingKeyException):
        publisher.publish(topic, b"2", ordering_key="k").result(timeout=30)
    pubsub.create_topic(topic)
    subscription = pubsub.subscribe(topic)
    publisher.resume_publish(topic, "k")
    publisher.publish(topic, b"3", ordering_key="k").result(timeout=30)

    (message,) = read(pubsub, subscription, 1)
    assert (message.data, message.ordering_key) == (b"3", "k")


def test_a_missing_topic_fails_every_future_of_the_batch(make_publisher: MakePublisher) -> None:
    publisher = make_publisher()
    topic = new_name("topics")
    called = threading.Event()

    futures = [publisher.publish(topic, b"data") for _ in range(3)]
    futures[0].add_done_callback(lambda _: called.set())

    for future in futures:
        assert isinstance(future.exception(timeout=30), NotFound)
        with pytest.raises(NotFound):
            future.result(timeout=30)
    assert called.wait(10)


@pytest.mark.usefixtures("ours_only")
@pytest.mark.parametrize(
    ("data", "attributes"),
    [(b"", {}), (b"x", {"goog-key": "v"}), (b"x", {"k" * 257: "v"}), (b"x", {"k": "v" * 1025})],
    ids=["empty", "reserved key", "long key", "long value"],
)
def test_a_message_beyond_the_limits_fails_its_future(
    pubsub: Emulator, make_publisher: MakePublisher, data: bytes, attributes: dict[str, str]
) -> None:
    topic = pubsub.create_topic()

    with pytest.raises(InvalidArgument):
        make_publisher().publish(topic, data, **attributes).result(timeout=30)


def test_a_call_may_have_its_own_retry_and_timeout(
    pubsub: Emulator, make_publisher: MakePublisher
) -> None:
    topic = pubsub.create_topic()
    retry = Retry(initial=0.1, maximum=1.0, multiplier=1.3, timeout=20)

    future = make_publisher().publish(topic, b"data", retry=retry, timeout=10.0)

    assert future.result(timeout=30)


def test_compressed_requests_are_understood(endpoint: Endpoint, pubsub: Emulator) -> None:
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    channel = grpc.insecure_channel(endpoint.host, compression=grpc.Compression.Gzip)
    transport = PublisherGrpcTransport(channel=channel)
    publisher = type(pubsub.publisher)(transport=transport)

    publisher.publish(topic, b"z" * 100_000).result(timeout=30)
    transport.close()

    (message,) = read(pubsub, subscription, 1)
    assert message.data == b"z" * 100_000


def test_the_clients_own_trace_attribute_passes(
    pubsub: Emulator, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts with `googclient_`, though attributes that start with `goog` are reserved."""
    monkeypatch.setattr(trace, "get_tracer", TracerProvider().get_tracer)
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    options = PublisherOptions(enable_open_telemetry_tracing=True)

    make_publisher(publisher_options=options).publish(topic, b"data").result(timeout=30)

    (message,) = read(pubsub, subscription, 1)
    assert set(message.attributes) == {"googclient_traceparent"}
