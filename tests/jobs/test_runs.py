"""The run of a job: claimed in its turn, stored before the answer, and held by one process."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import FaultyStore, add, causes, row_of, wake
from tests.serving.harness import (
    Held,
    advance,
    begin,
    exchange,
    make_app,
    messages,
    on_a_loop,
    settle,
    start,
    until,
)
from ucam_faas.exceptions import ResultNotStoredError
from ucam_faas.job_runs.stored_ends import LONGEST_PAUSE_SECONDS
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Change
from ucam_faas.jobs.states import State
from ucam_faas.testing import ManualClock, make_push

TIMEOUT = timedelta(seconds=30)
LEASE = 45.0


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ucam_faas")


def task_of(act: Any, *, is_async: bool = False, **options: Any) -> Any:
    """Return a task that acts, sync or async."""
    options = {"message_type": None, "timeout": TIMEOUT, **options}
    if is_async:

        @ucam_faas.message_handler(**options)
        async def task(data: bytes) -> Any:
            return act(data)
    else:

        @ucam_faas.message_handler(**options)
        def task(data: bytes) -> Any:
            return act(data)

    return task


class Order(BaseModel):
    """A payload."""

    number: int


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
@on_a_loop
async def test_a_job_runs_with_its_payload_and_its_result_is_stored(
    is_async: bool, store: FaultyStore, clock: ManualClock
) -> None:
    app = make_app(task_of(len, is_async=is_async), clock=clock, store=store)
    key = add(store, payload=b"seven..")

    response = await wake(app)

    assert response.status == 200
    assert (row_of(store, key).state, row_of(store, key).result) == (State.SUCCESS, b"7")


@both
@on_a_loop
async def test_a_job_isnt_claimed_while_the_store_is_down(
    is_async: bool, store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[bytes] = []
    app = make_app(task_of(ran.append, is_async=is_async), clock=clock, store=store)
    key = add(store)
    store.claims_fail = True

    down = await wake(app)
    store.claims_fail = False
    up = await wake(app)

    assert (down.status, up.status, ran) == (503, 200, [b""])
    assert causes(store, key) == ["sent", "claimed", "finished"]
    assert "ucam_faas_job_not_run" in messages(caplog.records)


@both
@on_a_loop
async def test_a_success_is_stored_when_the_store_is_back(
    is_async: bool, store: FaultyStore, clock: ManualClock
) -> None:
    ran: list[bytes] = []
    app = make_app(task_of(ran.append, is_async=is_async), clock=clock, store=store)
    key = add(store)
    store.changes_that_fail = 2

    response = await wake(app)

    assert (response.status, len(ran)) == (200, 1)
    assert row_of(store, key).state is State.SUCCESS


@on_a_loop
async def test_a_success_that_cant_be_stored_within_the_lease_is_refused(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(task_of(len), clock=clock, store=store)
    key = add(store)
    store.changes_that_fail = 1000
    begin = clock.monotonic()

    response = await wake(app)

    assert response.status == 503
    assert LEASE - LONGEST_PAUSE_SECONDS <= clock.monotonic() - begin < LEASE
    assert row_of(store, key).state is State.STARTED
    (line,) = [r for r in caplog.records if r.getMessage() == "ucam_faas_function_completed"]
    assert line.levelno == logging.WARNING


@on_a_loop
async def test_an_end_that_was_stored_without_an_answer_isnt_lost(
    store: FaultyStore, clock: ManualClock
) -> None:
    app = make_app(task_of(len), clock=clock, store=store)
    key = add(store)
    store.changes_without_answer = 1

    response = await wake(app)

    assert response.status == 200
    assert causes(store, key) == ["sent", "claimed", "finished"]


@on_a_loop
async def test_the_loop_goes_on_while_the_end_of_a_stopped_job_is_stored(
    store: FaultyStore, clock: ManualClock
) -> None:
    held, storing, stored = Held(), threading.Event(), threading.Event()

    def slow() -> None:
        storing.set()
        assert stored.wait(60)

    app = make_app(task_of(held), clock=clock, store=store)
    key = add(store)
    request = await begin(wake(app), held)
    store.on_change = slow

    await advance(clock, 30)
    await until(storing)  # the loop runs this, though the store blocks
    before = request.done()
    stored.set()
    response = await request

    assert (before, response.status) == (False, 200)
    assert (row_of(store, key).state, row_of(store, key).attempts) == (State.PENDING, 1)
    assert causes(store, key) == ["sent", "claimed", "failed"]
    held.release.set()


@both
@on_a_loop
async def test_the_late_end_of_a_stopped_job_changes_nothing(
    is_async: bool, store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, store=store)
    key = add(store)
    request = await begin(wake(app), held)
    await advance(clock, 30)
    await request
    before = row_of(store, key)

    held.release.set()
    await until(held.ended)
    await settle()

    assert row_of(store, key) == before


@on_a_loop
async def test_a_job_that_waits_in_the_queue_isnt_claimed(
    store: FaultyStore, clock: ManualClock
) -> None:
    held = Held()
    app = make_app(task_of(held, concurrency=1), clock=clock, store=store)
    first, second = add(store), add(store, id="2")
    running = await begin(wake(app), held)
    waiting = start(wake(app, id="2"))
    await settle()

    queued = row_of(store, second).state
    await advance(clock, 30)
    answers = [(await request).status for request in (running, waiting)]

    assert queued is State.PENDING
    assert answers == [200, 504]
    assert causes(store, second) == ["sent"]
    assert causes(store, first) == ["sent", "claimed", "failed"]
    assert row_of(store, first).history[-1].message == "timed out"
    held.release.set()


@on_a_loop
async def test_a_shutdown_spends_no_attempt(store: FaultyStore, clock: ManualClock) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, store=store)
    key = add(store)
    request = await begin(wake(app), held)

    app.service.drain()
    await advance(clock, 8)
    await request

    row = row_of(store, key)
    assert (row.state, row.attempts, row.interruptions) == (State.PENDING, 0, 1)
    held.release.set()


@on_a_loop
async def test_a_stale_holder_changes_nothing(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(data: bytes) -> str:
        clock.advance(LEASE)
        assert store.claim(key, lease=LEASE, instance="other") is not None
        return "stale"

    key = add(store)
    app = make_app(task_of(lose), store=store)

    response = await wake(app)

    row = row_of(store, key)
    assert response.status == 200
    assert (row.state, row.fence, row.result) == (State.STARTED, 2, None)
    (line,) = [r for r in caplog.records if r.getMessage() == "ucam_faas_function_completed"]
    assert (line.levelno, line.__dict__["fields"]["outcome"]) == (logging.WARNING, "superseded")


@pytest.mark.parametrize("how", ["ended", "running", "missing", "early"])
@on_a_loop
async def test_one_wake_too_many_is_acknowledged_and_no_news(
    how: str, store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[bytes] = []
    app = make_app(task_of(ran.append), clock=clock, store=store)
    key = add(store, id="other" if how == "missing" else "1")
    if how != "missing":
        row = store.claim(key, lease=LEASE, instance="other")
        assert row is not None
    if how == "ended":
        store.change(key, Change(state=State.SUCCESS, cause="finished", visit=60), fence=1)
    if how == "early":
        later = Change(state=State.PENDING, cause="failed", visit=60, wait=60)
        store.change(key, later, fence=1)

    response = await wake(app)

    assert (response.status, ran) == (200, [])
    lines = [(r.getMessage(), r.levelno) for r in caplog.records if r.name == "ucam_faas"]
    ours = [line for line in lines if line[0] != "ucam_faas_function_ended_late"]  # another test's
    assert ours == [("ucam_faas_job_not_run", logging.DEBUG)]


@on_a_loop
async def test_a_job_whose_process_was_lost_too_often_has_failed(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran: list[bytes] = []
    app = make_app(
        task_of(ran.append, retry=ucam_faas.RetryPolicy(max_attempts=5)), clock=clock, store=store
    )
    key = add(store)
    for _ in range(5):
        assert store.claim(key, lease=1, instance="lost") is not None
        clock.advance(1)

    response = await wake(app)

    row = row_of(store, key)
    assert (response.status, ran, row.state) == (200, [], State.FAILURE)
    assert (row.history[-1].cause, row.attempts) == ("crashed", 5)


@on_a_loop
async def test_a_job_that_is_interrupted_for_ever_ends(
    store: FaultyStore, clock: ManualClock
) -> None:
    key = add(store)
    again = Change(state=State.PENDING, cause="interrupted", visit=60, wait=0, interrupted=True)
    for _ in range(100):
        row = store.claim(key, lease=LEASE, instance="other")
        assert row is not None
        store.change(key, again, fence=row.fence)

    await wake(make_app(task_of(len), clock=clock, store=store))

    assert row_of(store, key).state is State.FAILURE
    assert row_of(store, key).history[-1].cause == "interrupted"


@both
@on_a_loop
async def test_a_cancelled_job_that_fails_isnt_retried(
    is_async: bool, store: FaultyStore, clock: ManualClock
) -> None:
    def act(data: bytes) -> None:
        store.request_cancel(key)
        raise ValueError

    key = add(store)

    await wake(make_app(task_of(act, is_async=is_async), clock=clock, store=store))

    assert row_of(store, key).state is State.CANCELLED
    assert causes(store, key) == ["sent", "claimed", "failed", "cancelled"]


@on_a_loop
async def test_a_success_wins_against_a_cancellation(
    store: FaultyStore, clock: ManualClock
) -> None:
    key = add(store)

    await wake(make_app(task_of(lambda _: store.request_cancel(key) and None), store=store))

    assert row_of(store, key).state is State.SUCCESS


@on_a_loop
async def test_a_crash_is_an_error_in_the_log_though_it_is_recorded(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def act(data: bytes) -> None:
        raise ZeroDivisionError

    key = add(store)

    response = await wake(make_app(task_of(act), clock=clock, store=store))

    (line,) = [r for r in caplog.records if r.getMessage() == "ucam_faas_function_aborted"]
    assert (response.status, line.levelno) == (200, logging.ERROR)
    assert line.exc_info is not None
    assert line.__dict__["fields"]["outcome"] == "recorded"
    assert line.__dict__["fields"]["reason"] == "ZeroDivisionError"
    assert row_of(store, key).history[-1].message == "ZeroDivisionError"
    error = row_of(store, key).error
    assert error is not None
    assert error["type"] == "ZeroDivisionError"
    assert "in act" in error["traceback"]
    place = f"{__name__}.{act.__qualname__}"
    assert error["summary"] == f"ZeroDivisionError at {place}"


class OddError(Exception):
    """Its text can't be made."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error",
    [ValueError("a\0b\ud800"), ValueError("x" * 10_000_000), OddError(), SystemExit(3)],
    ids=["unstorable", "huge", "odd", "exit"],
)
@on_a_loop
async def test_an_odd_exception_is_stored(
    error: BaseException, store: FaultyStore, clock: ManualClock
) -> None:
    def act(data: bytes) -> None:
        raise error

    key = add(store)

    await wake(make_app(task_of(act), clock=clock, store=store))

    row = row_of(store, key)
    assert row.error is not None
    assert row.state is State.PENDING
    assert len(row.error["message"]) <= 2000
    assert all("\0" not in text.encode().decode() for text in row.error.values())


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, b"null"),
        (float("nan"), b"NaN"),
        ({1}, b"[1]"),
        (object(), None),
        ("x" * 5_000_000, b'"%b"' % (b"x" * 5_000_000)),
    ],
    ids=["none", "nan", "set", "object", "large"],
)
@on_a_loop
async def test_a_result_is_stored_and_an_odd_one_undoes_no_success(
    value: Any, stored: bytes | None, store: FaultyStore, clock: ManualClock
) -> None:
    key = add(store)

    await wake(make_app(task_of(lambda _: value), clock=clock, store=store))

    assert row_of(store, key).state is State.SUCCESS
    assert row_of(store, key).result == stored


