"""Jobs under `ucam-faas dev`: sent from another process of its directory, run, and followed."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from tests.dev.cloud import Dev
from tests.integration.processes import wait_until
from ucam_faas.exceptions import (
    JobConflictError,
    JobFailed,
    JobNotFoundError,
    NotConfiguredError,
)
from ucam_faas.jobs.states import State

pytestmark = pytest.mark.slow

SECONDS = 60


def causes(job: Any) -> list[str]:
    return [entry.cause for entry in job.history]


@pytest.mark.parametrize("name", ["charge", "charge_async"])
def test_a_job_is_run_once_and_its_result_has_the_tasks_type(shop: Any, name: str) -> None:
    order = shop.Order(id=1 if name == "charge" else 2)

    job = getattr(shop, name).send(order)

    assert job.result(SECONDS) == shop.Receipt(order=order.id, executions=1)
    assert (job.status, job.is_completed) == (State.SUCCESS, True)
    assert causes(job) == ["sent", "claimed", "finished"]


@pytest.mark.parametrize(("name", "number"), [("nap", 61), ("nap_async", 62)])
def test_a_job_that_sleeps_goes_on_after_its_steps(shop: Any, name: str, number: int) -> None:
    begin = time.time()

    job = getattr(shop, name).send(shop.Order(id=number))

    assert job.result(SECONDS) == [1, 2, 1]
    assert time.time() - begin >= 0.5
    assert causes(job) == ["sent", "claimed", "sleeping", "claimed", "finished"]


def test_a_raw_task_gets_the_payload_of_its_job(shop: Any) -> None:
    assert shop.count.send(b"seven..").result(SECONDS) == 7


def test_a_job_reaches_its_task_whatever_the_filter_of_the_topic(shop: Any) -> None:
    assert shop.hears_nothing.send(b"hello").result(SECONDS) == "hello"


def test_a_job_reaches_one_of_two_tasks_of_a_topic_and_a_message_those_that_the_filter_lets(
    shop: Any, dev: Dev
) -> None:
    def heard(file: str) -> list[str]:
        path = dev.folder / file
        return path.read_text().split() if path.exists() else []

    assert shop.hears_nothing.send(b"to-nothing").result(SECONDS) == "to-nothing"
    assert shop.hears_all.send(b"to-all").result(SECONDS) == "to-all"
    dev.rest.publish("shared", b"published")
    wait_until(lambda: "published" in heard("hears-all"), "the message is there")
    assert shop.hears_nothing.send(b"last").result(SECONDS) == "last"

    assert heard("hears-all") == ["to-all", "published"]
    assert "published" not in heard("hears-nothing")
    assert heard("hears-nothing")[-2:] == ["to-nothing", "last"]


def test_an_id_is_one_job(shop: Any) -> None:
    first, second = (shop.charge.send(shop.Order(id=3), id="order-3") for _ in range(2))

    assert first == second
    assert first.result(SECONDS).executions == 1
    assert second.result(SECONDS).executions == 1


def test_an_id_with_another_payload_is_a_conflict_that_names_the_field(shop: Any) -> None:
    shop.charge.send(shop.Order(id=4), id="order-4")

    with pytest.raises(JobConflictError, match="another payload"):
        shop.charge.send(shop.Order(id=5), id="order-4")


def test_a_job_with_a_delay_is_never_early(shop: Any) -> None:
    begin = time.time()

    job = shop.charge.send(shop.Order(id=6), delay=timedelta(seconds=1))

    assert job.status is State.PENDING
    job.result(SECONDS)
    _, started, _ = job.history
    assert started.time >= begin + 1


def test_a_failure_for_good_is_raised_with_its_cause(shop: Any) -> None:
    job = shop.refuse.send(shop.Order(id=7))

    with pytest.raises(JobFailed, match="refused") as caught:
        job.result(SECONDS)

    assert (caught.value.state, caught.value.attempts) == ("FAILURE", 1)
    assert causes(job) == ["sent", "claimed", "failed"]


def test_a_retry_comes_after_the_time_it_asked_for(shop: Any) -> None:
    job = shop.second_time.send(shop.Order(id=8))

    assert job.result(SECONDS) == 2
    assert causes(job) == ["sent", "claimed", "failed", "claimed", "finished"]
    _, _, failed, again, _ = job.history
    assert again.time - failed.time >= 0.5


def test_a_parent_that_fails_after_its_sends_and_is_retried_has_three_children(shop: Any) -> None:
    job = shop.parent.send(shop.Order(id=200))

    ids = job.result(SECONDS)
    children = [row for row in job.store.find("default", limit=1000) if row.source == "parent"]

    assert causes(job) == ["sent", "claimed", "failed", "claimed", "finished"]
    assert sorted(row.key.id for row in children) == sorted(set(ids))
    assert len(children) == 3
    receipts = [shop.ucam_faas.get_job(shop.charge, id).result(SECONDS) for id in ids]
    assert sorted((receipt.order, receipt.executions) for receipt in receipts) == [
        *((201, 1), (202, 1), (202, 2))
    ]


def test_a_job_that_waits_is_cancelled_and_can_be_retried(shop: Any) -> None:
    job = shop.charge.send(shop.Order(id=9), delay=timedelta(hours=1))

    assert job.cancel() is State.CANCELLED
    with pytest.raises(JobFailed, match="CANCELLED"):
        job.result(SECONDS)
    assert job.retry() is State.PENDING
    assert job.result(SECONDS).executions == 1


def test_a_job_that_is_deleted_is_not_found(shop: Any) -> None:
    job = shop.charge.send(shop.Order(id=10), delay=timedelta(hours=1))

    assert job.delete()
    with pytest.raises(JobNotFoundError):
        _ = job.status
    with pytest.raises(JobNotFoundError):
        job.result(SECONDS)


def test_many_wait_at_a_time_without_a_thread_each(shop: Any) -> None:
    async def main() -> list[int]:
        jobs = [shop.charge.send(shop.Order(id=100 + number)) for number in range(20)]
        receipts = await asyncio.gather(*(job.result_async() for job in jobs * 10))
        return [receipt.executions for receipt in receipts]

    assert asyncio.run(asyncio.wait_for(main(), SECONDS)) == [1] * 200


def test_a_wait_ends_with_its_timeout(shop: Any) -> None:
    job = shop.charge.send(shop.Order(id=11), delay=timedelta(hours=1))

    with pytest.raises(TimeoutError, match="has not ended"):
        job.result(timeout=0.05)
    job.cancel()


def test_a_job_is_sent_from_a_folder_below(
    shop: Any, dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = dev.folder / "scripts"
    folder.mkdir()
    monkeypatch.chdir(folder)

    assert shop.charge.send(shop.Order(id=12)).result(SECONDS).executions == 1


def test_the_output_of_dev_shows_delays_and_expired_jobs(shop: Any, dev: Dev) -> None:
    late = shop.charge.send(shop.Order(id=13), delay=timedelta(hours=1))
    never = ucam_faas.send("task_of_another_version", {}, ttl=timedelta(seconds=0.1))

    dev.wait_shown("delayed", f"job {late.id}, starts in 1 h")
    dev.wait_shown("dead", f"job {never.id}, EXPIRED")
    late.cancel()


def test_without_dev_the_error_says_what_to_start(
    shop: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)

        with pytest.raises(NotConfiguredError, match="Start `ucam-faas dev` in the folder of your"):
            shop.charge.send(shop.Order(id=15))
