"""`ucam_faas_pubsub`: a Pub/Sub in the test's process that Google's clients find."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import queue
import threading
import urllib.request
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import (
    CloudSchedulerGrpcTransport,
)
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from pydantic import BaseModel

from ucam_faas.emulator.errors import RpcError
from ucam_faas.execution.runtime import of_environment
from ucam_faas.local_testing import EmbeddedPubsub

from .conftest import Subscribe


class User(BaseModel):
    name: str


def test_nothing_runs_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    pubsub = EmbeddedPubsub()

    pubsub.close()

    assert set(threading.enumerate()) <= before


def test_several_have_ports_of_their_own(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    other = EmbeddedPubsub()
    other.create_subscription("orders")
    other.close()

    assert other.host != ucam_faas_pubsub.host
    with pytest.raises(RpcError):
        ucam_faas_pubsub.pull("orders")


def test_the_environment_says_where_it_is(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    assert os.environ["PUBSUB_EMULATOR_HOST"] == ucam_faas_pubsub.host
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == ucam_faas_pubsub.project


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_finds_it_empty(ucam_faas_pubsub: EmbeddedPubsub, number: int) -> None:
    with pytest.raises(RpcError):
        ucam_faas_pubsub.pull("orders")

    ucam_faas_pubsub.create_subscription("orders")
    ucam_faas_pubsub.publish("orders", b"left behind")


def test_messages_have_what_they_were_published_with(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    ucam_faas_pubsub.create_subscription("users")

    message_id = ucam_faas_pubsub.publish(
        "users", User(name="Ada"), attributes={"kind": "new"}, ordering_key="ada"
    )

    (message,) = ucam_faas_pubsub.pull("users")
    assert message.data == b'{"name":"Ada"}'
    assert (message.message_id, message.ordering_key) == (message_id, "ada")
    assert message.attributes == {"kind": "new"}
    assert message.publish_time is not None


def test_what_was_pulled_is_acknowledged(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    ucam_faas_pubsub.create_subscription("orders", "archive")
    for number in range(1005):
        ucam_faas_pubsub.publish("orders", str(number))

    first, second = ucam_faas_pubsub.pull("archive"), ucam_faas_pubsub.pull("archive")

    assert [message.data for message in first] == [b"%d" % number for number in range(1005)]
    assert second == []


def test_subscriptions_take_googles_fields(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    name = ucam_faas_pubsub.create_subscription(
        "orders", filter='attributes.kind = "new"', ack_deadline_seconds=60
    )
    ucam_faas_pubsub.publish("orders", b"1", attributes={"kind": "new"})
    ucam_faas_pubsub.publish("orders", b"2", attributes={"kind": "old"})

    assert [message.data for message in ucam_faas_pubsub.pull(name)] == [b"1"]


def test_a_topic_that_is_not_there_is_an_error(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    with pytest.raises(RpcError) as raised:
        ucam_faas_pubsub.publish("nothing", b"x")

    assert raised.value.code == "NOT_FOUND"
    assert "nothing" in str(raised.value)


# --- Google's clients


def test_googles_publisher_publishes_to_it(
    ucam_faas_pubsub: EmbeddedPubsub, publisher: pubsub_v1.PublisherClient
) -> None:
    topic = publisher.topic_path(os.environ["GOOGLE_CLOUD_PROJECT"], "orders")
    ucam_faas_pubsub.create_subscription(topic)

    message_id = publisher.publish(topic, b"x", kind="new").result(timeout=10)

    (message,) = ucam_faas_pubsub.pull("orders")
    assert (message.message_id, message.data) == (message_id, b"x")


def test_googles_subscriber_gets_messages_in_its_callback(
    ucam_faas_pubsub: EmbeddedPubsub, subscribe: Subscribe
) -> None:
    subscription = ucam_faas_pubsub.create_subscription("orders")
    seen: queue.Queue[bytes] = queue.Queue()

    def take(message: Any) -> None:
        seen.put(message.data)
        message.ack()

    subscribe(subscription, take)
    ucam_faas_pubsub.publish("orders", b"x")

    assert seen.get(timeout=10) == b"x"


@pytest.mark.slow
def test_a_client_that_is_kept_finds_it_in_the_next_test(
    ucam_faas_pubsub: EmbeddedPubsub, publisher: pubsub_v1.PublisherClient
) -> None:
    """Modules under test make their client once: the port stays the same."""
    topic = ucam_faas_pubsub.create_topic("orders")
    publisher.publish(topic, b"x").result(timeout=10)
    host = ucam_faas_pubsub.host

    ucam_faas_pubsub.reset()  # what happens between two tests

    with pytest.raises(NotFound):
        publisher.publish(topic, b"x").result(timeout=10)
    ucam_faas_pubsub.create_topic("orders")
    assert publisher.publish(topic, b"x").result(timeout=10)
    assert ucam_faas_pubsub.host == host


def test_a_subscriber_that_is_left_running_is_ended_by_the_next_test(
    ucam_faas_pubsub: EmbeddedPubsub, subscribe: Subscribe
) -> None:
    subscription = ucam_faas_pubsub.create_subscription("orders")
    future = subscribe(subscription, lambda message: message.ack())

    ucam_faas_pubsub.reset()

    with pytest.raises(NotFound):
        future.result(timeout=10)


@pytest.mark.slow
def test_googles_asyncio_clients_use_it_from_the_tests_own_loop(
    ucam_faas_pubsub: EmbeddedPubsub,
) -> None:
    async def main() -> list[bytes]:
        subscription = ucam_faas_pubsub.create_subscription("orders")
        async with grpc.aio.insecure_channel(ucam_faas_pubsub.host) as channel:
            publisher = PublisherAsyncClient(
                transport=PublisherGrpcAsyncIOTransport(channel=channel)
            )
            subscriber = SubscriberAsyncClient(
                transport=SubscriberGrpcAsyncIOTransport(channel=channel)
            )
            topic = ucam_faas_pubsub.create_topic("orders")
            await publisher.publish(topic=topic, messages=[{"data": b"x"}])
            response = await subscriber.pull(subscription=subscription, max_messages=1)
            return [received.message.data for received in response.received_messages]

    assert asyncio.run(main()) == [b"x"]
    gc.collect()  # gRPC's polling thread ends with the last object of it


def test_googles_scheduler_client_makes_jobs_in_it(ucam_faas_pubsub: EmbeddedPubsub) -> None:
    parent = f"projects/{ucam_faas_pubsub.project}/locations/local"
    topic = ucam_faas_pubsub.create_topic("orders")
    ucam_faas_pubsub.create_subscription("orders")
    with grpc.insecure_channel(ucam_faas_pubsub.host) as channel:
        client = CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=channel))
        job = client.create_job(
            parent=parent,
            job={
                "name": f"{parent}/jobs/daily",
                "schedule": "0 3 * * *",
                "pubsub_target": {"topic_name": topic, "data": b"x"},
            },
        )

        client.run_job(name=job.name)

    assert [message.data for message in ucam_faas_pubsub.pull("orders")] == [b"x"]


def test_tasks_publish_here_whatever_was_published_before(request: pytest.FixtureRequest) -> None:
    before = of_environment()

    pubsub = request.getfixturevalue("ucam_faas_pubsub")

    assert of_environment().settings.project == pubsub.project != before.settings.project


def test_its_requests_are_not_logged_however_logging_is_configured(
    ucam_faas_pubsub: EmbeddedPubsub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`logging.config.dictConfig` with the logger `uvicorn` turns its access log on."""
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)

    url = f"http://{ucam_faas_pubsub.host}/"
    with caplog.at_level(logging.INFO), urllib.request.urlopen(url) as response:
        assert response.status == 200

    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
