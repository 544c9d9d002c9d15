"""Every delivery is answered by its deadline, exactly once, and the process lives on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.testing import ManualClock

from .harness import (
    WAIT_SECONDS,
    Held,
    advance,
    begin,
    fields_of,
    lines,
    make_app,
    messages,
    on_a_loop,
    push,
    settle,
    start,
    until,
)

TIMEOUT = timedelta(seconds=30)
TOO_LATE = (504, "Not handled in time")


def sync_task(act: Any, **policy: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, timeout=TIMEOUT, **policy)
    def task(data: bytes) -> Any:
        return act(data)

    return task


def async_task(act: Any, **policy: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, timeout=TIMEOUT, **policy)
    async def task(data: bytes) -> Any:
        return await act(data)

    return task


@on_a_loop
async def test_a_sync_task_past_its_timeout_is_answered_504_while_it_runs(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    app = make_app(sync_task(held), clock=clock)
    request = await begin(push(app, "task"), held)

    await advance(clock, 30)
    response = await request

    assert (response.status, response.text) == TOO_LATE
    assert not held.ended.is_set()
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]
    assert fields_of(caplog.records, "ucam_faas_function_aborted")["outcome"] == "timed_out"
    held.release.set()


@on_a_loop
async def test_a_task_just_before_its_timeout_is_not_stopped(clock: ManualClock) -> None:
    held = Held()
    app = make_app(sync_task(held), clock=clock)
    request = await begin(push(app, "task"), held)

    await advance(clock, 29.9)
    held.release.set()
    response = await request

    assert response.status == 200


@on_a_loop
async def test_an_abandoned_thread_is_reported_with_its_stack(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()

    def where_it_hangs(data: bytes) -> None:
        held(data)

    app = make_app(sync_task(where_it_hangs), clock=clock)
    request = await begin(push(app, "task"), held)

    await advance(clock, 30)
    await request

    fields = fields_of(caplog.records, "ucam_faas_thread_abandoned")
    assert fields["task"] == "task"
    assert fields["abandoned_threads"] == 1
    assert "where_it_hangs" in fields["stack"]
    held.release.set()


@on_a_loop
async def test_the_late_end_of_an_abandoned_thread_is_logged_and_its_result_dropped(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    app = make_app(sync_task(held), clock=clock)
    request = await begin(push(app, "task"), held)
    await advance(clock, 30)
    response = await request
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "ucam-faas-task"][-1:]

    held.release.set()
    await asyncio.to_thread(thread.join, WAIT_SECONDS)

    assert response.status == 504
    assert not thread.is_alive()
    assert fields_of(caplog.records, "ucam_faas_function_ended_late")["outcome"] == "done"
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]


@on_a_loop
async def test_an_async_task_past_its_timeout_is_cancelled(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    async def act(data: bytes) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    app = make_app(async_task(act), clock=clock)
    request = start(push(app, "task"))
    await settle()

    await advance(clock, 30)
    response = await request

    assert (response.status, response.text) == TOO_LATE
    assert seen == ["cancelled"]
    assert messages(caplog.records) == ["ucam_faas_function_aborted"]


@on_a_loop
async def test_an_async_task_that_suppresses_its_cancellation_is_answered_all_the_same(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    release, ended = asyncio.Event(), asyncio.Event()

    async def act(data: bytes) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await release.wait()
        ended.set()

    app = make_app(async_task(act), clock=clock)
    request = start(push(app, "task"))
    await settle()

    await advance(clock, 30)
    response = await request
    before = messages(caplog.records)
    release.set()
    await ended.wait()
    await settle()

    assert (response.status, response.text) == TOO_LATE
    assert before == ["ucam_faas_function_aborted"]
    assert messages(caplog.records) == [*before, "ucam_faas_function_ended_late"]


@on_a_loop
async def test_an_async_task_that_answers_its_cancellation_with_an_error_is_late(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(data: bytes) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise ValueError from error

    app = make_app(async_task(act), clock=clock)
    request = start(push(app, "task"))
    await settle()

    await advance(clock, 30)
    response = await request

    assert response.status == 504
    assert messages(caplog.records) == [
        "ucam_faas_function_aborted",
        "ucam_faas_function_ended_late",
    ]


@on_a_loop
async def test_a_cancellation_of_the_tasks_own_making_is_a_failure(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(data: bytes) -> None:
        raise asyncio.CancelledError

    app = make_app(async_task(act), clock=clock)

    response = await push(app, "task")

    assert response.status == 500
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]


@on_a_loop
async def test_a_function_that_has_returned_is_not_stopped_by_its_deadline(
    clock: ManualClock,
) -> None:
    held, reported = Held(), threading.Event()
    task = sync_task(
        held,
        options=ucam_faas.HandlerExecutionOptions(log_execution_result=lambda _: reported.set()),
    )
    app = make_app(task, clock=clock)
    request = await begin(push(app, "task"), held)

    held.release.set()
    assert reported.wait(WAIT_SECONDS)  # here, not beside the loop: it must not get the answer yet
    await advance(clock, 60)
    response = await request

    assert (response.status, response.text) == (200, "OK")


class HeldPublisher:
    """A publisher that takes its time."""

    def __init__(self) -> None:
        self.held = Held()
        self.published: list[bytes] = []

    def publish(
        self,
        topic: str,
        data: bytes,
        attributes: Mapping[str, str],
        *,
        ordering_key: str = "",
        timeout_seconds: float = 10.0,
    ) -> str:
        self.held()
        self.published.append(data)
        return "1"


@pytest.mark.parametrize("how", ["sync", "async"])
@on_a_loop
async def test_a_dead_letter_on_its_way_is_not_stopped_by_the_deadline(
    how: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = HeldPublisher()

    def act(data: bytes) -> None:
        raise ucam_faas.DeadLetter("why")

    async def act_async(data: bytes) -> None:
        act(data)

    topic = "projects/p/topics/dead"
    made = sync_task(act, dead_letter_topic=topic)
    if how == "async":
        made = async_task(act_async, dead_letter_topic=topic)
    app = make_app(made, clock=clock, publisher=publisher)
    request = start(push(app, "task", b"hello"))
    await until(publisher.held.begun)

    await advance(clock, 60)
    publisher.held.release.set()
    response = await request

    assert response.status == 200
    assert publisher.published == [b"hello"]
    assert fields_of(caplog.records, "ucam_faas_function_aborted")["outcome"] == "dead_lettered"


@on_a_loop
async def test_the_pool_goes_on_serving_when_its_only_thread_is_abandoned(
    clock: ManualClock,
) -> None:
    held = Held()
    app = make_app(sync_task(held), clock=clock, threads=1)
    stuck = await begin(push(app, "task", b"1"), held)
    await advance(clock, 30)
    assert (await stuck).status == 504
    held.begun.clear()

    second = await begin(push(app, "task", b"2"), held)
    held.release.set()
    response = await second

    assert response.status == 200
    assert held.seen == [b"1", b"2"]


@on_a_loop
async def test_a_waiting_delivery_gets_the_place_of_an_abandoned_one(clock: ManualClock) -> None:
    held, second_begun = Held(), threading.Event()

    def act(data: bytes) -> None:
        if data == b"1":
            held(data)
        second_begun.set()

    app = make_app(sync_task(act), clock=clock, threads=1)
    first = await begin(push(app, "task", b"1"), held)
    clock.advance(timedelta(seconds=10))
    second = start(push(app, "task", b"2"))
    await settle()

    await advance(clock, 20)
    statuses = [(await first).status, (await second).status]

    assert statuses == [504, 200]
    held.release.set()


@pytest.mark.parametrize("allowed", [0, 1, 2])
@on_a_loop
async def test_one_abandoned_thread_too_many_asks_for_another_process(
    allowed: int, clock: ManualClock
) -> None:
    held = Held()
    app = make_app(
        sync_task(held),
        clock=clock,
        threads=1,
        max_abandoned_threads=allowed,
    )

    exhausted: list[bool] = []
    for _ in range(allowed + 1):
        held.begun.clear()
        request = await begin(push(app, "task"), held)
        await advance(clock, 30)
        await request
        exhausted.append(app.service.runner.is_exhausted)

    assert exhausted == [False] * allowed + [True]
    held.release.set()


@on_a_loop
async def test_threads_that_ended_late_are_not_counted_as_abandoned(clock: ManualClock) -> None:
    app_holds: list[Held] = []

    def act(data: bytes) -> None:
        app_holds[-1](data)

    app = make_app(
        sync_task(act),
        clock=clock,
        threads=1,
        max_abandoned_threads=1,
    )

    for _ in range(4):
        app_holds.append(Held())
        before = set(threading.enumerate())
        request = start(push(app, "task"))
        await until(app_holds[-1].begun)
        await advance(clock, 30)
        await request
        app_holds[-1].release.set()
        for thread in set(threading.enumerate()) - before:
            if thread.name == "ucam-faas-task":
                await asyncio.to_thread(thread.join, WAIT_SECONDS)

    assert not app.service.runner.is_exhausted


@on_a_loop
async def test_an_async_task_never_asks_for_another_process(clock: ManualClock) -> None:

    async def act(data: bytes) -> None:
        await asyncio.Event().wait()

    app = make_app(async_task(act), clock=clock, max_abandoned_threads=0)
    requests = [start(push(app, "task")) for _ in range(3)]
    await settle()

    await advance(clock, 30)

    assert [(await request).status for request in requests] == [504] * 3
    assert not app.service.runner.is_exhausted


@on_a_loop
async def test_a_delivery_that_still_waits_at_its_deadline_is_504_and_never_started(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()

    @ucam_faas.message_handler(message_type=None, timeout=timedelta(minutes=10))
    def slow(data: bytes) -> None:
        held(data)

    ran: list[bytes] = []
    app = make_app(slow, sync_task(ran.append), clock=clock, threads=1)
    first = await begin(push(app, "slow"), held)
    second = start(push(app, "task", b"2"))
    await settle()

    await advance(clock, 30)
    response = await second
    held.release.set()

    assert (response.status, response.text) == TOO_LATE
    assert (await first).status == 200
    await settle()
    assert ran == []
    assert "ucam_faas_thread_abandoned" not in messages(caplog.records)


@on_a_loop
async def test_the_deadline_counts_from_arrival_not_from_the_start(clock: ManualClock) -> None:
    first_held, second_held = Held(), Held()
    holds = {b"1": first_held, b"2": second_held}
    app = make_app(sync_task(lambda data: holds[data](data)), clock=clock, threads=1)
    first = await begin(push(app, "task", b"1"), first_held)
    second = start(push(app, "task", b"2"))
    await settle()
    await advance(clock, 20)
    first_held.release.set()
    assert (await first).status == 200
    await until(second_held.begun)

    await advance(clock, 10)
    response = await second

    assert response.status == 504
    second_held.release.set()


@on_a_loop
async def test_an_answered_request_leaves_no_deadline_behind(clock: ManualClock) -> None:
    app = make_app(sync_task(lambda data: None), clock=clock)

    for _ in range(20):
        await push(app, "task")

    assert all(timer.cancelled for timer in clock._due)


class Payload:
    """Something to look for in memory."""


def succeed(payload: Payload) -> None:
    """Do nothing."""


def ask_again(payload: Payload) -> None:
    raise ucam_faas.Retry


@pytest.mark.parametrize(
    ("how", "act"),
    [
        # No crash: the frames of its traceback may lead back to its answer.
        ("sync", succeed),
        ("sync", ask_again),
        ("async", succeed),
        ("async", ask_again),
    ],
)
@on_a_loop
async def test_nothing_of_an_answered_delivery_waits_for_the_garbage_collector(
    how: str, act: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="ucam_faas")  # kept records keep tracebacks
    refs: list[weakref.ref[Payload]] = []

    def parse(data: bytes) -> Payload:
        payload = Payload()
        refs.append(weakref.ref(payload))
        return payload

    def task(payload: Payload) -> None:
        act(payload)

    async def async_task(payload: Payload) -> None:
        act(payload)

    decorate = ucam_faas.message_handler(message_type=parse)
    made = decorate(task if how == "sync" else async_task)
    app = make_app(made, clock=SystemClock(), threads=1)
    gc.disable()
    try:
        for _ in range(5):
            await push(app, made.__name__)
            await settle()
        alive = sum(ref() is not None for ref in refs)
    finally:
        gc.enable()

    assert len(refs) == 5
    assert alive <= 1  # an idle thread may hold on to what it did last


@pytest.mark.slow
@on_a_loop
async def test_each_of_many_deliveries_that_race_their_deadline_is_concluded_once(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    barrier = threading.Event()

    def act(data: bytes) -> None:
        if int(data) % 3 == 0:
            barrier.wait(0.0005)

    @ucam_faas.message_handler(message_type=None, timeout=timedelta(seconds=30))
    async def cooperative(data: bytes) -> None:
        for _ in range(int(data) % 7):
            await asyncio.sleep(0)

    app = make_app(sync_task(act), cooperative, clock=clock, threads=8, queue=1000)
    statuses: list[int] = []
    for round_ in range(40):
        requests = [
            start(push(app, ("task", "cooperative")[number % 2], str(number).encode()))
            for number in range(20)
        ]
        for _ in range(round_ % 5):
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=30))
        statuses += [(await request).status for request in requests]

    assert set(statuses) <= {200, 504}
    assert len(statuses) == 800
    assert len(lines(caplog.records)) == 800
    done = [line for line in lines(caplog.records) if line == "ucam_faas_function_completed"]
    assert len(done) == statuses.count(200)
    assert {200, 504} <= set(statuses)
