"""The asyncio clients of google-cloud-pubsub over an insecure channel, StreamingPull included."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import PubsubMessage, StreamingPullRequest

from tests.integration.emulator import PROJECT, new_name

from .endpoint import Endpoint

pytestmark = pytest.mark.slow

Run = Callable[[Callable[["Clients"], Awaitable[None]]], None]


@dataclass(frozen=True)
class Clients:
    publisher: PublisherAsyncClient
    subscriber: SubscriberAsyncClient

    async def create(self, **options: Any) -> tuple[str, str]:
        """Create a topic and a subscription."""
        topic, subscription = new_name("topics"), new_name("subscriptions")
        await self.publisher.create_topic(name=topic)
        await self.subscriber.create_subscription(
            request={"name": subscription, "topic": topic, **options}
        )
        return topic, subscription

    async def publish(self, topic: str, *data: bytes) -> list[str]:
        messages = [PubsubMessage(data=each) for each in data]
        response = await self.publisher.publish(topic=topic, messages=messages)
        return list(response.message_ids)

    async def pull(self, subscription: str, count: int = 1) -> list[Any]:
        messages: list[Any] = []
        while len(messages) < count:
            response = await self.subscriber.pull(
                subscription=subscription, max_messages=count, timeout=20
            )
            messages += response.received_messages
        return messages


@asynccontextmanager
async def connected(host: str) -> AsyncIterator[Clients]:
    """Connect as the documentation of the transports says."""
    async with grpc.aio.insecure_channel(host) as channel:
        yield Clients(
            PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel)),
            SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel)),
        )


@pytest.fixture
def run(endpoint: Endpoint) -> Iterator[Run]:
    """Run a coroutine with clients, for a minute at most."""

    def start(test: Callable[[Clients], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(60), connected(endpoint.host) as clients:
                await test(clients)

        asyncio.run(main())

    yield start
    gc.collect()  # gRPC's polling thread ends with the last object of it


def test_messages_are_published_pulled_and_acknowledged(run: Run) -> None:
    async def test(clients: Clients) -> None:
        topic, subscription = await clients.create()

        ids = await clients.publish(topic, b"1", b"2", b"3")

        received = await clients.pull(subscription, 3)
        assert {message.message.message_id for message in received} == set(ids)
        ack_ids = [message.ack_id for message in received]
        await clients.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=ack_ids[:1], ack_deadline_seconds=60
        )
        await clients.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)
        await clients.publish(topic, b"4")
        (left,) = await clients.pull(subscription)
        assert left.message.data == b"4"

    run(test)


def test_a_stream_receives_and_acknowledges(run: Run) -> None:
    async def test(clients: Clients) -> None:
        topic, subscription = await clients.create()
        await clients.publish(topic, *(b"%d" % n for n in range(100)))
        requests: asyncio.Queue[StreamingPullRequest | None] = asyncio.Queue()
        await requests.put(
            StreamingPullRequest(
                subscription=subscription,
                stream_ack_deadline_seconds=60,
                client_id="a-client",
                max_outstanding_messages=30,
            )
        )

        async def sent() -> AsyncIterator[StreamingPullRequest]:
            while (request := await requests.get()) is not None:
                yield request

        seen: set[bytes] = set()
        refused = False
        async for response in await clients.subscriber.streaming_pull(requests=sent()):
            held = list(response.received_messages)
            if held and not refused:
                refused, received = True, held.pop()
                await requests.put(
                    StreamingPullRequest(
                        modify_deadline_ack_ids=[received.ack_id], modify_deadline_seconds=[0]
                    )
                )
            seen |= {received.message.data for received in held}
            ack_ids = [received.ack_id for received in held]
            await requests.put(StreamingPullRequest(ack_ids=ack_ids))
            if len(seen) == 100:
                break
        await requests.put(None)
        assert refused

    run(test)


def test_a_stream_of_a_missing_subscription_ends_with_its_error(run: Run) -> None:
    async def test(clients: Clients) -> None:
        async def requests() -> AsyncIterator[StreamingPullRequest]:
            yield StreamingPullRequest(
                subscription=new_name("subscriptions"), stream_ack_deadline_seconds=10
            )
            await asyncio.sleep(60)

        with pytest.raises(NotFound):
            async for _ in await clients.subscriber.streaming_pull(requests=requests()):
                pass

    run(test)


def test_a_stream_with_a_malformed_first_request_ends_with_an_error(run: Run) -> None:
    async def test(clients: Clients) -> None:
        async def requests() -> AsyncIterator[StreamingPullRequest]:
            yield StreamingPullRequest(ack_ids=["x"])

        with pytest.raises(GoogleAPICallError):
            async for _ in await clients.subscriber.streaming_pull(requests=requests()):
                pass

    run(test)


def test_resources_are_listed_changed_and_deleted(run: Run) -> None:
    async def test(clients: Clients) -> None:
        topic, subscription = await clients.create(labels={"team": "x"})
        project = f"projects/{PROJECT}"

        topics = [
            topic.name
            async for topic in await clients.publisher.list_topics(
                request={"project": project, "page_size": 2}
            )
        ]
        of_topic = [
            name async for name in await clients.publisher.list_topic_subscriptions(topic=topic)
        ]
        changed = await clients.subscriber.update_subscription(
            request={
                "subscription": {"name": subscription, "ack_deadline_seconds": 42},
                "update_mask": {"paths": ["ack_deadline_seconds"]},
            }
        )
        await clients.subscriber.delete_subscription(subscription=subscription)
        await clients.publisher.delete_topic(topic=topic)

        assert topic in topics
        assert of_topic == [subscription]
        assert (changed.ack_deadline_seconds, dict(changed.labels)) == (42, {"team": "x"})
        with pytest.raises(NotFound):
            await clients.subscriber.get_subscription(subscription=subscription)

    run(test)


def test_a_snapshot_is_sought(run: Run) -> None:
    async def test(clients: Clients) -> None:
        topic, subscription = await clients.create()
        name = new_name("snapshots")
        await clients.subscriber.create_snapshot(name=name, subscription=subscription)
        await clients.publish(topic, b"data")
        (received,) = await clients.pull(subscription)
        await clients.subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])

        await clients.subscriber.seek(request={"subscription": subscription, "snapshot": name})

        (again,) = await clients.pull(subscription)
        assert again.message.message_id == received.message.message_id

    run(test)


def test_many_calls_at_once_all_succeed(run: Run) -> None:
    async def test(clients: Clients) -> None:
        topic, subscription = await clients.create()

        published = await asyncio.gather(*(clients.publish(topic, b"%d" % n) for n in range(500)))

        received: set[str] = set()
        while len(received) < 500:
            batch = await clients.pull(subscription, 1)
            received |= {message.message.message_id for message in batch}
            await clients.subscriber.acknowledge(
                subscription=subscription, ack_ids=[message.ack_id for message in batch]
            )
        assert received == {message_id for ids in published for message_id in ids}

    run(test)


@pytest.mark.usefixtures("environ")
def test_the_client_finds_the_emulator_in_the_environment() -> None:
    async def main() -> None:
        publisher = PublisherAsyncClient()
        topic = await publisher.create_topic(name=new_name("topics"))
        response = await publisher.publish(
            topic=topic.name, messages=[PubsubMessage(data=b"data")], timeout=20
        )
        assert len(response.message_ids) == 1
        await publisher.transport.close()

    asyncio.run(main())
