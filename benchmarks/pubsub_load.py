"""The client process of `emulator.py`: puts one kind of load on a Pub/Sub, and prints figures.

    python benchmarks/pubsub_load.py publish 127.0.0.1:8085 50000

The same code for every side; a process of its own for every measurement. Each has topics of its
own, and warms both ends up before the clock starts. Raw clients look at the protobuf messages
below the library's wrappers, so that the client is not what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import re
import statistics
import sys
import time
import uuid
from http.client import HTTPConnection
from typing import Any

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    PublishRequest,
    PullRequest,
    StreamingPullRequest,
    StreamingPullResponse,
)
from sink import message_ids, serve

RANDOM = os.urandom(88)
REQUEST = 1000
"""Messages in a request of the raw publisher; Pub/Sub's limit."""
OUTSTANDING = 1000
"""The default of google-cloud-pubsub's subscriber."""
NACKED_AT_ONCE = 100
JSON = {"Content-Type": "application/json"}
DATA_FIELD = re.compile(rb'"data"\s*:\s*"([^"]+)"')


def data(number: int) -> bytes:
    """100 bytes that no other message has."""
    return b"%012d" % number + RANDOM


class Clients:
    """Raw clients on one channel, and topics of new names."""

    def __init__(self, host: str) -> None:
        options = [("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(host, options=options)
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))

    def create(self, **options: Any) -> tuple[str, str]:
        """Create a topic with a subscription."""
        name = uuid.uuid4().hex
        topic, subscription = f"projects/p/topics/t{name}", f"projects/p/subscriptions/s{name}"
        self.publisher.create_topic(name=topic)
        self.subscriber.create_subscription(
            request={"name": subscription, "topic": topic, "ack_deadline_seconds": 600, **options}
        )
        return topic, subscription

    def fill(self, topic: str, count: int) -> None:
        """Publish as fast as one caller can."""
        request = PublishRequest(topic=topic, messages=[{}] * min(REQUEST, count))
        messages = PublishRequest.pb(request).messages
        for start in range(0, count, len(messages)):
            for number, message in enumerate(messages, start):
                message.data = data(number)
            self.publisher.publish(request=request)

    def pull(self, subscription: str, count: int) -> None:
        """Pull and acknowledge this number of different messages."""
        seen: set[str] = set()
        request = PullRequest(subscription=subscription, max_messages=REQUEST)
        while len(seen) < count:
            response = self.subscriber.pull(request=request, timeout=60)
            received = type(response).pb(response).received_messages
            acknowledge = AcknowledgeRequest(subscription=subscription)
            AcknowledgeRequest.pb(acknowledge).ack_ids.extend(
                message.ack_id for message in received
            )
            self.subscriber.acknowledge(request=acknowledge)
            seen.update(message.message.message_id for message in received)

    def stream(self, subscription: str, count: int) -> None:
        """Receive this number of different messages from a stream; acknowledge each response."""
        seen: set[str] = set()
        requests: queue.SimpleQueue[StreamingPullRequest] = queue.SimpleQueue()
        requests.put(
            StreamingPullRequest(
                subscription=subscription,
                stream_ack_deadline_seconds=60,
                max_outstanding_messages=OUTSTANDING,
                max_outstanding_bytes=100 * 1024 * 1024,
            )
        )
        responses = self.subscriber.streaming_pull(requests=iter(requests.get, None))
        for response in responses:
            received = StreamingPullResponse.pb(response).received_messages
            acknowledge = StreamingPullRequest()
            StreamingPullRequest.pb(acknowledge).ack_ids.extend(
                message.ack_id for message in received
            )
            requests.put(acknowledge)
            seen.update(message.message.message_id for message in received)
            if len(seen) >= count:
                break
        responses.cancel()


