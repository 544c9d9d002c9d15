"""A stopping process refuses new and waiting requests, and gives running ones a grace period."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from ucam_faas.testing import ManualClock

from .harness import (
    WAIT_SECONDS,
    Held,
    advance,
    begin,
    exchange,
    fields_of,
    lines,
    make_app,
    messages,
    on_a_loop,
    push,
    settle,
    start,
)

ENDING = (503, "The service is shutting down")


def task_of(act: Any, **policy: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, **policy)
    def task(data: bytes) -> Any:
        return act(data)

    return task


@on_a_loop
async def test_new_work_is_503_and_its_body_is_not_read(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[bytes] = []
    app = make_app(task_of(ran.append), clock=clock)

    app.service.runner.drain()
    response = await push(app, "task")

    assert (response.status, response.text) == ENDING
    assert response.received == 0
    assert ran == []
    fields = fields_of(caplog.records, "ucam_faas_request_rejected")
    assert fields["outcome"] == "shutting_down"


@on_a_loop
async def test_work_whose_body_arrives_after_the_drain_began_is_503(clock: ManualClock) -> None:
    ran: list[bytes] = []
    app = make_app(task_of(ran.append), clock=clock)
    arrives, sent = asyncio.Event(), []

    async def receive() -> dict[str, Any]:
        await arrives.wait()
        return {"type": "http.request", "body": b'{"message": {"data": ""}}'}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "POST", "path": "/task", "headers": []}
    request = asyncio.ensure_future(app(scope, receive, send))
    await settle()

    app.service.runner.drain()
    arrives.set()
    await request

    assert sent[0]["status"] == 503
    assert ran == []


@pytest.mark.parametrize("limits", [{"threads": 1}, {"threads": 4}])
@on_a_loop
async def test_waiting_work_is_503_at_once_and_never_started(
    limits: Any, clock: ManualClock
) -> None:
    held = Held()
    app = make_app(task_of(held, concurrency=1), clock=clock, queue=5, **limits)
    first = await begin(push(app, "task", b"1"), held)
    waiting = [start(push(app, "task", b"2")) for _ in range(3)]
    await settle()

    app.service.runner.drain()
    await settle()
    answers = [request.result() for request in waiting]
    held.release.set()

    assert [(answer.status, answer.text) for answer in answers] == [ENDING] * 3
    assert (await first).status == 200
    await settle()
    assert held.seen == [b"1"]


@on_a_loop
async def test_work_whose_turn_has_just_come_is_503_and_never_started(clock: ManualClock) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, threads=1)
    first = await begin(push(app, "task", b"1"), held)
    second = start(push(app, "task", b"2"))
    await settle()
    gate = app.service.runner._ways["task", "default"].gates[0]

    gate.leave()  # the second one's turn has come, and it does not know yet
    app.service.runner.drain()
    gate.inside += 1
    response = await second
    held.release.set()

    assert response.status == 503
    assert (await first).status == 200
    assert held.seen == [b"1"]
    assert gate.inside == 0


@on_a_loop
async def test_running_work_ends_with_200_within_the_grace(clock: ManualClock) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, grace_seconds=8)
    request = await begin(push(app, "task"), held)

    app.service.runner.drain()
    await advance(clock, 7.9)
    held.release.set()
    response = await request
    await advance(clock, 1)

    assert (response.status, response.text) == (200, "OK")


@on_a_loop
async def test_running_work_is_503_when_the_grace_ends(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, grace_seconds=8)
    request = await begin(push(app, "task"), held)

    app.service.runner.drain()
    await advance(clock, 7.9)
    before = request.done()
    await advance(clock, 0.1)
    response = await request

    assert not before
    assert (response.status, response.text) == ENDING
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]
    held.release.set()


@on_a_loop
async def test_running_async_work_is_cancelled_when_the_grace_ends(clock: ManualClock) -> None:
    seen: list[str] = []

    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    app = make_app(task, clock=clock, grace_seconds=8)
    request = start(push(app, "task"))
    await settle()

    app.service.runner.drain()
    await advance(clock, 8)
    response = await request

    assert (response.status, response.text) == ENDING
    assert seen == ["cancelled"]


@on_a_loop
async def test_the_deadline_still_counts_within_the_grace(clock: ManualClock) -> None:
    held = Held()
    app = make_app(task_of(held, timeout=timedelta(seconds=5)), clock=clock, grace_seconds=8)
    request = await begin(push(app, "task"), held)

    app.service.runner.drain()
    await advance(clock, 5)
    response = await request

    assert response.status == 504
    await advance(clock, 5)
    held.release.set()


@on_a_loop
async def test_a_function_that_has_returned_when_the_grace_ends_is_a_success(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held, reported = Held(), threading.Event()
    options = ucam_faas.HandlerExecutionOptions(log_execution_result=lambda _: reported.set())
    app = make_app(task_of(held, options=options), clock=clock, grace_seconds=8)
    request = await begin(push(app, "task"), held)
    app.service.runner.drain()

    held.release.set()
    assert reported.wait(WAIT_SECONDS)  # on the loop's own thread: it does not know yet
    await advance(clock, 8)
    response = await request

    assert response.status == 200
    assert messages(caplog.records) == []


@on_a_loop
async def test_a_second_drain_changes_nothing(clock: ManualClock) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, grace_seconds=8)
    request = await begin(push(app, "task"), held)
    app.service.runner.drain()
    await advance(clock, 6)

    app.service.runner.drain()
    await advance(clock, 2)
    response = await request

    assert response.status == 503
    held.release.set()


@on_a_loop
async def test_health_is_ok_while_draining(clock: ManualClock) -> None:
    app = make_app(task_of(print), clock=clock)

    app.service.runner.drain()
    response = await exchange(app, "/healthy", method="GET")

    assert response.status == 200


@pytest.mark.parametrize("kind", ["http", "raw"])
@on_a_loop
async def test_every_kind_of_task_is_drained(kind: str, clock: ManualClock) -> None:
    @ucam_faas.http(path="/task")
    def page(request: Any) -> str:
        return "x"

    @ucam_faas.raw_event
    def task(body: bytes) -> str:
        return "x"

    app = make_app(page if kind == "http" else task, clock=clock)

    app.service.runner.drain()
    response = await exchange(app, "/task", method="GET")

    assert (response.status, response.text) == ENDING


@pytest.mark.slow
@on_a_loop
async def test_of_many_deliveries_in_a_drain_each_is_concluded_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    total = 0
    for round_ in range(30):
        clock = ManualClock()
        ran: list[bytes] = []
        app = make_app(task_of(ran.append), clock=clock, threads=3, queue=100, grace_seconds=1)
        requests = [start(push(app, "task", b"x")) for _ in range(20)]
        for _ in range(round_):
            await asyncio.sleep(0)

        app.service.runner.drain()
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=1))
        statuses = [(await request).status for request in requests]
        total += 20

        assert set(statuses) <= {200, 503}
        assert statuses.count(200) <= len(ran)
        assert app.service.runner._runs == set()
    concluded = lines(caplog.records)
    refused = [m for m in messages(caplog.records) if m == "ucam_faas_request_rejected"]
    assert len(concluded) + len(refused) == total