@on_a_loop
async def test_the_reader_of_a_result_that_isnt_json_gets_the_reason(
    store: FaultyStore, clock: ManualClock
) -> None:
    key = add(store)

    await wake(make_app(task_of(lambda _: object()), clock=clock, store=store))

    with pytest.raises(ResultNotStoredError, match="of type object, isn't JSON"):
        Job(key, store).result()


@on_a_loop
async def test_a_payload_that_the_task_rejects_ends_the_job_at_once_with_the_field(
    store: FaultyStore, clock: ManualClock
) -> None:
    key = add(store, payload=b'{"number": "none"}')

    @ucam_faas.message_handler
    def task(order: Order) -> None:
        pass

    response = await wake(make_app(task, clock=clock, store=store))

    row = row_of(store, key)
    assert (response.status, row.state) == (200, State.FAILURE)
    assert "number" in row.history[-1].message
    assert "none" not in row.history[-1].message


@on_a_loop
async def test_a_pushs_token_is_verified_for_the_inbox_too(
    store: FaultyStore, clock: ManualClock
) -> None:
    app = make_app(
        task_of(len),
        clock=clock,
        store=store,
        push_audience="https://here",
        push_email="pusher@example.test",
    )
    key = add(store)

    response = await wake(app)

    assert response.status == 401
    assert row_of(store, key).state is State.PENDING


