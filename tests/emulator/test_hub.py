"""The hub drives the engine: on time, and nobody is answered before everything is saved."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.lease import DAY
from ucam_faas.emulator.services import PUBLISHER, SUBSCRIBER

from .push_sink import SUBSCRIPTION, TOPIC, Cloud, settle


async def pull(cloud: Cloud, **options: Any) -> list[Any]:
    options = {"max_messages": 10, "return_immediately": True, **options}
    answer = await cloud.call(SUBSCRIBER, "Pull", subscription=SUBSCRIPTION, **options)
    return list(answer.received_messages)


async def subscribe(cloud: Cloud, **options: Any) -> None:
    await cloud.call(SUBSCRIBER, "CreateSubscription", name=SUBSCRIPTION, topic=TOPIC, **options)


def test_nobody_is_answered_before_the_work_is_saved() -> None:
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
    """As on a full disk. Nobody waits for ever, either."""

    async def run() -> None:
        async with Cloud() as cloud:
            save = cloud.emulator.engine.save

            def fail() -> None:
                raise OSError("disk full")

            cloud.emulator.engine.save = fail  # type: ignore[method-assign]
            with pytest.raises(RpcError, match="disk full"):
                await asyncio.wait_for(cloud.publish("a", "b"), 5.0)

            cloud.emulator.engine.save = save  # type: ignore[method-assign]
            await cloud.publish("c")

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

            assert [one.message.data for one in await waiting] == [b"a"]

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

            found = [] if not waiting.cancelled() else await pull(cloud)
            assert len(found) == (1 if waiting.cancelled() else 0)

    asyncio.run(run())


def test_a_subscription_that_nobody_uses_expires() -> None:
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


def test_everybody_gets_some_of_what_there_is() -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            await subscribe(cloud)
            pulls = [
                asyncio.ensure_future(pull(cloud, return_immediately=False, max_messages=1))
                for _ in range(5)
            ]
            await settle()

            await cloud.publish(*"abcde")

            found = [await one for one in pulls]
            assert sorted(one.message.data for (one,) in found) == [b"a", b"b", b"c", b"d", b"e"]

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

            assert [one.message.data for one in await pull(cloud)] == [b"old"]

    asyncio.run(run())
