"""StreamingPull: messages, acknowledgements on the stream, flow control, refused requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import StreamingPullRequest

from tests.contract.behaviours import Group
from tests.integration.processes import wait_until

from .backends import SECONDS, PubSub, data_of, ids_of
from .streams import Stream

streaming = Group("StreamingPull")


@streaming("A stream delivers waiting messages and those published later.", docs="API: Subscriber")
def test_delivery(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    ids = pubsub.publish(topic, b"before")

    with Stream(pubsub, subscription) as stream:
        stream.wait_for(1)
        ids += pubsub.publish(topic, b"after")

        assert ids_of(stream.wait_for(2)) == ids


@streaming("Two streams share the messages: each goes to one of them.", docs="API: Subscription")
def test_two_streams(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    with Stream(pubsub, subscription) as first, Stream(pubsub, subscription) as second:
        ids = pubsub.publish(topic, *[b"x"] * 20)
        got = wait_for_both(first, second, 20)

    assert sorted(ids_of(got)) == sorted(ids)


@streaming("The first request names the subscription.", docs="API: StreamingPullRequest")
def test_no_subscription(pubsub: PubSub) -> None:
    with Stream(pubsub, "") as stream:
        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming("A subscription that does not exist is NOT_FOUND to stream.", docs="Error codes")
def test_missing_subscription(pubsub: PubSub) -> None:
    with Stream(pubsub, pubsub.name("subscriptions")) as stream:
        assert stream.wait_for_end() == "NOT_FOUND"


@streaming(
    "A stream from a detached subscription is FAILED_PRECONDITION.",
    docs="API: Subscription",
    google="UNIMPLEMENTED",
)
def test_detached_subscription(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()
    pubsub.call("detach_subscription", subscription=subscription)

    with Stream(pubsub, subscription) as stream:
        assert stream.wait_for_end() == "FAILED_PRECONDITION"


@streaming(
    "A stream's ack deadline is 10 to 600 s, and required.", docs="API: StreamingPullRequest"
)
@pytest.mark.parametrize("seconds", [0, 9, 601, -1])
def test_stream_ack_deadline(pubsub: PubSub, seconds: int) -> None:
    subscription = pubsub.subscription()

    with Stream(pubsub, subscription, stream_ack_deadline_seconds=seconds) as stream:
        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "A later request may change the stream's ack deadline.", docs="API: StreamingPullRequest"
)
def test_new_stream_ack_deadline(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    with Stream(pubsub, subscription) as stream:
        stream.send(stream_ack_deadline_seconds=60)
        pubsub.publish(topic, b"x")

        assert data_of(stream.wait_for(1)) == [b"x"]


@streaming("A later request's ack deadline has the same limits.", docs="API: StreamingPullRequest")
def test_wrong_new_stream_ack_deadline(pubsub: PubSub) -> None:
    with Stream(pubsub, pubsub.subscription()) as stream:
        stream.send(stream_ack_deadline_seconds=5)

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming("A request that says nothing keeps the stream alive.", docs="API: StreamingPullRequest")
def test_heartbeat(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    with Stream(pubsub, subscription) as stream:
        stream.send()
        pubsub.publish(topic, b"x")

        assert data_of(stream.wait_for(1)) == [b"x"]


@streaming("The subscription is in the first request only.", docs="API: StreamingPullRequest")
def test_subscription_again(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    with Stream(pubsub, subscription) as stream:
        stream.send(subscription=subscription)

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "Flow control is in the first request only.",
    docs="API: StreamingPullRequest",
    google="takes it",
)
@pytest.mark.parametrize("field", ["max_outstanding_messages", "max_outstanding_bytes"])
def test_flow_control_again(pubsub: PubSub, field: str) -> None:
    with Stream(pubsub, pubsub.subscription()) as stream:
        stream.send(**{field: 5})

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


WRONG: dict[str, dict[str, Any]] = {
    "fewer deadlines than ids": {
        "modify_deadline_ack_ids": ["a", "b"],
        "modify_deadline_seconds": [1],
    },
    "no deadlines": {"modify_deadline_ack_ids": ["a"]},
    "no ids": {"modify_deadline_seconds": [1]},
}


@streaming("As many deadlines come as ids of messages to modify.", docs="API: StreamingPullRequest")
@pytest.mark.parametrize("wrong", WRONG)
def test_sizes(pubsub: PubSub, wrong: str) -> None:
    with Stream(pubsub, pubsub.subscription()) as stream:
        stream.send(**WRONG[wrong])

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "A negative deadline ends the stream: INVALID_ARGUMENT.", docs="API: StreamingPullRequest"
)
def test_negative_deadline(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        stream.modify(-1, *stream.wait_for(1))

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "A malformed ack id ends the stream: INVALID_ARGUMENT.", docs="API: StreamingPullRequest"
)
def test_malformed_ack_id(pubsub: PubSub) -> None:
    with Stream(pubsub, pubsub.subscription()) as stream:
        stream.send(ack_ids=["no such id"])

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "An ack id of another subscription ends the stream: INVALID_ARGUMENT.",
    docs="API: StreamingPullRequest",
)
@pytest.mark.parametrize("how", ["acknowledged", "modified"])
def test_ack_id_of_another_subscription(pubsub: PubSub, how: str) -> None:
    topic, other = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    received = pubsub.pull(other)

    with Stream(pubsub, pubsub.subscription()) as stream:
        if how == "acknowledged":
            stream.acknowledge(*received)
        else:
            stream.modify(10, *received)

        assert stream.wait_for_end() == "INVALID_ARGUMENT"


@streaming(
    "A message acknowledged on the stream does not come again.", docs="API: StreamingPullRequest"
)
def test_acknowledge(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2")

    with Stream(pubsub, subscription) as stream:
        first, second = stream.wait_for(2)
        stream.acknowledge(first)
        stream.modify(0, first, second)

        again = stream.wait_for(3)
    assert ids_of(again[2:]) == ids_of([second])


@streaming("A deadline of 0 on the stream is a nack.", docs="API: StreamingPullRequest")
def test_nack(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        stream.modify(0, *stream.wait_for(1))

        assert data_of(stream.wait_for(2)) == [b"x", b"x"]


@streaming(
    "A deadline that is set on the stream counts from then.", docs="API: StreamingPullRequest"
)
def test_modify(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        stream.modify(1, *stream.wait_for(1))

        assert data_of(stream.wait_for(2)) == [b"x", b"x"]


@streaming(
    "A unary call may nack a message that came on a stream.", docs="API: StreamingPullRequest"
)
def test_unary_nack(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        pubsub.modify(subscription, 0, *stream.wait_for(1))

        assert data_of(stream.wait_for(2)) == [b"x", b"x"]


@streaming(
    "A stream may acknowledge messages that a pull returned.", docs="API: StreamingPullRequest"
)
def test_acknowledge_what_was_pulled(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"1", b"2")
    first, second = pubsub.pull(subscription, 2)

    with Stream(pubsub, subscription) as stream:
        stream.acknowledge(first)
        stream.modify(0, first, second)

        assert ids_of(stream.wait_for(1)) == ids_of([second])


@streaming(
    "The server stops at `max_outstanding_messages`.",
    docs="API: StreamingPullRequest",
    google="sends all",
)
def test_flow_control_by_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *[b"x"] * 5)

    with Stream(pubsub, subscription, max_outstanding_messages=2) as stream:
        stream.wait_for(2)

        # The others were not sent: another subscriber gets them.
        assert len(pubsub.pull(subscription, 3)) == 3
        assert len(stream.messages) == 2


@streaming("The server goes on as messages are acknowledged.", docs="API: StreamingPullRequest")
def test_flow_control_after_acks(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *[b"x"] * 3)

    with Stream(pubsub, subscription, max_outstanding_messages=1) as stream:
        stream.acknowledge(stream.wait_for(1)[-1])
        pubsub.acknowledge(subscription, stream.wait_for(2)[-1])  # it counts either way

        assert len(set(ids_of(stream.wait_for(3)))) == 3


@streaming("The server goes on as messages are nacked.", docs="API: StreamingPullRequest")
def test_flow_control_after_nacks(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription, max_outstanding_messages=1) as stream:
        for count in range(1, 4):
            stream.modify(0, stream.wait_for(count)[-1])

        assert data_of(stream.wait_for(4)) == [b"x"] * 4


@streaming(
    "The server stops at `max_outstanding_bytes`.",
    docs="API: StreamingPullRequest",
    google="sends all",
)
def test_flow_control_by_bytes(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *[b"x" * 1000] * 5)

    with Stream(pubsub, subscription, max_outstanding_bytes=1500) as stream:
        stream.wait_for(2)

        assert len(pubsub.pull(subscription, 3)) == 3
        assert len(stream.messages) == 2


@streaming(
    "A message above `max_outstanding_bytes` is delivered alone.", docs="API: StreamingPullRequest"
)
def test_large_message(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x" * 5000)

    with Stream(pubsub, subscription, max_outstanding_bytes=1000) as stream:
        assert len(stream.wait_for(1)[0].message.data) == 5000


@streaming("A limit of 0 or less means no limit.", docs="API: StreamingPullRequest")
@pytest.mark.parametrize("limit", [0, -1])
def test_no_flow_control(pubsub: PubSub, limit: int) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, *[b"x"] * 1000)
    limits = {"max_outstanding_messages": limit, "max_outstanding_bytes": limit}

    with Stream(pubsub, subscription, **limits) as stream:
        assert len(stream.wait_for(1000)) == 1000


@streaming(
    "The messages of a closed stream are delivered again at once.",
    docs="Not documented",
    google="only after 60 s",
)
def test_release_on_cancel(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription, stream_ack_deadline_seconds=600) as stream:
        stream.wait_for(1)

    assert data_of(pubsub.pull(subscription)) == [b"x"]


@streaming(
    "The server ends a stream whose client has no more requests, with OK.", docs="Not documented"
)
def test_half_close(pubsub: PubSub) -> None:
    with Stream(pubsub, pubsub.subscription()) as stream:
        stream.half_close()

        assert stream.wait_for_end() == "OK"


@streaming(
    "Messages published after a half-closed stream has ended go to other clients.",
    docs="Not documented",
)
def test_nothing_after_half_close(pubsub: PubSub) -> None:
    """Only its end says that the server knows: requests of other connections may overtake it."""
    topic, subscription = pubsub.subscribed_topic()

    with Stream(pubsub, subscription) as stream:
        stream.half_close()
        stream.wait_for_end()
        pubsub.publish(topic, b"x")

        assert data_of(pubsub.pull(subscription)) == [b"x"]
        assert stream.messages == []


@streaming(
    "A message is streamed after its publisher was answered.",
    docs="Not documented",
    google="nearly always",
    observed=True,
)
def test_streamed_after_the_answer(side: str, pubsub: PubSub) -> None:
    """The client reads the two from two connections: it may take them for the wrong order."""
    rounds = 1 if side == "google" else 3

    early = [asyncio.run(count_early(pubsub)) for _ in range(rounds)]

    assert side == "google" or min(early) == 0


async def count_early(pubsub: PubSub, count: int = 20) -> int:
    """Return how many of the messages come on a stream before their ids are known."""
    topic, subscription = pubsub.subscribed_topic()
    publishing, streaming = (
        grpc.aio.insecure_channel(
            f"127.0.0.1:{pubsub.port}", [("grpc.use_local_subchannel_pool", 1)]
        )
        for _ in range(2)
    )
    async with publishing, streaming:
        publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=publishing)
        )
        subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=streaming)
        )
        known: set[str] = set()
        early = 0

        async def requests() -> AsyncIterator[StreamingPullRequest]:
            yield StreamingPullRequest(subscription=subscription, stream_ack_deadline_seconds=60)
            await asyncio.Event().wait()

        async def publish() -> None:
            for _ in range(count):
                request = {"topic": topic, "messages": [{"data": b"x"}]}
                answer = await publisher.publish(request=request, retry=None, timeout=SECONDS)
                known.update(answer.message_ids)

        stream = await subscriber.streaming_pull(requests=requests(), retry=None, timeout=SECONDS)
        task = asyncio.ensure_future(publish())
        left = count
        async for response in stream:
            ids = {received.message.message_id for received in response.received_messages}
            early += len(ids - known)
            left -= len(ids)
            if left <= 0:
                break
        await task
        stream.cancel()
    return early


@streaming("When the subscription is deleted the stream ends: NOT_FOUND.", docs="API: Subscriber")
def test_deleted_subscription(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        stream.wait_for(1)
        pubsub.call("delete_subscription", subscription=subscription)

        assert stream.wait_for_end() == "NOT_FOUND"


@streaming(
    "A response says if ordering and exactly-once are on.", docs="API: StreamingPullResponse"
)
def test_properties(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic(
        enable_message_ordering=True, enable_exactly_once_delivery=True
    )
    pubsub.publish(topic, b"x")

    with Stream(pubsub, subscription) as stream:
        stream.wait_for(1)
        response = stream.wait_for_part("subscription_properties")

    assert response.message_ordering_enabled
    assert response.exactly_once_delivery_enabled


def wait_for_both(first: Stream, second: Stream, count: int) -> list[Any]:
    def enough() -> list[Any]:
        messages = first.messages + second.messages
        return messages if len(messages) >= count else []

    return wait_until(enough, f"{count} messages")


streaming.only_in_the_cloud(
    "The server may end a stream at any time with UNAVAILABLE; clients open it again.",
    docs="API: Subscriber",
)
streaming.only_in_the_cloud("A stream carries at most 10 MB/s.", docs="Quotas and limits")