@on_a_loop
async def test_paths_that_end_as_an_inboxs_are_the_tasks_own(
    store: FaultyStore, clock: ManualClock
) -> None:
    seen: list[Any] = []

    @ucam_faas.raw_event
    def hook(body: bytes) -> None:
        seen.append(body)

    @ucam_faas.message_handler(message_type=None)
    def inbox(data: bytes) -> None:
        seen.append(data)

    @ucam_faas.http(path="/mail/inbox")
    def mail(request: Any) -> str:
        return "mail"

    several = make_app(hook, inbox, mail, clock=clock, store=store)
    alone = make_app(hook, clock=clock, store=store)
    push = make_push(b"to inbox")

    hooked = await exchange(alone, "/any/inbox", [b"hooked"])
    inboxed = await exchange(several, "/inbox", [push.body], headers=push.headers)
    mailed = await exchange(several, "/mail/inbox", method="GET")

    assert [hooked.status, inboxed.status, mailed.text] == [200, 200, "mail"]
    assert seen == [b"hooked", b"to inbox"]


@on_a_loop
async def test_a_task_that_is_served_alone_gets_its_jobs(
    store: FaultyStore, clock: ManualClock
) -> None:
    app = make_app(task_of(len), clock=clock, store=store)
    key = add(store, payload=b"four")

    await asyncio.gather(*(wake(app) for _ in range(5)))

    assert row_of(store, key).result == b"4"
    assert causes(store, key) == ["sent", "claimed", "finished"]


