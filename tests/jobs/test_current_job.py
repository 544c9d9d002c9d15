"""`ucam_faas.current_job()`, and pauses: what a running job knows of itself, and can do."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from tests.jobs.runs import FaultyStore, add, causes, row_of, wake
from tests.serving.harness import Held, advance, begin, make_app, on_a_loop, until
from ucam_faas.events.context import CLOUD_EVENT_CONTEXT, MESSAGE_CONTEXT
from ucam_faas.exceptions import JobCancelledError, JobLostError, JobNotFoundError
from ucam_faas.jobs.rows import Change
from ucam_faas.jobs.states import State
from ucam_faas.testing import ManualClock, run

TIMEOUT = timedelta(seconds=30)


def sync_task(act: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, timeout=TIMEOUT)
    def task(data: bytes) -> Any:
        return act()

    return task


@on_a_loop
async def test_a_task_knows_its_job(store: FaultyStore, clock: ManualClock) -> None:
    def act() -> list[Any]:
        job = ucam_faas.current_job()
        if job.attempt == 1:
            raise ValueError
        return [job.id, job.attempt, job.source_task]

    key = add(store, source="parent")
    app = make_app(sync_task(act), clock=clock, store=store)

    await wake(app)
    clock.advance(10)
    await wake(app)

    assert row_of(store, key).result == b'["1", 2, "parent"]'


def test_a_delivery_that_isnt_a_jobs_has_none() -> None:
    info = run(sync_task(ucam_faas.current_job))

    with pytest.raises(JobNotFoundError, match="no job runs"):
        ucam_faas.current_job()
    with pytest.raises(AttributeError, match="JobNotFoundError"):
        info.result


@on_a_loop
async def test_each_attempt_gets_a_message_with_the_id_of_the_job(
    store: FaultyStore, clock: ManualClock
) -> None:
    """Tasks use it as a key of their effects; the wakes of the attempts have ids of their own."""
    seen: list[tuple[Any, ...]] = []

    def act() -> None:
        message, event = MESSAGE_CONTEXT.get().pubsub_message, CLOUD_EVENT_CONTEXT.get().attributes
        seen.append((message.message_id, event.event_id, message.publish_time))
        raise ValueError

    sent = clock.now()
    add(store)
    app = make_app(sync_task(act), clock=clock, store=store)

    await wake(app)
    clock.advance(10)
    await wake(app)

    assert seen == [("1", "1", sent)] * 2


@on_a_loop
async def test_progress_is_in_the_row(store: FaultyStore, clock: ManualClock) -> None:
    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> Any:
        await ucam_faas.current_job().progress_async(1, 2, "half")

    key = add(store)

    await wake(make_app(task, clock=clock, store=store))

    assert row_of(store, key).progress == {"done": 1, "total": 2, "note": "half"}


@on_a_loop
async def test_progress_ends_a_cancelled_job(store: FaultyStore, clock: ManualClock) -> None:
    def act() -> None:
        assert not ucam_faas.current_job().cancel_requested
        store.request_cancel(key)
        assert ucam_faas.current_job().cancel_requested
        ucam_faas.current_job().progress(1)

    key = add(store)

    response = await wake(make_app(sync_task(act), clock=clock, store=store))

    assert response.status == 200
    assert (row_of(store, key).state, row_of(store, key).attempts) == (State.CANCELLED, 0)


@on_a_loop
async def test_a_cancelled_job_may_finish_all_the_same(
    store: FaultyStore, clock: ManualClock
) -> None:
    def act() -> str:
        store.request_cancel(key)
        with pytest.raises(JobCancelledError):
            ucam_faas.current_job().progress(1)
        return "done"

    key = add(store)

    await wake(make_app(sync_task(act), clock=clock, store=store))

    assert row_of(store, key).state is State.SUCCESS


@on_a_loop
async def test_a_late_thread_can_report_nothing(store: FaultyStore, clock: ManualClock) -> None:
    held, refused = Held(), threading.Event()

    def act() -> None:
        held()
        with pytest.raises(JobLostError):
            ucam_faas.current_job().progress(1)
        with pytest.raises(JobLostError):
            ucam_faas.current_job().cancel_requested
        refused.set()

    key = add(store)
    request = await begin(wake(make_app(sync_task(act), clock=clock, store=store)), held)
    await advance(clock, 30)
    await request

    held.release.set()
    await until(refused)

    assert row_of(store, key).progress is None


@on_a_loop
async def test_a_job_pauses_itself_until_it_is_resumed(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ucam_faas")

    def act() -> str:
        if not ucam_faas.current_job().times_resumed:
            raise ucam_faas.Pause("awaiting approval")
        return "approved"

    key = add(store)
    app = make_app(sync_task(act), clock=clock, store=store)

    paused = await wake(app)
    again = await wake(app)
    row = row_of(store, key)
    resume = Change(state=State.PENDING, cause="resumed", visit=60, wait=0)
    store.change(key, resume, states={State.PAUSED})
    await wake(app)

    assert (paused.status, again.status) == (200, 200)
    line = caplog.records[0]
    assert (line.levelname, line.fields["outcome"]) == ("INFO", "paused")  # type: ignore[attr-defined]
    assert (row.state, row.attempts, row.history[-1].message) == (
        State.PAUSED,
        0,
        "awaiting approval",
    )
    assert causes(store, key) == ["sent", "claimed", "paused", "resumed", "claimed", "finished"]
    assert row_of(store, key).result == b'"approved"'


@on_a_loop
async def test_a_job_that_pauses_after_its_cancellation_ends(
    store: FaultyStore, clock: ManualClock
) -> None:
    def act() -> None:
        store.request_cancel(key)
        raise ucam_faas.Pause("awaiting approval")

    key = add(store)

    await wake(make_app(sync_task(act), clock=clock, store=store))

    assert row_of(store, key).state is State.CANCELLED


def test_a_pause_without_a_job_is_a_retry() -> None:
    def act() -> None:
        raise ucam_faas.Pause("awaiting approval")

    from ucam_faas.outcomes import Pause, answer
    from ucam_faas.testing import conclude

    outcome = conclude(sync_task(act)).outcome

    assert isinstance(outcome, Pause)
    assert answer(outcome).http_status == 503
