"""Batches: `send_many(…, then=…)`, and the callback that runs once when all members have ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    Batch,
    BatchEnded,
    BatchProgress,
    BatchSendError,
    JobConflictError,
    JobLostError,
    JobOutcome,
    JobStoreError,
    NoJobStoreError,
    QueueFull,
    RetryPolicy,
    State,
    TaskDefinitionError,
)
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Change
from ucam_faas.jobs.states import ENDED
from ucam_faas.jobs.sweep import RETENTION_SECONDS
from ucam_faas.testing import ManualClock, MemoryPublisher
from ucam_faas.testing.job_runner import Jobs, JobsFactory

ONCE = RetryPolicy(max_attempts=1)
CHARGED: list[int] = []
SUMMARIES: list[dict[str, Any]] = []
FAILURES = [0]
"""How often `summarise` is still to fail."""


class Order(BaseModel):
    """An order, which is charged unless it has no pence."""

    id: int
    pence: int = 1


@ucam_faas.message_handler(retry=ONCE, id=lambda order: order.id)
def charge(order: Order) -> int:
    """Charge an order."""
    CHARGED.append(order.id)
    if order.pence == 0:
        raise ValueError("nothing to pay")
    if order.pence < 0:
        raise ucam_faas.Pause("a refund")
    return order.pence


@ucam_faas.message_handler(retry=ONCE)
def summarise(batch: BatchEnded) -> int:
    """Add the results up."""
    if FAILURES[0]:
        FAILURES[0] -= 1
        raise ValueError("no paper")
    SUMMARIES.append({outcome.id: outcome.result for outcome in batch.outcomes()})
    return sum(outcome.result or 0 for outcome in batch.outcomes())


@ucam_faas.message_handler(max_pending=2, id=lambda order: order.id)
def full(order: Order) -> int:
    """Charge an order, of two that wait."""
    return order.pence


@ucam_faas.message_handler
def split(number: int) -> str:
    """Send a batch."""
    batch = charge.send_many([Order(id=1), Order(id=2, pence=number)], then=summarise)
    if number == 0 and ucam_faas.current_job().attempt == 1:
        raise ucam_faas.Retry(after=timedelta(seconds=1))
    return batch.then.id


@ucam_faas.message_handler
def again(batch: BatchEnded) -> str:
    """Send another batch."""
    return charge.send_many([Order(id=100 + batch.total)], then=summarise).then.id


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    CHARGED.clear()
    SUMMARIES.clear()
    FAILURES[0] = 0


@pytest.fixture
def jobs(ucam_faas_jobs: JobsFactory) -> Jobs:
    return ucam_faas_jobs(charge, summarise, full, split, again)


def orders(*pence: int) -> list[Order]:
    return [Order(id=number, pence=each) for number, each in enumerate(pence)]


def test_the_callback_runs_once_after_all_jobs_with_their_outcomes(jobs: Jobs) -> None:
    batch = charge.send_many(orders(1, 2, 0), then=summarise)
    before = batch.then.status
    jobs.run_all()

    assert isinstance(batch, Batch)
    assert [job.id for job in batch] == ["0", "1", "2"]
    assert (before, batch.then.result()) == (State.PAUSED, 3)
    assert SUMMARIES == [{"0": 1, "1": 2, "2": None}]
    assert [entry.cause for entry in batch.then.history] == [
        "sent",
        "batch ended",
        "claimed",
        "finished",
    ]


def test_outcomes_have_states_results_and_errors(jobs: Jobs) -> None:
    batch = charge.send_many(orders(7, 0), then=summarise)
    jobs.run_all()

    assert list(batch.outcomes()) == [
        JobOutcome(id="0", state=State.SUCCESS, result=7),
        JobOutcome(
            id="1",
            state=State.FAILURE,
            error_type="ValueError",
            error_message="nothing to pay",
        ),
    ]
    assert asyncio.run(batch.outcomes_async()) == list(batch.outcomes())


def test_progress_counts_the_jobs_by_their_ends(jobs: Jobs) -> None:
    batch = charge.send_many([*orders(1, 0, 1), Order(id=9)], then=summarise)
    before = batch.progress()
    batch[2].cancel()
    after_one = batch.progress()
    jobs.run_all()

    assert before == BatchProgress(total=4, ended=0, succeeded=0, failed=0)
    assert after_one == BatchProgress(total=4, ended=1, succeeded=0, failed=1)
    assert batch.progress() == BatchProgress(total=4, ended=4, succeeded=2, failed=2)
    assert asyncio.run(batch.progress_async()) == batch.progress()


def test_the_callback_waits_for_paused_jobs(jobs: Jobs) -> None:
    batch = charge.send_many(orders(1, -1), then=summarise)
    jobs.run_all()
    waiting = batch.then.status
    batch[1].cancel()
    jobs.run_all()

    assert (waiting, batch.then.status) == (State.PAUSED, State.SUCCESS)


def test_an_empty_batch_runs_its_callback_at_once(jobs: Jobs) -> None:
    batches = [charge.send_many([], then=summarise) for _ in range(2)]
    jobs.run_all()

    assert [batch.then.result() for batch in batches] == [0, 0]
    assert SUMMARIES == [{}, {}]
    assert batches[0].then != batches[1].then


def test_the_callback_is_named_where_its_task_cant_be_imported(jobs: Jobs) -> None:
    batch = charge.send_many(orders(4), then="summarise")
    jobs.run_all()

    assert batch.then.result() == 4


def test_a_batch_is_sent_from_async_code(jobs: Jobs) -> None:
    batch = asyncio.run(charge.send_many_async(orders(4), then=summarise))
    jobs.run_all()

    assert asyncio.run(batch.then.result_async()) == 4


class TestDuplicates:
    def test_equal_payloads_are_one_job(self, jobs: Jobs) -> None:
        batch = charge.send_many([Order(id=1), Order(id=2), Order(id=1)], then=summarise)
        jobs.run_all()

        assert len(batch) == 3
        assert batch.progress().total == 2
        assert SUMMARIES == [{"1": 1, "2": 1}]

    def test_the_same_batch_sent_again_is_the_same(self, jobs: Jobs) -> None:
        first = charge.send_many(orders(1, 2), then=summarise)
        second = charge.send_many(reversed(orders(1, 2)), then=summarise)
        jobs.run_all()
        third = charge.send_many(orders(1, 2), then=summarise)
        jobs.run_all()

        assert first.then == second.then == third.then
        assert len(SUMMARIES) == 1

    def test_the_callback_waits_for_a_job_that_existed_before(self, jobs: Jobs) -> None:
        before = charge.send(Order(id=1), delay=timedelta(minutes=5))
        batch = charge.send_many(orders(1, 1), then=summarise)
        jobs.run_all()
        waiting, progress = batch.then.status, batch.progress()
        jobs.advance(timedelta(minutes=7))

        assert batch[1] == before
        assert (waiting, progress.ended, progress.total) == (State.PAUSED, 1, 2)
        assert SUMMARIES == [{"0": 1, "1": 1}]
        assert batch.progress().succeeded == 2

    def test_jobs_that_have_ended_before_count_as_they_are(self, jobs: Jobs) -> None:
        charge.send_many(orders(1, 2))
        jobs.run_all()

        charge.send_many(orders(1, 2), then=summarise)
        jobs.run_all()

        assert CHARGED == [0, 1]
        assert SUMMARIES == [{"0": 1, "1": 2}]

    def test_a_job_may_be_in_two_batches(self, jobs: Jobs) -> None:
        first = charge.send_many(orders(1, 2), then=summarise)
        second = charge.send_many(orders(1, 2, 3), then=summarise)
        jobs.run_all()
        jobs.advance(60)

        assert first.then.result() == 3
        assert second.then.result() == 6

    def test_a_batch_whose_jobs_were_removed_runs_its_callback_again(self, jobs: Jobs) -> None:
        for _ in range(2):
            charge.send_many(orders(1), then=summarise, retention=timedelta(minutes=1))
            jobs.run_all()
            jobs.advance(timedelta(minutes=2))

        assert CHARGED == [0, 0]
        assert len(SUMMARIES) == 2


class TestRetries:
    def test_a_job_retried_after_the_end_doesnt_run_the_callback_again(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1, 0), then=summarise)
        jobs.run_all()
        batch[1].retry()
        jobs.run_all()

        assert CHARGED == [0, 1, 1]
        assert len(SUMMARIES) == 1

    def test_a_job_retried_before_the_end_is_waited_for(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(-1, 0), then=summarise)
        jobs.run_all()
        batch[1].retry()
        batch[0].cancel()
        waiting = batch.then.status
        jobs.run_all()

        assert (waiting, len(SUMMARIES)) == (State.PAUSED, 1)

    def test_a_callback_that_fails_can_be_retried_with_the_same_outcomes(self, jobs: Jobs) -> None:
        FAILURES[0] = 1
        batch = charge.send_many(orders(1, 2), then=summarise)
        jobs.run_all()
        failed = batch.then.status
        batch.then.retry()
        jobs.run_all()

        assert (failed, batch.then.status) == (State.FAILURE, State.SUCCESS)
        assert SUMMARIES == [{"0": 1, "1": 2}]

    def test_a_callback_that_waits_isnt_resumed(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(-1), then=summarise)
        jobs.run_all()

        assert batch.then.resume() is State.PAUSED

    def test_a_callback_that_pauses_isnt_resumed_by_a_job_that_is_retried(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(0), then=summarise)
        jobs.run_all()
        jobs.store.change(
            batch.then.key, Change(state=State.PAUSED, cause="paused", visit=60), states=ENDED
        )
        batch[0].retry()
        jobs.run_all()

        assert batch.then.status is State.PAUSED


class TestCancellation:
    def test_a_cancelled_batch_runs_its_callback(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1, 2), then=summarise)
        batch.cancel()
        jobs.run_all()

        assert CHARGED == []
        assert SUMMARIES == [{"0": None, "1": None}]
        assert batch.progress().failed == 2

    def test_a_cancelled_callback_doesnt_run(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1), then=summarise)
        batch.then.cancel()
        asyncio.run(batch.cancel_async())
        jobs.run_all()

        assert SUMMARIES == []

    def test_a_deleted_job_isnt_waited_for(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1, -1), then=summarise)
        jobs.run_all()
        batch[1].delete()
        jobs.run_all()

        assert SUMMARIES == [{"0": 1}]
        assert batch.progress() == BatchProgress(total=2, ended=2, succeeded=1, failed=0)

    def test_an_expired_job_has_ended(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(-1), then=summarise, ttl=timedelta(minutes=1))
        jobs.run_all()
        jobs.store.change(batch[0].key, Change(state=State.PENDING, cause="resumed", visit=60))
        jobs.advance(timedelta(minutes=2))

        assert batch[0].status is State.EXPIRED
        assert SUMMARIES == [{"0": None}]


class TestRetention:
    def test_outcomes_are_kept_until_the_callback_has_ended(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1, -1), then=summarise, retention=timedelta(minutes=1))
        jobs.run_all()
        jobs.advance(timedelta(hours=3))
        batch[1].cancel()
        jobs.run_all()
        jobs.advance(timedelta(hours=3))

        assert SUMMARIES == [{"0": 1, "1": None}]
        assert [jobs.store.get(job.key) for job in batch] == [None, None]

    def test_the_callback_has_the_retention_of_its_task(self, jobs: Jobs) -> None:
        batch = charge.send_many(orders(1), then=summarise, retention=timedelta(minutes=1))
        jobs.run_all()
        jobs.advance(RETENTION_SECONDS - 60)
        kept = jobs.store.get(batch.then.key)
        jobs.advance(120)

        assert kept is not None
        assert jobs.store.get(batch.then.key) is None


class TestLostProcesses:
    def test_the_sweep_starts_a_callback_whose_last_job_ended_without_asking(
        self, jobs: Jobs
    ) -> None:
        batch = charge.send_many(orders(-1), then=summarise)
        jobs.run_all()
        done = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"5")
        jobs.store.change(batch[0].key, done)

        jobs.advance(60)

        assert batch.then.result() == 5

    def test_a_sender_killed_before_the_callback_sends_it_at_its_next_try(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        insert, calls = jobs.store.insert, iter([False, True, False, False])

        def dies(*args: Any, **options: Any) -> Any:
            if next(calls):
                raise JobStoreError("the process ends")
            return insert(*args, **options)

        monkeypatch.setattr(jobs.store, "insert", dies)
        with pytest.raises(JobStoreError):
            charge.send_many(orders(1, 2), then=summarise)
        jobs.run_all()
        before = list(SUMMARIES)

        batch = charge.send_many(orders(1, 2), then=summarise)
        jobs.run_all()

        assert before == []
        assert CHARGED == [0, 1]
        assert batch.then.result() == 3

    def test_a_task_that_sends_a_batch_twice_has_sent_one(self, jobs: Jobs) -> None:
        job = split.send(0)
        jobs.run_all()
        jobs.advance(1)

        assert CHARGED == [1, 2]
        assert len(SUMMARIES) == 1
        assert ucam_faas.get_job(summarise, job.result()).status is State.SUCCESS

    @pytest.mark.slow
    def test_hostile_deliveries_run_the_callback_to_one_success(
        self, ucam_faas_jobs: JobsFactory
    ) -> None:
        for seed in range(10):
            jobs = ucam_faas_jobs(charge, summarise, deliveries="hostile", seed=seed)
            numbers = range(100 * seed, 100 * seed + 20)
            batch = charge.send_many([Order(id=number) for number in numbers], then=summarise)
            jobs.run_all()

            assert (batch.then.status, batch.then.result()) == (State.SUCCESS, 20), seed
            assert [entry.cause for entry in batch.then.history].count("batch ended") == 1


def test_a_callback_may_send_a_batch(jobs: Jobs) -> None:
    batch = charge.send_many(orders(1, 2), then=again)
    jobs.run_all()

    assert SUMMARIES == [{"102": 1}]
    assert ucam_faas.get_job(summarise, batch.then.result()).result() == 1


class TestRefusals:
    def test_nothing_is_sent_if_a_payload_is_wrong(self, jobs: Jobs) -> None:
        with pytest.raises(BatchSendError, match="1 of 2 jobs were not sent") as error:
            charge.send_many([Order(id=1), {"id": "two"}], then=summarise)  # type: ignore[list-item]
        jobs.run_all()

        assert ([each.index for each in error.value.failed], error.value.jobs) == ([1], ())
        assert CHARGED == []

    def test_a_batch_of_which_some_jobs_arent_sent_has_no_callback_until_they_are(
        self, jobs: Jobs
    ) -> None:
        with pytest.raises(BatchSendError) as error:
            full.send_many(orders(1, 2, 3), then=summarise)
        jobs.run_all()
        before = list(SUMMARIES)
        batch = full.send_many(orders(1, 2, 3), then=summarise)
        jobs.run_all()

        assert [type(each.error) for each in error.value.failed] == [QueueFull]
        assert before == []
        assert batch.then.result() == 6

    def test_the_callback_has_to_take_the_message_of_a_batch(self, jobs: Jobs) -> None:
        with pytest.raises(TypeError, match="expected a task that takes a BatchEnded"):
            charge.send_many(orders(1), then=charge)  # type: ignore[call-overload]
        jobs.run_all()

        assert CHARGED == []

    @pytest.mark.parametrize(
        ("then", "error"), [(3, TypeError), ("no name", TaskDefinitionError), (len, TypeError)]
    )
    def test_the_callback_is_a_task(self, jobs: Jobs, then: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            charge.send_many(orders(1), then=then)

        assert jobs.store.find("default") == []

    def test_a_batch_needs_a_store(self) -> None:
        publisher = MemoryPublisher({"charge-inbox": []})
        token = runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher))
        try:
            with pytest.raises(NoJobStoreError, match="then= can have no effect"):
                summarise.send_many([], then=summarise)
        finally:
            runtime.CURRENT.reset(token)

    def test_a_callback_with_the_unique_key_of_another_job_isnt_sent(
        self, ucam_faas_jobs: JobsFactory
    ) -> None:
        @ucam_faas.message_handler(unique=lambda batch: "one")
        def only(batch: BatchEnded) -> None:
            """Be one at a time."""

        ucam_faas_jobs(charge, only)
        charge.send_many([Order(id=1)], then=only)

        with pytest.raises(JobConflictError, match="has the unique key of the callback"):
            charge.send_many([Order(id=2)], then=only)

    def test_a_job_that_is_lost_sends_no_callback(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        insert, taken = jobs.store.insert, []

        def loses(rows: Any, **options: Any) -> Any:
            stored = insert(rows, **options)
            if options.get("parent") and not taken:
                taken.append(options["parent"])
                with suppress(JobLostError):
                    jobs.store.change(taken[0].key, Change(state=State.FAILURE, cause="x", visit=9))
            return stored

        monkeypatch.setattr(jobs.store, "insert", loses)
        split.send(3)
        jobs.run_all()

        assert taken
        assert SUMMARIES == []


def test_jobs_without_a_batch_make_no_statement_more(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    run = jobs.store._run

    def counted(connection: Any, statement: str, values: Any) -> Any:
        statements.append(statement)
        return run(connection, statement, values)

    monkeypatch.setattr(jobs.store, "_run", counted)
    charge.send_many(orders(1, 2))
    jobs.run_all()

    assert sorted(statements) == ["change", "change", "claim", "claim"]


def test_the_message_of_a_callback_is_json(jobs: Jobs) -> None:
    charge.send(Order(id=0))
    batch = charge.send_many(orders(1, 2), then=summarise)
    row = jobs.store.get(batch.then.key)

    assert row is not None
    assert json.loads(row.payload) == {
        "batch": f"summarise/{batch.then.id}",
        "task": "charge",
        "total": 2,
        "existing": ["0"],
    }