@on_a_loop
async def test_a_job_with_a_timeout_of_its_own_ends_by_that(
    store: FaultyStore, clock: ManualClock
) -> None:
    held = Held()
    app = make_app(task_of(held), clock=clock, store=store)
    key = add(store, options={"timeout": 5.0})
    request = await begin(wake(app), held)
    await settle()

    await advance(clock, 5)
    await request

    assert causes(store, key) == ["sent", "claimed", "failed"]
    held.release.set()


@on_a_loop
async def test_a_job_with_a_longer_timeout_than_its_task_fails_by_that_of_the_task(
    store: FaultyStore, clock: ManualClock
) -> None:
    """A sender that doesn't have the task can't know its timeout."""
    held = Held()
    app = make_app(task_of(held), clock=clock, store=store)
    key = add(store, options={"timeout": 600.0})
    request = await begin(wake(app), held)
    await settle()

    await advance(clock, TIMEOUT.total_seconds())
    await request

    assert causes(store, key) == ["sent", "claimed", "failed"]
    held.release.set()


@on_a_loop
async def test_a_job_with_a_retry_policy_of_its_own_follows_that(
    store: FaultyStore, clock: ManualClock
) -> None:
    def act(data: bytes) -> None:
        raise ValueError

    retry = {"max_attempts": 1, "min_backoff": 0.0, "max_backoff": 0.0, "backoff": None}
    key = add(store, options={"retry": retry})

    await wake(make_app(task_of(act), clock=clock, store=store))

    assert row_of(store, key).state is State.FAILURE


@on_a_loop
async def test_a_wake_that_waited_too_long_spends_no_attempt(
    store: FaultyStore, clock: ManualClock
) -> None:
    first, second = Held(), Held()
    held = {b"1": first, b"2": second}
    app = make_app(task_of(lambda data: held[data](), concurrency=1), clock=clock, store=store)
    add(store, payload=b"1")
    add(store, id="2", payload=b"2")
    running = await begin(wake(app), first)
    waiting = start(wake(app, id="2"))
    await settle()

    await advance(clock, 20)
    first.release.set()

    assert [(await running).status, (await waiting).status] == [200, 429]
    assert causes(store, row_of(store, add(store, id="2")).key) == ["sent"]
    assert not second.begun.is_set()


@on_a_loop
async def test_a_job_whose_wait_cut_its_time_short_spends_no_attempt(
    store: FaultyStore, clock: ManualClock
) -> None:
    first, second = Held(), Held()
    held = {b"1": first, b"2": second}
    app = make_app(task_of(lambda data: held[data](), concurrency=1), clock=clock, store=store)
    add(store, payload=b"1")
    key = add(store, id="2", payload=b"2")
    running = await begin(wake(app), first)
    waiting = start(wake(app, id="2"))
    await settle()
    await advance(clock, 10)
    first.release.set()
    await running
    await until(second.begun)

    await advance(clock, 20)
    await waiting

    row = row_of(store, key)
    assert (row.state, row.attempts, row.interruptions) == (State.PENDING, 0, 1)
    second.release.set()
