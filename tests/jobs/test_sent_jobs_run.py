"""The options of a sending, and the sends of tasks, when the jobs run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import BaseModel

from ucam_faas import JobFailed, RetryPolicy, State, exponential, message_handler
from ucam_faas.sending import sends
from ucam_faas.testing import JobsFactory


@message_handler(retry=RetryPolicy(max_attempts=5, backoff=lambda failures: 7 * failures))
def fail(number: int) -> None:
    """Fail."""
    raise ConnectionError("no answer")


class Order(BaseModel):
    """An order."""

    number: int


@message_handler
def order(order: Order) -> None:
    """Succeed."""


@message_handler
def child(number: int) -> int:
    """Succeed."""
    return number


def test_a_job_with_one_attempt_is_not_tried_again(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(fail)

    job = fail.send(1, retry=RetryPolicy(max_attempts=1))
    jobs.run_all()

    with pytest.raises(JobFailed) as caught:
        job.result()
    assert (caught.value.state, caught.value.attempts) == ("FAILURE", 1)


@message_handler(subscription="theirs", retry=RetryPolicy(max_attempts=2))
def fail_twice(number: int) -> None:
    """Fail, with messages of a subscription of another owner."""
    raise ConnectionError("no answer")


def test_a_job_of_a_task_with_anothers_subscription_has_the_tasks_retries(
    ucam_faas_jobs: JobsFactory,
) -> None:
    jobs = ucam_faas_jobs(fail_twice)

    job = fail_twice.send(1)
    jobs.run_all()
    jobs.advance(timedelta(minutes=10))

    with pytest.raises(JobFailed) as caught:
        job.result()
    assert caught.value.attempts == 2


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (None, [7, 14]),
        (RetryPolicy(backoff=exponential(min_backoff=60, multiplier=50)), [100, 200]),
    ],
)
def test_a_job_waits_as_its_own_policy_or_its_tasks_says(
    ucam_faas_jobs: JobsFactory, retry: RetryPolicy | None, waits: list[int]
) -> None:
    jobs = ucam_faas_jobs(fail)
    job = fail.send(1, retry=retry)
    jobs.run_all()

    for number, wait in enumerate(waits, start=1):
        assert sum(entry.cause == "failed" for entry in job.history) == number
        jobs.advance(timedelta(seconds=wait - 0.5))
        assert sum(entry.cause == "failed" for entry in job.history) == number
        jobs.advance(timedelta(seconds=0.5))

    assert job.status is State.PENDING


def test_a_payload_that_only_the_receiver_can_check_ends_its_job_at_once_with_the_field(
    ucam_faas_jobs: JobsFactory,
) -> None:
    jobs = ucam_faas_jobs(order)

    job = sends.send("order", {"number": "private"})  # as from a process without the task
    jobs.run_all()

    with pytest.raises(
        JobFailed, match=r"after 1 failed attempt: InvalidPayload: number: int_pars"
    ):
        job.result()
    assert [entry.cause for entry in job.history] == ["sent", "claimed", "failed"]
    assert "private" not in repr(jobs.store.find("default")[0].error)


def test_a_parent_that_fails_after_its_sends_and_is_retried_has_three_children(
    ucam_faas_jobs: JobsFactory,
) -> None:
    attempts: list[list[str]] = []

    @message_handler
    def parent(number: int) -> None:
        attempts.append([child.send(of).id for of in (1, 2, 2)])
        if len(attempts) == 1:
            raise ConnectionError("after its sends")

    jobs = ucam_faas_jobs(parent, child)
    job = parent.send(1)
    jobs.run_all()
    jobs.advance(timedelta(hours=1))

    rows = jobs.store.find("default", task="child")
    assert job.status is State.SUCCESS
    assert attempts[0] == attempts[1]
    assert {row.key.id for row in rows} == set(attempts[0])
    assert [(row.source, row.state) for row in rows] == [("parent", State.SUCCESS)] * 3
    (parent,) = {row.parent for row in rows}
    assert jobs.store.children("default", parent or "", limit=9) == sorted(
        rows, key=lambda row: row.key
    )
