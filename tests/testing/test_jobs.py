"""`testing.jobs`: jobs in memory, inline, by hand, by clock, and with hostile deliveries."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

import ucam_faas
from ucam_faas import Retry, testing
from ucam_faas.exceptions import JobFailed, UCAMFAASCouldNotLoadTarget
from ucam_faas.jobs.states import State
from ucam_faas.testing import JobsFactory, NotIdleError

runs: list[str] = []


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


@ucam_faas.message_handler
def double(number: int) -> int:
    runs.append(f"double {number}")
    return 2 * number


@ucam_faas.message_handler
async def double_async(number: int) -> int:
    await asyncio.sleep(0)
    runs.append(f"double {number}")
    return 2 * number


@ucam_faas.message_handler
def parent(number: int) -> str:
    job = double.send(number)
    runs.append("parent")
    return str(job.id)


@ucam_faas.message_handler
async def parent_async(number: int) -> str:
    job = double_async.send(number)
    runs.append("parent")
    return str(job.id)


@ucam_faas.message_handler(topic="measured")
def measure(data: bytes) -> int:
    return len(data)


@ucam_faas.message_handler
def publishes(number: int) -> None:
    measure.publish(b"four")


@ucam_faas.message_handler
def never(number: int) -> None:
    runs.append("never")
    raise Retry(after=timedelta(hours=1))


@ucam_faas.message_handler(retry=ucam_faas.RetryPolicy(max_attempts=5))
def third_time(number: int) -> int:
    runs.append("third")
    if len(runs) < 3:
        raise ConnectionError("not yet")
    return len(runs)


def get(jobs: testing.Jobs, task: str, id: str) -> Any:
    (row,) = jobs.store.find("default", task=task, id=id)
    return row


@pytest.mark.parametrize("task", [double, double_async])
def test_a_job_waits_until_it_is_run(ucam_faas_jobs: JobsFactory, task: Any) -> None:
    jobs = ucam_faas_jobs(task)
    job = task.send(21)
    assert (job.status, runs) == (State.PENDING, [])

    jobs.run_all()

    assert (job.result(), runs) == (42, ["double 21"])


@pytest.mark.parametrize("task", [double, double_async])
def test_an_inline_job_has_run_when_send_returns(ucam_faas_jobs: JobsFactory, task: Any) -> None:
    ucam_faas_jobs(task, inline=True)

    assert task.send(21).result() == 42


@pytest.mark.parametrize(("task", "child"), [(parent, double), (parent_async, double_async)])
@pytest.mark.parametrize("inline", [True, False])
def test_jobs_that_a_task_sends_run_after_it(
    ucam_faas_jobs: JobsFactory, task: Any, child: Any, inline: bool
) -> None:
    jobs = ucam_faas_jobs(task, child, inline=inline)

    job = task.send(3)
    jobs.run_all()

    assert runs == ["parent", "double 3"]
    assert get(jobs, child.task.name, job.result()).result == b"6"


def test_a_delay_ends_to_the_second(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(double)
    job = double.send(21, delay=timedelta(days=31))

    jobs.run_all()
    jobs.advance(timedelta(days=31) - timedelta(seconds=1))
    assert job.status is State.PENDING
    jobs.advance(1)

    assert job.result() == 42
    assert job.history[-1].time == jobs.store.now()


def test_backoffs_end_one_after_the_other_until_the_attempts_are_spent(
    ucam_faas_jobs: JobsFactory,
) -> None:
    jobs = ucam_faas_jobs(never)
    job = never.send(1)

    jobs.advance(timedelta(days=1))

    with pytest.raises(JobFailed):
        job.result()
    times = [entry.time for entry in job.history if entry.cause == "claimed"]
    assert len(runs) == len(times) == 8
    assert {later - time for time, later in pairwise(times)} == {3600.0}


def test_a_job_expires_and_is_removed_after_its_retention(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(double)
    job = double.send(1, ttl=timedelta(hours=1), retention=timedelta(days=1))

    jobs.clock.advance(timedelta(hours=2))  # nothing took it
    jobs.advance(1)
    assert (job.status, runs) == (State.EXPIRED, [])
    jobs.advance(timedelta(days=1))

    assert jobs.store.find("default") == []


def test_a_result_that_is_not_there_is_not_waited_for(ucam_faas_jobs: JobsFactory) -> None:
    ucam_faas_jobs(double)
    job = double.send(1)

    with pytest.raises(
        NotIdleError, match=r"is PENDING, and runs only when the test calls run_all"
    ):
        job.result()


def test_a_job_of_a_task_that_is_not_served_is_an_error(ucam_faas_jobs: JobsFactory) -> None:
    ucam_faas_jobs(measure)

    with pytest.raises(
        UCAMFAASCouldNotLoadTarget, match=r"'double', which isn't among .*: measure"
    ):
        double.send(1)


def test_published_messages_are_kept_by_topic(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(publishes, inline=True)

    publishes.send(1).result()

    (message,) = jobs.publisher.topics["measured"]
    assert message.data == b"four"


def test_the_context_manager_does_the_same_without_pytest() -> None:
    with testing.jobs(double, inline=True):
        assert double.send(21).result() == 42


def test_unknown_deliveries_are_refused(ucam_faas_jobs: JobsFactory) -> None:
    with pytest.raises(ValueError, match="expected one of 'normal', 'hostile'"):
        ucam_faas_jobs(double, deliveries="rude")  # type: ignore[arg-type]


# --- hostile deliveries

SEEDS = range(8)


def hostile_run(ucam_faas_jobs: JobsFactory, seed: int) -> tuple[testing.Jobs, list[Any]]:
    jobs = ucam_faas_jobs(double, double_async, deliveries="hostile", seed=seed)
    sent = [task.send(number) for task in (double, double_async) for number in range(4)]
    jobs.run_all()
    return jobs, sent


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_ends_once_with_its_result(ucam_faas_jobs: JobsFactory, seed: int) -> None:
    jobs, sent = hostile_run(ucam_faas_jobs, seed)

    assert [job.result() for job in sent] == [0, 2, 4, 6] * 2
    ends = [entry for job in sent for entry in job.history if entry.cause == "finished"]
    assert len(ends) == len(sent)
    stale = sum("had lost its lease" in trick for trick in jobs.tricks)
    assert len(runs) == len(sent) + stale


@pytest.mark.slow
def test_all_tricks_are_played_and_told(ucam_faas_jobs: JobsFactory) -> None:
    tricks: list[str] = []
    for seed in SEEDS:
        jobs, _ = hostile_run(ucam_faas_jobs, seed)
        tricks += jobs.tricks

    for trick in ("its wake is lost", "2 wakes: 200, 200", "3 wakes: ", "a late wake: 200"):
        assert any(trick in line for line in tricks), trick
    stale = [line for line in tricks if "a process that had lost its lease ends, too" in line]
    assert stale
    assert all(line.endswith(": superseded") for line in stale)


def test_the_same_seed_plays_the_same_tricks(ucam_faas_jobs: JobsFactory) -> None:
    first, second, other = (hostile_run(ucam_faas_jobs, seed)[0].tricks for seed in (3, 3, 4))

    assert first == second != other


@pytest.mark.parametrize("seed", SEEDS)
def test_a_task_that_fails_twice_succeeds_with_hostile_deliveries(
    ucam_faas_jobs: JobsFactory, seed: int
) -> None:
    jobs = ucam_faas_jobs(third_time, deliveries="hostile", seed=seed)
    job = third_time.send(1)

    jobs.advance(timedelta(hours=1))

    assert job.result() >= 3
