"""A job that lost its process again and again: it, or one beside it, may have ended them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from tests.jobs.runs import FaultyStore, add, causes, row_of, wake
from tests.serving.harness import Held, begin, make_app, on_a_loop, settle, start, until
from ucam_faas.job_runs import ends
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock


def lose(store: FaultyStore, clock: ManualClock, key: Key, processes: int) -> None:
    """Claim a job in processes that end, and let the last lease end."""
    for _ in range(processes):
        assert store.claim(key, lease=1, instance="lost")
        clock.advance(2)


def act_of(**held: Held) -> Any:
    @ucam_faas.message_handler(message_type=None, timeout=timedelta(seconds=60))
    def task(data: bytes) -> None:
        if data.decode() in held:
            held[data.decode()]()

    return task


@on_a_loop
async def test_a_job_that_lost_three_processes_runs_when_the_others_have_ended(
    store: FaultyStore, clock: ManualClock
) -> None:
    other, suspect = Held(), Held()
    app = make_app(act_of(other=other, suspect=suspect), clock=clock, store=store)
    key = add(store, payload=b"suspect")
    lose(store, clock, key, 3)
    add(store, id="2", payload=b"other")
    add(store, id="3")
    beside = await begin(wake(app, id="2"), other)

    alone = start(wake(app))
    while (refused := await wake(app, id="3")).status != 429:
        await settle()
    begun_beside = suspect.begun.is_set()
    other.release.set()
    await until(suspect.begun)
    suspect.release.set()

    assert [(await beside).status, (await alone).status] == [200, 200]
    assert (begun_beside, refused.status) == (False, 429)
    assert (await wake(app, id="3")).status == 200
    assert row_of(store, key).state is State.SUCCESS


@pytest.mark.parametrize(
    ("attempts", "losses", "alone"),
    [(5, 0, False), (5, 1, False), (5, 2, True), (2, 1, True), (None, 2, True)],
)
def test_a_job_runs_alone_after_two_losses_and_for_its_last_attempt(
    attempts: int | None, losses: int, alone: bool, store: FaultyStore, clock: ManualClock
) -> None:
    policy = {"max_attempts": attempts, "min_backoff": 0, "max_backoff": 0, "backoff": None}
    key = add(store, options={"retry": policy})
    task = registry.task_of(act_of())
    assert task is not None

    lose(store, clock, key, losses + 1)

    row = row_of(store, key)
    assert causes(store, key).count("claimed after a lost process") == losses
    assert ends.runs_alone(row, task) is alone


@on_a_loop
async def test_a_job_whose_process_was_lost_expires_as_one_that_waits(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran: list[bytes] = []

    @ucam_faas.message_handler
    def task(data: bytes) -> None:
        ran.append(data)

    key = add(store, expires=20.0)
    store.claim(key, lease=30, instance="lost")
    clock.advance(31)

    await wake(make_app(task, clock=clock, store=store))

    assert (row_of(store, key).state, ran) == (State.EXPIRED, [])


@on_a_loop
async def test_a_job_with_one_attempt_is_not_started_again(
    store: FaultyStore, clock: ManualClock
) -> None:
    held = Held()
    policy = {"max_attempts": 1, "min_backoff": 0, "max_backoff": 0, "backoff": None}
    key = add(store, payload=b"held", options={"retry": policy})
    lose(store, clock, key, 1)

    await wake(make_app(act_of(held=held), clock=clock, store=store))

    row = row_of(store, key)
    assert (row.state, causes(store, key)[-1]) == (State.FAILURE, "crashed")
    assert not held.begun.is_set()


def test_a_job_that_is_retried_has_lost_nothing_yet(store: FaultyStore, clock: ManualClock) -> None:
    key, task = add(store), registry.task_of(act_of())
    assert task is not None
    lose(store, clock, key, 3)
    store.change(key, ends.cancelled(row_of(store, key), "here"))
    job = Job(key, store)

    job.retry()
    lose(store, clock, key, 2)

    assert not ends.runs_alone(row_of(store, key), task)
