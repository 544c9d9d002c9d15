"""Lanes in a process: each has its limit and its queue, and none waits behind all of another."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.serving.harness import Exchange, exchange, make_app, on_a_loop, settle, start
from ucam_faas import Lane, message_handler
from ucam_faas.serving.admission import Gate
from ucam_faas.serving.app import App
from ucam_faas.testing import make_push


class Waiting:
    """A task whose executions wait for the test."""

    def __init__(self, *lanes: Any, **options: Any) -> None:
        self.running: list[str] = []
        self.most: Counter[str] = Counter()
        self.started: list[str] = []
        self._ends: list[tuple[str, asyncio.Event]] = []

        @message_handler(name="task", lanes=list(lanes) or None, **options)
        async def act(data: bytes) -> None:
            lane = data.decode()
            end = asyncio.Event()
            self._ends.append((lane, end))
            self.running.append(lane)
            self.started.append(lane)
            self.most[lane] = max(self.most[lane], self.running.count(lane))
            await end.wait()
            self.running.remove(lane)

        self.function = act

    async def end_one(self) -> None:
        """End the execution that began first."""
        _, end = self._ends.pop(0)
        end.set()
        await settle()

    async def end_all(self) -> None:
        while self._ends:
            await self.end_one()


async def push(app: App, lane: str) -> Exchange:
    path = "/task/inbox" if lane == "default" else f"/task/inbox/{lane}"
    made = make_push(lane.encode())
    return await exchange(app, path, [made.body], headers=made.headers)


async def statuses(requests: list[asyncio.Task[Exchange]]) -> list[int]:
    return [(await request).status for request in requests]


@on_a_loop
async def test_no_more_of_a_lane_run_than_its_limit_and_the_others_run_beside_it() -> None:
    waiting = Waiting(Lane("bulk", max_concurrency=2))
    app = make_app(waiting.function)

    bulk = [start(push(app, "bulk")) for _ in range(5)]
    await settle()
    default = [start(push(app, "default")) for _ in range(3)]
    await settle()

    assert Counter(waiting.running) == {"bulk": 2, "default": 3}
    await waiting.end_all()
    assert waiting.most["bulk"] == 2
    assert await statuses(bulk) == [200, 200, 200, 200, 429]  # two ran, and two waited
    assert await statuses(default) == [200, 200, 200]


@on_a_loop
async def test_a_limit_of_default_holds_for_messages_on_the_topic_too() -> None:
    waiting = Waiting(Lane("default", max_concurrency=1), "bulk")
    app = make_app(waiting.function, queue=0)
    made = make_push(b"default")

    first = start(push(app, "default"))
    await settle()
    on_topic = await exchange(app, "/task", [made.body], headers=made.headers)
    bulk = start(push(app, "bulk"))
    await settle()

    assert (on_topic.status, waiting.running) == (429, ["default", "bulk"])
    await waiting.end_all()
    assert await statuses([first, bulk]) == [200, 200]


@on_a_loop
async def test_a_backlog_in_one_lane_leaves_places_for_another() -> None:
    """Both wait for the limit of their task."""
    waiting = Waiting("bulk", concurrency=2)
    app = make_app(waiting.function)

    bulk = [start(push(app, "bulk")) for _ in range(10)]
    await settle()
    default = [start(push(app, "default")) for _ in range(2)]
    await settle()
    await waiting.end_one()
    await waiting.end_one()

    assert waiting.started == ["bulk", "bulk", "bulk", "default"]  # they take turns
    await waiting.end_all()
    assert await statuses(default) == [200, 200]
    assert (await statuses(bulk)).count(429) == 6


@on_a_loop
@pytest.mark.parametrize("lane", ["removed", "default"])
async def test_a_lane_that_the_task_has_no_more_is_served_as_default(lane: str) -> None:
    waiting, other = Waiting(Lane("default", max_concurrency=1)), Waiting()
    app = make_app(waiting.function, message_handler(name="other")(lambda: None), queue=0)

    first = start(push(app, lane))
    await settle()
    second = await push(app, lane)

    assert (second.status, waiting.running) == (429, [lane])
    await waiting.end_all()
    assert (await first).status == 200
    assert not other.started


def test_lanes_that_wait_take_turns_whatever_the_backlog_of_another() -> None:
    async def play() -> list[str]:
        gate = Gate(1, 200)
        entered: list[str] = []
        assert gate.try_enter()
        for lane, backlog in (("low", 140), ("default", 20), ("high", 2)):
            for _ in range(backlog):
                gate.join_queue(lane).add_done_callback(lambda _, lane=lane: entered.append(lane))
        for _ in range(24):
            gate.leave()
            await asyncio.sleep(0)
        return entered

    entered = asyncio.run(play())

    assert entered[:7] == ["low", "default", "high", "low", "default", "high", "low"]
    assert Counter(entered) == {"low": 11, "default": 11, "high": 2}