def publish(host: str, count: int, topic: str = "") -> dict[str, float]:
    """google-cloud-pubsub's publisher as it comes, batching included."""
    topic = topic or Clients(host).create()[0]
    os.environ["PUBSUB_EMULATOR_HOST"] = host
    publisher = pubsub_v1.PublisherClient()
    figures = {}
    for messages in (count // 5, count):
        started = time.perf_counter()
        futures = [publisher.publish(topic, data(number)) for number in range(messages)]
        ids = {future.result(timeout=120) for future in futures}
        figures["messages/s"] = messages / (time.perf_counter() - started)
        assert len(ids) == messages
    return figures


def pull(host: str, count: int, subscription: str = "") -> dict[str, float]:
    """Unary pulls of up to 1,000 messages, each followed by its acknowledgement."""
    clients = Clients(host)
    if not subscription:
        topic, subscription = clients.create()
        clients.fill(topic, count + count // 5)
    clients.pull(subscription, count // 5)
    return rate(lambda: clients.pull(subscription, count * 9 // 10), count * 9 // 10)


def stream(host: str, count: int) -> dict[str, float]:
    """One StreamingPull with a backlog."""
    clients = Clients(host)
    for messages in (count // 5, count):
        topic, subscription = clients.create()
        clients.fill(topic, messages)
        figures = rate(lambda: clients.stream(subscription, messages), messages)  # noqa: B023
    return figures


def push(host: str, count: int) -> dict[str, float]:
    """A backlog, pushed to the sink in this process from when the endpoint is set."""
    clients = Clients(host)

    async def measured(messages: int) -> dict[str, float]:
        topic, subscription = clients.create()
        clients.fill(topic, messages)
        seen: set[bytes] = set()
        done = asyncio.Event()

        def receive(body: bytes) -> None:
            seen.update(message_ids(body))
            if len(seen) == messages:
                done.set()

        async with await serve(receive) as server:
            started = time.perf_counter()
            await push_to(clients, subscription, server)
            await asyncio.wait_for(done.wait(), 300)
            seconds = time.perf_counter() - started
            await stop_pushing(clients, subscription)
        return {"messages/s": messages / seconds}

    asyncio.run(measured(count // 10))
    return asyncio.run(measured(count))


def latency(host: str, count: int, per_second: float = 0) -> dict[str, float]:
    """From before a message is published until it is pushed.

    The next one is published when the one before has arrived, or at a fixed rate.
    """
    clients = Clients(host)
    latencies: list[float] = []

    async def measure() -> None:
        arrived = asyncio.Event()

        def receive(body: bytes) -> None:
            sent = base64.b64decode(DATA_FIELD.search(body)[1])  # type: ignore[index]
            latencies.append(time.perf_counter() - float(sent))
            arrived.set()

        topic, subscription = clients.create()
        loop = asyncio.get_running_loop()
        async with await serve(receive) as server:
            await push_to(clients, subscription, server)
            started = time.perf_counter()
            sending = []
            for n in range(count + count // 5):
                arrived.clear()
                now = b"%.9f" % time.perf_counter()
                request = PublishRequest(topic=topic, messages=[{"data": now}])
                sending.append(loop.run_in_executor(None, clients.publisher.publish, request))
                if per_second:
                    await asyncio.sleep(started + (n + 1) / per_second - time.perf_counter())
                else:
                    await asyncio.wait_for(arrived.wait(), 60)
            await asyncio.gather(*sending)
            while len(latencies) < len(sending):
                arrived.clear()
                await asyncio.wait_for(arrived.wait(), 60)
            await stop_pushing(clients, subscription)

    asyncio.run(measure())
    measured = sorted(1000 * seconds for seconds in latencies[count // 5 :])
    return {
        "p50 ms": statistics.median(measured),
        "p95 ms": measured[int(len(measured) * 0.95)],
    }


def grpc_publish(host: str, count: int) -> dict[str, float]:
    """One small Publish after the other, over gRPC."""
    clients = Clients(host)
    topic, _ = clients.create()
    message = PublishRequest(topic=topic, messages=[{"data": data(0)}])
    return one_by_one(lambda: clients.publisher.publish(request=message), count)


def rest_publish(host: str, count: int) -> dict[str, float]:
    """One small Publish after the other, over HTTP/1.1 on a connection that is kept alive."""
    topic, _ = Clients(host).create()
    connection = HTTPConnection(host, timeout=60)
    body = json.dumps({"messages": [{"data": base64.b64encode(data(0)).decode()}]})

    def call() -> None:
        connection.request("POST", f"/v1/{topic}:publish", body, JSON)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status

    return one_by_one(call, count)


def one_by_one(call: Any, count: int) -> dict[str, float]:
    milliseconds = []
    for _ in range(count + count // 5):
        started = time.perf_counter()
        call()
        milliseconds.append(1000 * (time.perf_counter() - started))
    return {"p50 ms": statistics.median(milliseconds[count // 5 :])}


async def push_to(clients: Clients, subscription: str, server: asyncio.Server) -> None:
    port = server.sockets[0].getsockname()[1]
    config = {"push_endpoint": f"http://127.0.0.1:{port}/"}
    await asyncio.to_thread(
        clients.subscriber.modify_push_config, subscription=subscription, push_config=config
    )


async def stop_pushing(clients: Clients, subscription: str) -> None:
    await asyncio.to_thread(clients.subscriber.delete_subscription, subscription=subscription)


def rate(run: Any, messages: int) -> dict[str, float]:
    started = time.perf_counter()
    run()
    return {"messages/s": messages / (time.perf_counter() - started)}


def through(host: str, count: int) -> dict[str, float]:
    """Publish this number of messages, and pull and acknowledge all of them."""
    clients = Clients(host)
    topic, subscription = clients.create()
    for _ in range(count // 10_000):
        clients.fill(topic, 10_000)
        clients.pull(subscription, 10_000)
    return {}


def fill(host: str, count: int, topic: str = "") -> dict[str, Any]:
    """Publish a backlog, 1,000 messages in a request and one request at a time; return where."""
    clients = Clients(host)
    subscription = ""
    if not topic:
        topic, subscription = clients.create()
    figures: dict[str, Any] = rate(lambda: clients.fill(topic, count), count)
    return figures | {"topic": topic, "subscription": subscription}


def subscribe(host: str, count: int) -> dict[str, float]:
    """Create so many subscriptions, to 100 topics, that wait; say how fast the first tenth was."""
    clients = Clients(host)
    topics = [clients.create()[0] for _ in range(100)]

    def create(number: int) -> None:
        for each in range(number):
            name = f"projects/p/subscriptions/s{uuid.uuid4().hex}"
            request = {"name": name, "topic": topics[each % len(topics)]}
            clients.subscriber.create_subscription(request=request)

    first = rate(lambda: create(count // 10), count // 10)
    rest = rate(lambda: create(count - count // 10), count - count // 10)
    return {"first/s": first["messages/s"], "rest/s": rest["messages/s"]}


def nack(host: str, count: int) -> dict[str, float]:
    """Receive so many messages of one ordering key on a stream; nack them, the last one first."""
    clients = Clients(host)
    topic, subscription = clients.create(enable_message_ordering=True)
    for start in range(0, count, REQUEST):
        messages = [{"data": data(start + n), "ordering_key": "k"} for n in range(REQUEST)]
        clients.publisher.publish(request={"topic": topic, "messages": messages})
    requests: queue.SimpleQueue[StreamingPullRequest] = queue.SimpleQueue()
    first = {"stream_ack_deadline_seconds": 600, "max_outstanding_messages": count}
    requests.put(StreamingPullRequest(subscription=subscription, **first))
    ids: list[str] = []
    responses = clients.subscriber.streaming_pull(requests=iter(requests.get, None))
    while len(ids) < count:
        received = StreamingPullResponse.pb(next(responses)).received_messages
        ids += [message.ack_id for message in received]
    ids.reverse()

    def run() -> None:
        for start in range(0, count, NACKED_AT_ONCE):
            some = {"ack_ids": ids[start : start + NACKED_AT_ONCE], "ack_deadline_seconds": 0}
            clients.subscriber.modify_ack_deadline(request={"subscription": subscription, **some})

    figures = rate(run, count)
    responses.cancel()
    return figures


MEASURES = {
    each.__name__: each
    for each in (
        publish,
        pull,
        stream,
        push,
        latency,
        grpc_publish,
        rest_publish,
        through,
        fill,
        subscribe,
        nack,
    )
}


def main() -> None:
    name, host, count, *more = sys.argv[1:]
    options = [float(each) if each.isdigit() else each for each in more]
    figures = MEASURES[name](host, int(count), *options)
    print(json.dumps(figures), flush=True)
    os._exit(0)  # gRPC's threads may be in the middle of a stream


if __name__ == "__main__":
    main()
