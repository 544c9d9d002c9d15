"""Jobs in `ucam_faas_local`: they come over the embedded Pub/Sub, and go by the test's clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

import ucam_faas
from ucam_faas import RetryPolicy
from ucam_faas.exceptions import JobFailed
from ucam_faas.jobs.states import State
from ucam_faas.local_testing import Deliveries, LocalCloudFactory

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
    runs.append(f"double {number}")
    return 2 * number


@ucam_faas.message_handler
def parent(number: int) -> list[str]:
    return [double.send(number + more).id for more in range(3)]


@ucam_faas.message_handler(retry=RetryPolicy(max_attempts=5))
def third_time(number: int) -> int:
    runs.append("third")
    if len(runs) < 3:
        raise ConnectionError("not yet")
    return len(runs)


@ucam_faas.message_handler(retry=RetryPolicy(max_attempts=5))
def never(number: int) -> None:
    raise ConnectionError("never")


@pytest.mark.parametrize("deliveries", ["normal", "parallel", "hostile"])
def test_jobs_and_those_that_they_send_run_once(
    ucam_faas_local: LocalCloudFactory, deliveries: Deliveries
) -> None:
    local = ucam_faas_local(parent, double, deliveries=deliveries)

    job = parent.send(1)
    local.wait_idle()

    assert len(job.result()) == 3
    assert sorted(set(runs)) == ["double 1", "double 2", "double 3"]
    stale = sum("had lost its lease ends" in trick for trick in local.tricks)
    assert (len(runs) > 3) == (stale > 0) == (deliveries == "hostile")


@pytest.mark.parametrize("seed", range(2))
def test_each_job_has_a_stale_holder_and_half_of_them_lose_their_wakes(
    ucam_faas_local: LocalCloudFactory, seed: int
) -> None:
    local = ucam_faas_local(double, deliveries="hostile", seed=seed)

    jobs = [double.send(number) for number in range(4)]
    local.wait_idle()

    assert [job.result() for job in jobs] == [0, 2, 4, 6]
    assert sum("its wake is lost" in trick for trick in local.tricks) == 2
    ends = [trick for trick in local.tricks if "had lost its lease ends" in trick]
    assert [end.endswith("superseded") for end in ends] == [True] * 4
    assert sorted(runs) == sorted(f"double {number}" for number in range(4) for _ in range(2))


@pytest.mark.parametrize("seed", range(2))
def test_an_asynchronous_job_has_a_stale_holder_too(
    ucam_faas_local: LocalCloudFactory, seed: int
) -> None:
    local = ucam_faas_local(double_async, deliveries="hostile", seed=seed)

    job = double_async.send(1)
    local.wait_idle()

    assert job.result() == 2
    assert runs == ["double 1"] * 2


def test_a_job_that_fails_runs_again_and_time_moves_on_over_its_backoff(
    ucam_faas_local: LocalCloudFactory,
) -> None:
    local = ucam_faas_local(third_time)
    job = third_time.send(1)

    local.wait_idle()

    assert job.result() == 3
    assert [entry.cause for entry in job.history].count("failed") == 2


def test_a_job_that_always_fails_ends(ucam_faas_local: LocalCloudFactory) -> None:
    local = ucam_faas_local(never)
    job = never.send(1)

    local.wait_idle()

    with pytest.raises(JobFailed) as caught:
        job.result()
    assert caught.value.attempts == 5
    assert local.dead_letters == []


def test_a_delay_ends_when_the_clock_is_advanced(ucam_faas_local: LocalCloudFactory) -> None:
    local = ucam_faas_local(double)
    job = double.send(21, delay=timedelta(days=31))

    local.wait_idle()
    assert job.status is State.PENDING
    local.advance(timedelta(days=31))

    assert job.result() == 42


@pytest.mark.parametrize("seed", range(2))
def test_the_same_seed_plays_the_same_tricks_on_jobs(
    ucam_faas_local: LocalCloudFactory, seed: int
) -> None:
    tricks = []
    for _ in range(3):
        local = ucam_faas_local(double, deliveries="hostile", seed=seed)
        for number in range(6):
            double.send(number)
        local.wait_idle()
        tricks.append(local.tricks)
        local.close()

    assert tricks[0] == tricks[1] == tricks[2]


@ucam_faas.message_handler
def sleeper(number: int) -> str:
    ucam_faas.current_job().sleep(timedelta(days=number))
    return "slept"


def test_a_job_that_sleeps_goes_on_when_time_is_let_pass(
    ucam_faas_local: LocalCloudFactory,
) -> None:
    local = ucam_faas_local(sleeper)
    job = sleeper.send(3)

    local.wait_idle()
    before = job.status
    local.advance(timedelta(days=3, seconds=1))

    assert before is State.PENDING
    assert job.result() == "slept"


@ucam_faas.message_handler(idempotent=True, topic="naps")
async def adopted_sleeper(number: int) -> int:
    job = ucam_faas.current_job()
    await job.step_async("once", lambda: runs.append("step"))
    await job.sleep_async(timedelta(days=number))
    runs.append("awake")
    return number


@pytest.mark.parametrize("deliveries", ["normal", "hostile"])
def test_a_message_that_runs_once_may_sleep(
    ucam_faas_local: LocalCloudFactory, deliveries: Deliveries
) -> None:
    local = ucam_faas_local(adopted_sleeper, deliveries=deliveries)
    local.publish(adopted_sleeper, b"3")

    local.wait_idle()
    before = list(runs)
    local.advance(timedelta(days=4))

    (job,) = local._jobs.store.find("default")
    assert before == ["step"]
    assert (runs.count("step"), "awake" in runs) == (1, True)  # a stale holder wakes, too
    assert job.state is State.SUCCESS
