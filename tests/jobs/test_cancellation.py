"""`job.cancel()` in every state, and beside a process that ends the job, on each store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.dev.cloud import Dev
from tests.integration.processes import wait_until
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import ENDED, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SqliteStore

pytestmark = pytest.mark.slow

SECONDS = 60
ROUNDS = 50
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
AGAIN = Change(state=State.PENDING, cause="failed", visit=60, wait=60, failed=True)


@pytest.fixture
def store(opened_store: JobStore) -> JobStore:
    return opened_store


def sent(store: JobStore, id: str = "1") -> Job[Any]:
    """Return a job that waits; it is due for a minute: the machine's clock may be set back."""
    key = Key("default", "charge", id)
    store.insert([Row(key=key, payload=b"{}", visit=60.0)], wait=[-60.0])
    return Job(key, store)


def claimed(store: JobStore, job: Job[Any]) -> Row | None:
    return store.claim(job.key, lease=60, instance="here")


def in_state(store: JobStore, state: State) -> Job[Any]:
    """Return a job in a state."""
    job = sent(store)
    if state is not State.PENDING:
        claimed(store, job)
    if state not in (State.PENDING, State.STARTED):
        store.change(job.key, replace(DONE, state=state))
    assert job.status is state
    return job


on_each_store = pytest.mark.parametrize(
    "job_store", ["memory", "sqlite", "postgresql"], indirect=True
)


@on_each_store
@pytest.mark.parametrize(
    ("state", "after"),
    [
        (State.PENDING, State.CANCELLED),
        (State.PAUSED, State.CANCELLED),
        (State.STARTED, State.STARTED),
        *((state, state) for state in sorted(ENDED)),
    ],
)
def test_cancel_ends_a_job_that_waits_asks_one_that_runs_and_leaves_an_ended_one(
    store: JobStore, state: State, after: State
) -> None:
    job = in_state(store, state)
    before = store.get(job.key)

    assert job.cancel() is after

    row = store.get(job.key)
    assert row is not None
    assert before is not None
    assert row.state is after
    assert row.cancel_requested == (state is State.STARTED)
    if state in ENDED:
        assert row == before


@on_each_store
class TestRaces:
    """A holder claims the job, and ends it, while its sender cancels it."""

    def race(
        self, store: JobStore, change: Change, check: Callable[[State, bool, Row], None]
    ) -> None:
        together = threading.Barrier(2)

        def hold(job: Job[Any]) -> bool:
            together.wait()
            row = claimed(store, job)
            return row is not None and store.change(job.key, change, fence=row.fence) is not None

        def cancel(job: Job[Any]) -> State:
            together.wait()
            return job.cancel()

        with ThreadPoolExecutor(2) as pool:
            for number in range(ROUNDS):
                job = sent(store, str(number))
                held, answer = pool.submit(hold, job), pool.submit(cancel, job)
                ran, state = held.result(), answer.result()
                row = store.get(job.key)
                assert row is not None
                check(state, ran, row)

    def test_a_job_is_cancelled_or_succeeds_and_cancel_returns_which(self, store: JobStore) -> None:
        def check(answer: State, ran: bool, row: Row) -> None:
            ends = [entry.state for entry in row.history if entry.state.is_completed]
            assert ends == [State.SUCCESS if ran else State.CANCELLED]
            assert row.state is ends[0]
            assert answer in ({State.STARTED, State.SUCCESS} if ran else {State.CANCELLED})

        self.race(store, DONE, check)

    def test_a_cancellation_is_not_lost_when_the_job_fails_and_would_wait(
        self, store: JobStore
    ) -> None:
        def check(answer: State, ran: bool, row: Row) -> None:
            assert answer in (State.STARTED, State.CANCELLED)
            assert row.cancel_requested or row.state is State.CANCELLED

        self.race(store, AGAIN, check)


class FailsBetween(SqliteStore):
    """A store in which the job's run fails between the two looks of `cancel`."""

    def request_cancel(self, key: Key) -> Row | None:
        self.change(key, AGAIN, states={State.STARTED})
        return super().request_cancel(key)


def test_a_job_that_begins_to_wait_while_it_is_cancelled_is_cancelled() -> None:
    store = FailsBetween(":memory:", SystemClock())
    job = in_state(store, State.STARTED)

    assert job.cancel() is State.CANCELLED

    assert job.status is State.CANCELLED
    store.close()


def test_a_task_that_reports_progress_ends_when_its_job_is_cancelled(shop: Any) -> None:
    job = shop.count_up.send(shop.Order(id=1))
    wait_until(lambda: job.progress, "it reports", SECONDS)

    assert job.cancel() is State.STARTED

    assert job.wait(SECONDS) is State.CANCELLED
    assert [entry.cause for entry in job.history] == ["sent", "claimed", "cancelled"]


def test_jobs_that_are_cancelled_while_they_are_served_have_run_or_are_cancelled(
    dev: Dev, shop: Any
) -> None:
    orders = [shop.Order(id=number) for number in range(5000, 5100)]
    jobs = shop.charge.send_many(orders)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda job: job.cancel(), reversed(jobs)))[::-1]
    states = [job.wait(SECONDS) for job in jobs]

    for order, answer, state in zip(orders, answers, states, strict=True):
        ran = (dev.folder / f"order-{order.id}").exists()
        assert state is (State.SUCCESS if ran else State.CANCELLED)
        assert state is answer or answer is State.STARTED
    assert State.CANCELLED in states
