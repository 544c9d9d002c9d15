"""The hub drives the engine: on time, and no caller is answered before everything is saved."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.processes import HANG_SECONDS
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.pulling import PULL_SECONDS
from ucam_faas.emulator.core.answers import READ_SECONDS
from ucam_faas.emulator.core.lease import DAY, Holder
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import PUBLISHER, SCHEDULER, SUBSCRIBER
from ucam_faas.net.worker_streams import CLIENT_PREFIX

from .push_sink import SUBSCRIPTION, TOPIC, Cloud, settle

JOB = "projects/p/locations/l/jobs/j"


async def pull(cloud: Cloud, **options: Any) -> list[Any]:
    options = {"max_messages": 10, "return_immediately": True, **options}
    answer = await cloud.call(SUBSCRIBER, "Pull", subscription=SUBSCRIPTION, **options)
    return list(answer.received_messages)


async def subscribe(cloud: Cloud, **options: Any) -> None:
    await cloud.call(SUBSCRIBER, "CreateSubscription", name=SUBSCRIPTION, topic=TOPIC, **options)


async def schedule_each_minute(cloud: Cloud) -> None:
    job = {
        "name": JOB,
        "schedule": "* * * * *",
        "time_zone": "UTC",
        "pubsub_target": {"topic_name": TOPIC, "data": b"x"},
    }
    await cloud.call(SCHEDULER, "CreateJob", parent="projects/p/locations/l", job=job)


def test_no_caller_is_answered_before_the_work_is_saved() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            saved: list[str] = []
            save = cloud.emulator.engine.save
            cloud.emulator.engine.save = lambda: saved.append("saved") or save()  # type: ignore[method-assign,func-returns-value]

            publishing = asyncio.ensure_future(cloud.publish("a"))
            await asyncio.sleep(0)
            assert not publishing.done()
            await publishing

            assert saved

    asyncio.run(run())


def test_what_cannot_be_saved_is_not_answered_as_if_it_were() -> None:
    """As on a full disk. No caller waits forever, either."""

    async def run() -> None:
        async with Cloud() as cloud:
            save = cloud.emulator.engine.save

            def fail() -> None:
                raise OSError("disk full")

            cloud.emulator.engine.save = fail  # type: ignore[method-assign]
            with pytest.raises(RpcError, match="disk full"):
                await asyncio.wait_for(cloud.publish("a", "b"), HANG_SECONDS)

            cloud.emulator.engine.save = save  # type: ignore[method-assign]
            await cloud.publish("c")

    asyncio.run(run())


def test_an_acknowledgement_that_could_not_be_saved_is_saved_later() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            await cloud.publish("a", "b")
            storage, advance = cloud.emulator.engine.storage, cloud.emulator.engine.storage.advance
            ack_ids = [(await pull(cloud))[1].ack_id]

            def fail(*_: object) -> None:
                raise OSError("disk full")

            storage.advance = fail  # type: ignore[method-assign]
            with pytest.raises(RpcError, match="disk full"):
                await cloud.call(
                    SUBSCRIBER, "Acknowledge", subscription=SUBSCRIPTION, ack_ids=ack_ids
                )

            storage.advance = advance  # type: ignore[method-assign]
            await cloud.publish("c")
            assert storage.progress(cloud.queue.number).acked == {2}

    asyncio.run(run())


def test_a_failure_while_time_passes_does_not_stop_it() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            await cloud.publish("a")
            assert len(await pull(cloud)) == 1

            def fail(_: object) -> None:
                cloud.emulator.hub.sweepers.remove(fail)
                raise OSError("disk full")

            cloud.emulator.hub.sweepers.append(fail)
            with pytest.raises(OSError, match="disk full"):
                await cloud.advance(1.0)

            await settle()
            waiting = asyncio.ensure_future(pull(cloud, return_immediately=False))
            await cloud.advance(10.0)
            assert len(await asyncio.wait_for(waiting, HANG_SECONDS)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.123457, 0.3])
def test_what_is_due_after_a_time_is_done_when_it_has_passed(offset: float) -> None:
    """However floats are rounded."""

    async def run() -> None:
        async with Cloud() as cloud:
            await cloud.advance(offset)
            await subscribe(cloud, ack_deadline_seconds=10)
            await cloud.publish("a")
            for _ in range(20):
                assert len(await pull(cloud)) == 1
                await cloud.advance(10.0)

    asyncio.run(run())


def test_a_waiting_pull_gets_what_is_published() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            waiting = asyncio.ensure_future(pull(cloud, return_immediately=False))
            await settle()
            assert not waiting.done()

            await cloud.publish("a")

            assert [received.message.data for received in await waiting] == [b"a"]

    asyncio.run(run())


def test_a_pull_that_is_given_up_leaves_everything_to_others() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            waiting = asyncio.ensure_future(pull(cloud, return_immediately=False))
            await settle()
            publishing = asyncio.ensure_future(cloud.publish("a"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting, publishing])

            assert waiting.cancelled()
            assert len(await pull(cloud)) == 1

    asyncio.run(run())


def test_an_unused_subscription_expires() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud, expiration_policy={"ttl": {"seconds": int(7 * DAY)}})
            for _ in range(10):  # it is used
                await cloud.advance(6 * DAY)
                await pull(cloud)

            await cloud.advance(8 * DAY)

            with pytest.raises(RpcError, match="not found"):
                await cloud.call(SUBSCRIBER, "GetSubscription", subscription=SUBSCRIPTION)

    asyncio.run(run())


def test_a_snapshot_expires() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            name = "projects/p/snapshots/snap"
            await cloud.call(SUBSCRIBER, "CreateSnapshot", name=name, subscription=SUBSCRIPTION)

            for _ in range(8):
                await cloud.advance(DAY)

            with pytest.raises(RpcError, match="not found"):
                await cloud.call(SUBSCRIBER, "GetSnapshot", snapshot=name)

    asyncio.run(run())


def test_every_consumer_gets_some_messages() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            pulls = [
                asyncio.ensure_future(pull(cloud, return_immediately=False, max_messages=1))
                for _ in range(5)
            ]
            await settle()

            await cloud.publish(*"abcde")

            pulled = [await call for call in pulls]
            assert sorted(received.message.data for (received,) in pulled) == [
                b"a",
                b"b",
                b"c",
                b"d",
                b"e",
            ]

    asyncio.run(run())


def test_topics_outlive_their_names() -> None:
    """A topic that is made again is another one: its old subscriptions get nothing from it."""

    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            await cloud.publish("old")
            await cloud.call(PUBLISHER, "DeleteTopic", topic=TOPIC)
            await cloud.call(PUBLISHER, "CreateTopic", name=TOPIC)

            await cloud.publish("new")

            assert [received.message.data for received in await pull(cloud)] == [b"old"]

    asyncio.run(run())


async def forget(cloud: Cloud) -> None:
    cloud.emulator.clear()


ENDS: dict[str, tuple[str, Callable[[Cloud], Awaitable[Any]]]] = {
    "deleted": (
        "NOT_FOUND",
        lambda cloud: cloud.call(SUBSCRIBER, "DeleteSubscription", subscription=SUBSCRIPTION),
    ),
    "detached": (
        "FAILED_PRECONDITION",
        lambda cloud: cloud.call(PUBLISHER, "DetachSubscription", subscription=SUBSCRIPTION),
    ),
    "pushes": ("FAILED_PRECONDITION", lambda cloud: cloud.push_to("http://localhost:1/")),
    "reset": ("NOT_FOUND", forget),
}


async def stream(
    cloud: Cloud,
    last: asyncio.Event | None = None,
    on_message: Callable[[Any], None] = lambda _: None,
    on_attempt: Callable[[int], None] = lambda _: None,
    client_id: str = "",
) -> None:
    """Open a stream; it sends no more requests after an event."""

    async def requests() -> AsyncIterator[Any]:
        yield protos.StreamingPullRequest(
            subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10, client_id=client_id
        )
        await (last or asyncio.Event()).wait()

    async def write(response: Any) -> None:
        for received in response.received_messages:
            on_message(received.message)
            on_attempt(received.delivery_attempt)

    await cloud.emulator.services.pulling.stream(requests(), write)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", ["pull", "stream"])
def test_calls_end_when_a_subscription_can_no_longer_be_pulled(how: str, end: str) -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            call = pull(cloud, return_immediately=False) if how == "pull" else stream(cloud)
            waiting = asyncio.ensure_future(call)
            await settle()
            code, act = ENDS[end]

            await act(cloud)

            with pytest.raises(RpcError) as caught:
                await asyncio.wait_for(waiting, HANG_SECONDS)
            assert caught.value.code == code

    asyncio.run(run())


def test_a_half_closed_stream_gets_no_more_messages() -> None:
    """Not even those that wait to be written; others get them at once."""

    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            streamed: list[bytes] = []
            last = asyncio.Event()
            streaming = asyncio.ensure_future(
                stream(cloud, last, lambda message: streamed.append(message.data))
            )
            await settle()
            await cloud.publish("a")
            await settle()  # it is leased, and held back for its publisher

            last.set()
            await settle()
            await cloud.advance(READ_SECONDS)

            assert streaming.done()
            assert streamed == []
            assert [received.message.data for received in await pull(cloud)] == [b"a"]

    asyncio.run(run())


def test_a_half_closed_stream_keeps_the_messages_that_it_was_sent() -> None:
    """Its client is at work on them; the others are released."""

    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            last = asyncio.Event()
            streaming = asyncio.ensure_future(stream(cloud, last))
            await settle()
            await cloud.publish("sent")
            await settle()
            await cloud.advance(READ_SECONDS)
            await settle()
            await cloud.publish("held back")
            await settle()

            last.set()
            await settle()
            await cloud.advance(READ_SECONDS)

            assert streaming.done()
            assert [received.message.data for received in await pull(cloud)] == [b"held back"]

    asyncio.run(run())


def test_the_messages_of_a_cancelled_stream_are_delivered_again_although_its_requests_ended() -> (
    None
):
    """gRPC ends the requests of a cancelled call before it cancels the call."""

    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            await cloud.publish("a")
            last = asyncio.Event()

            async def requests() -> AsyncIterator[Any]:
                yield protos.StreamingPullRequest(
                    subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10
                )
                await last.wait()

            async def write(response: Any) -> None:
                if last.is_set():
                    raise asyncio.CancelledError  # as gRPC does for a client that is gone
                last.set()

            with pytest.raises(asyncio.CancelledError):
                await cloud.emulator.services.pulling.stream(requests(), write)

            assert [received.message.data for received in await pull(cloud)] == [b"a"]

    asyncio.run(run())


def test_a_stream_that_is_lost_costs_its_messages_an_attempt() -> None:
    """A message that ends the processes that pull it becomes a dead letter."""

    async def run() -> None:
        async with Cloud() as cloud:
            policy = {"dead_letter_topic": TOPIC, "max_delivery_attempts": 5}
            await subscribe(cloud, dead_letter_policy=policy)
            cloud.emulator.hub.readers_clock = cloud.clock
            await cloud.publish("a")
            attempts: list[int] = []
            for _ in range(2):
                streaming = asyncio.ensure_future(stream(cloud, on_attempt=attempts.append))
                await settle()
                await cloud.advance(READ_SECONDS)
                streaming.cancel()
                await asyncio.wait([streaming])

            assert attempts == [1, 2]

    asyncio.run(run())


@pytest.mark.parametrize("publishers", [1, 5])
def test_a_message_is_streamed_when_its_publisher_has_had_time_to_read_its_id(
    publishers: int,
) -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            streamed: list[bytes] = []
            streaming = asyncio.ensure_future(
                stream(cloud, on_message=lambda message: streamed.append(message.data))
            )
            await settle()
            await asyncio.gather(*(cloud.publish("a") for _ in range(publishers)))
            await settle()
            await cloud.advance(READ_SECONDS / 2)
            assert streamed == []

            await cloud.advance(READ_SECONDS / 2)

            assert streamed == [b"a"] * publishers
            streaming.cancel()

    asyncio.run(run())


def test_a_worker_gets_a_message_at_once() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            streamed: list[bytes] = []
            streaming = asyncio.ensure_future(
                stream(
                    cloud,
                    on_message=lambda message: streamed.append(message.data),
                    client_id=f"{CLIENT_PREFIX}1",
                )
            )
            await settle()

            await cloud.publish("a")
            await settle()

            assert streamed == [b"a"]
            streaming.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_message_is_pulled_when_its_publisher_has_had_time_to_read_its_id(at_once: bool) -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            if at_once:
                await cloud.publish("a")
            pulling = asyncio.ensure_future(pull(cloud, return_immediately=at_once))
            await settle()
            if not at_once:
                await cloud.publish("a")
            await settle()
            await cloud.advance(READ_SECONDS / 2)
            assert not pulling.done()

            await cloud.advance(READ_SECONDS / 2)

            assert [received.message.data for received in await pulling] == [b"a"]

    asyncio.run(run())


def test_a_pull_that_is_given_up_before_its_answer_leaves_its_messages_to_others() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            await cloud.publish("a")
            pulling = asyncio.ensure_future(pull(cloud))
            await settle()  # the message is leased, and held back for its publisher

            pulling.cancel()
            await settle()
            await cloud.advance(READ_SECONDS)

            assert len(await pull(cloud)) == 1

    asyncio.run(run())


def test_an_empty_pull_is_answered_before_clients_give_up() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            cloud.emulator.hub.readers_clock = cloud.clock
            pulling = asyncio.ensure_future(pull(cloud, return_immediately=False))
            await settle()
            await cloud.advance(PULL_SECONDS - 0.1)
            assert not pulling.done()

            await cloud.advance(0.1)

            assert await pulling == []

    asyncio.run(run())


@pytest.mark.parametrize("publishers", [1, 5])
def test_a_message_is_delivered_after_its_publisher_was_answered(publishers: int) -> None:
    """Also while others publish on: the answer is handed to its transport first."""

    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            answered: set[str] = set()
            delivered: list[str] = []

            class Consumer:
                def offer(self) -> None:
                    engine, now = cloud.emulator.engine, cloud.emulator.hub.now()
                    for lease in engine.take(cloud.queue, now, Holder(), 100):
                        delivered.append(str(lease.message.number))
                        assert delivered[-1] in answered

            async def publish() -> None:
                message = protos.PubsubMessage(data=b"x")
                answer = await cloud.call(PUBLISHER, "Publish", topic=TOPIC, messages=[message])
                answered.update(answer.message_ids)

            cloud.emulator.hub.join(cloud.queue, Consumer())
            for _ in range(20):
                await asyncio.gather(*(publish() for _ in range(publishers)))
            await settle()

            assert len(delivered) == 20 * publishers

    asyncio.run(run())


@pytest.mark.parametrize("hours", [0, 1, 24 * 365])
def test_leases_end_though_the_wall_clock_is_set_back(hours: int) -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud, ack_deadline_seconds=10)
            await cloud.publish("a")
            assert len(await pull(cloud)) == 1

            cloud.clock.set_back(timedelta(hours=hours))
            await cloud.advance(9.0)
            assert await pull(cloud) == []
            await cloud.advance(1.0)

            assert len(await pull(cloud)) == 1

    asyncio.run(run())


def test_backoffs_end_though_the_wall_clock_is_set_back() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            backoff = {"minimum_backoff": {"seconds": 20}, "maximum_backoff": {"seconds": 20}}
            await subscribe(cloud, retry_policy=backoff)
            await cloud.publish("a")
            ids = [received.ack_id for received in await pull(cloud)]
            fields = {"ack_ids": ids, "ack_deadline_seconds": 0}
            await cloud.call(SUBSCRIBER, "ModifyAckDeadline", subscription=SUBSCRIPTION, **fields)

            cloud.clock.set_back(timedelta(hours=1))
            await cloud.advance(20.0)

            assert len(await pull(cloud)) == 1

    asyncio.run(run())


def test_schedules_follow_a_wall_clock_that_is_set_back() -> None:
    """They notice it within a minute, and run by the new time."""

    async def run() -> None:
        async with Cloud() as cloud:
            await schedule_each_minute(cloud)

            cloud.clock.set_back(timedelta(days=1))
            for _ in range(5):
                await cloud.advance(60.0)

            assert 4 <= len(cloud.told("published")) <= 5

    asyncio.run(run())


def test_a_stream_from_a_push_subscription_is_refused() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await cloud.subscribe("http://localhost:1/")

            with pytest.raises(RpcError, match="pushes"):
                await asyncio.wait_for(stream(cloud), HANG_SECONDS)

    asyncio.run(run())


def test_a_subscription_with_an_open_stream_does_not_expire() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud, expiration_policy={"ttl": {"seconds": int(7 * DAY)}})
            streaming = asyncio.ensure_future(stream(cloud))
            for _ in range(9):
                await cloud.advance(DAY)

            assert not streaming.done()
            streaming.cancel()
            await cloud.call(SUBSCRIBER, "GetSubscription", subscription=SUBSCRIPTION)

    asyncio.run(run())


def test_calls_end_when_the_emulator_has_stopped() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            cloud.emulator.hub.close()

            with pytest.raises(RpcError, match="has stopped"):
                await asyncio.wait_for(cloud.publish("a"), HANG_SECONDS)

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", b"PR", b"POST /v1/x HTTP/1.1\r\nContent-Length: 9\r\n\r\n"])
def test_an_emulator_that_stops_closes_its_connections(sent: bytes) -> None:
    async def run() -> None:
        async with Emulator(Options()) as emulator:
            client = socket.create_connection(("127.0.0.1", emulator.port))
            client.sendall(sent)
            while not emulator._connections:
                await asyncio.sleep(0)
        with client:
            client.settimeout(5.0)
            assert client.recv(1) == b""

    asyncio.run(run())


def test_a_schedule_whose_message_could_not_be_kept_runs_again() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await schedule_each_minute(cloud)
            storage, append = cloud.emulator.engine.storage, cloud.emulator.engine.storage.append

            def fail(*_: object) -> None:
                raise OSError("disk full")

            storage.append = fail  # type: ignore[method-assign]
            await cloud.advance(60)
            answer = await cloud.call(SCHEDULER, "GetJob", name=JOB)
            assert "disk full" in answer.status.message

            storage.append = append  # type: ignore[method-assign]
            await cloud.advance(60)
            assert len(cloud.told("published")) == 1

    asyncio.run(run())
