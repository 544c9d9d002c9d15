"""The limits on running and waiting requests, and the responses beyond them."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from typing import Any

import pytest

import ucam_faas
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.testing import ManualClock, serve

from .harness import (
    WAIT_SECONDS,
    Exchange,
    Held,
    begin,
    exchange,
    make_app,
    on_a_loop,
    push,
    settle,
    start,
)


def sync_task(act: Any, name: str = "task", **policy: Any) -> Any:
    def task(data: bytes) -> Any:
        return act(data)

    task.__name__ = name
    return ucam_faas.message_handler(message_type=None, **policy)(task)


def async_task(act: Any, **policy: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, **policy)
    async def task(data: bytes) -> Any:
        return await act(data)

    return task


class Crowd:
    """Counts who is inside, until they are let go one at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.order: list[bytes] = []
        self.arrived = threading.Semaphore(0)
        self.may_leave = threading.Semaphore(0)

    def __call__(self, data: bytes) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(data)
        self.arrived.release()
        assert self.may_leave.acquire(timeout=WAIT_SECONDS)
        with self.lock:
            self.inside -= 1

    async def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.arrived.acquire, True, WAIT_SECONDS)

    def let_go(self, count: int) -> None:
        self.may_leave.release(count)


async def send(app: Any, count: int, name: str = "task") -> list[asyncio.Task[Exchange]]:
    """Send deliveries one after the other: each waits or runs before the next comes."""
    requests = []
    for number in range(count):
        requests.append(start(push(app, name, str(number).encode())))
        await settle()
    return requests


def states(requests: list[asyncio.Task[Exchange]]) -> list[int | None]:
    return [request.result().status if request.done() else None for request in requests]


@pytest.mark.parametrize(
    ("settings", "policy", "running", "waiting"),
    [
        ({"threads": 3}, {}, 3, 3),
        ({"threads": 3, "queue": 1}, {}, 3, 1),
        ({"threads": 3, "queue": 0}, {}, 3, 0),
        ({"threads": 3}, {"concurrency": 1}, 1, 1),
        ({"threads": 3, "queue": 4}, {"concurrency": 1}, 1, 4),
        ({"threads": 3}, {"concurrency": 2}, 2, 2),
        ({"threads": 1}, {"concurrency": 5}, 1, 1),
    ],
)
@on_a_loop
async def test_as_many_run_and_wait_as_may_and_the_rest_is_429_at_once(
    settings: Any, policy: Any, running: int, waiting: int, clock: ManualClock
) -> None:
    crowd = Crowd()
    app = make_app(sync_task(crowd, **policy), clock=clock, **settings)

    requests = await send(app, running + waiting + 2)
    await crowd.wait_for(running)
    before = states(requests)
    crowd.let_go(running + waiting)
    responses = [await request for request in requests]

    assert before == [None] * (running + waiting) + [429, 429]
    assert [answer.status for answer in responses] == [200] * (running + waiting) + [429, 429]
    assert responses[-1].text == "Too many requests at once"
    assert crowd.most == running


@on_a_loop
async def test_the_queue_is_in_order_of_arrival(clock: ManualClock) -> None:
    crowd = Crowd()
    app = make_app(sync_task(crowd), clock=clock, threads=1, queue=20)
    requests = await send(app, 12)

    for _ in range(12):
        await crowd.wait_for(1)
        crowd.let_go(1)
    statuses = [(await request).status for request in requests]

    assert statuses == [200] * 12
    assert crowd.order == [str(number).encode() for number in range(12)]


@on_a_loop
async def test_a_full_queue_takes_deliveries_again_when_one_has_ended(clock: ManualClock) -> None:
    crowd = Crowd()
    app = make_app(sync_task(crowd), clock=clock, threads=1, queue=1)
    requests = await send(app, 3)
    await crowd.wait_for(1)
    crowd.let_go(1)
    await requests[0]

    more = await send(app, 2)
    before = states(more)
    await crowd.wait_for(1)
    crowd.let_go(2)
    statuses = [(await request).status for request in requests + more]

    assert before == [None, 429]
    assert statuses == [200, 200, 429, 200, 429]


@on_a_loop
async def test_one_tasks_limit_leaves_threads_to_others(clock: ManualClock) -> None:
    crowd, free = Crowd(), threading.Event()
    app = make_app(
        sync_task(crowd, concurrency=1),
        sync_task(lambda data: free.set(), name="other"),
        clock=clock,
        threads=2,
    )
    requests = await send(app, 2)
    await crowd.wait_for(1)

    other = await push(app, "other")

    assert other.status == 200
    assert crowd.most == 1
    crowd.let_go(2)
    assert [(await request).status for request in requests] == [200, 200]


@on_a_loop
async def test_async_tasks_run_at_once_up_to_their_limit(clock: ManualClock) -> None:
    release = asyncio.Event()
    inside = 0

    async def act(data: bytes) -> None:
        nonlocal inside
        inside += 1
        await release.wait()

    app = make_app(async_task(act), clock=clock, threads=1)
    requests = [start(push(app, "task")) for _ in range(2 * REQUESTS_OF_AN_INSTANCE + 1)]
    await settle()
    at_once, before = inside, states(requests)
    release.set()
    statuses = [(await request).status for request in requests]

    assert at_once == REQUESTS_OF_AN_INSTANCE
    assert before.count(429) == 1
    assert statuses.count(200) == 2 * REQUESTS_OF_AN_INSTANCE


@on_a_loop
async def test_async_tasks_with_a_concurrency_of_one_run_in_order(clock: ManualClock) -> None:
    order: list[bytes] = []

    async def act(data: bytes) -> None:
        order.append(b"in " + data)
        await asyncio.sleep(0)
        order.append(b"out " + data)

    app = make_app(async_task(act, concurrency=1), clock=clock, queue=9)
    requests = [start(push(app, "task", str(number).encode())) for number in range(5)]
    statuses = [(await request).status for request in requests]

    assert statuses == [200] * 5
    assert order == [b"%s %d" % (word, n) for n in range(5) for word in (b"in", b"out")]


@on_a_loop
async def test_async_tasks_run_on_the_servers_loop_and_thread(clock: ManualClock) -> None:
    loops: list[Any] = []

    async def act(data: bytes) -> None:
        loops.append((asyncio.get_running_loop(), threading.current_thread()))

    app = make_app(async_task(act), clock=clock)

    for _ in range(3):
        await push(app, "task")

    assert set(loops) == {(asyncio.get_running_loop(), threading.current_thread())}


NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="unset")


@pytest.mark.parametrize("how", ["sync", "async"])
@on_a_loop
async def test_tasks_see_the_contexts_of_their_own_delivery_only(
    how: str, clock: ManualClock
) -> None:
    seen: list[tuple[bytes, bytes, str]] = []

    def act(data: bytes) -> None:
        message = ucam_faas.MESSAGE_CONTEXT.get().pubsub_message
        seen.append((data, message.data, NAME.get()))
        NAME.set("changed")

    async def act_async(data: bytes) -> None:
        act(data)

    made = sync_task(act) if how == "sync" else async_task(act_async)
    app = make_app(made, clock=clock, threads=4, queue=50)
    NAME.set("the server's")

    requests = [start(push(app, "task", str(number).encode())) for number in range(40)]
    statuses = [(await request).status for request in requests]

    assert statuses == [200] * 40
    assert len(seen) == 40
    assert all(data == of_context for data, of_context, _ in seen)
    assert {name for _, _, name in seen} == {"the server's"}
    assert NAME.get() == "the server's"
    assert ucam_faas.MESSAGE_CONTEXT.get(None) is None


@on_a_loop
async def test_health_is_ok_when_nothing_more_can_run(clock: ManualClock) -> None:
    crowd = Crowd()
    app = make_app(sync_task(crowd), clock=clock, threads=1, queue=0)
    requests = await send(app, 2)
    await crowd.wait_for(1)

    response = await exchange(app, "/healthy", method="GET")

    assert response.status == 200
    crowd.let_go(1)
    assert [(await request).status for request in requests] == [200, 429]


@pytest.mark.slow
@on_a_loop
async def test_of_many_deliveries_none_is_lost_and_the_limits_hold(clock: ManualClock) -> None:
    lock = threading.Lock()
    inside, most, ran = 0, 0, 0

    def act(data: bytes) -> None:
        nonlocal inside, most, ran
        with lock:
            inside, ran = inside + 1, ran + 1
            most = max(most, inside)
        os.sched_yield()
        with lock:
            inside -= 1

    app = make_app(sync_task(act, concurrency=3), clock=clock, threads=5, queue=10_000)

    requests = [start(push(app, "task")) for _ in range(2000)]
    statuses = {(await request).status for request in requests}

    assert statuses == {200}
    assert ran == 2000
    assert most <= 3
    gates = app.service.runner._ways["task", "default"].gates
    assert [(gate.inside, gate.waiting) for gate in gates] == [(0, 0), (0, 0)]
    assert app.service.runner._runs == set()


@on_a_loop
async def test_a_server_that_gives_a_request_up_keeps_the_limits(clock: ManualClock) -> None:
    held = Held()
    app = make_app(sync_task(held), clock=clock, threads=1, queue=5)
    first = await begin(push(app, "task", b"1"), held)
    waiting = start(push(app, "task", b"2"))
    await settle()

    waiting.cancel()
    await settle()
    third = start(push(app, "task", b"3"))
    await settle()
    held.release.set()

    assert waiting.cancelled()
    assert [(await first).status, (await third).status] == [200, 200]
    assert held.seen == [b"1", b"3"]


@on_a_loop
async def test_when_no_thread_can_be_started_the_delivery_fails_and_the_pool_recovers(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[bytes] = []
    app = make_app(sync_task(ran.append), clock=clock, threads=1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        refused = start(push(app, "task", b"1"))
        await settle()
    second = start(push(app, "task", b"2"))
    await asyncio.wait([refused, second], timeout=WAIT_SECONDS)

    assert refused.done()
    assert second.done(), "the pool counts a thread that was never started"
    assert second.result().status == 200
    assert refused.exception() is None, "it escaped from the application"
    assert refused.result().status >= 500
    assert ran == [b"2"]


def test_no_thread_is_left_behind_when_tasks_are_served_no_more() -> None:
    before = set(threading.enumerate())

    for _ in range(5):
        with serve(sync_task(lambda data: None)) as client:
            assert client.push("task").status == 200

    def left() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread not in before}

    for thread in left():
        thread.join(WAIT_SECONDS)
    assert left() == set()
