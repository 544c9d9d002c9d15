"""A task's rules for its jobs, and the waits between a job's attempts."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies

from ucam_faas import RetryPolicy, TaskCollection, TaskDefinitionError, message_handler
from ucam_faas.tasks.backoffs import exponential
from ucam_faas.tasks.policies import wait_seconds


def task(**options: Any) -> Any:
    @message_handler(**options)
    def charge(order: int) -> None: ...

    return charge.task


def test_a_task_has_the_rules_for_jobs_that_its_decorator_gives() -> None:
    jobs = task(retention=timedelta(days=30), id=str, max_pending=3, on_duplicate="raise").jobs

    assert (jobs.kept, jobs.id, jobs.max_pending) == (timedelta(days=30), str, 3)
    assert (jobs.on_duplicate, jobs.adopts) == ("raise", True)


def test_a_collection_gives_its_tasks_rules_for_jobs() -> None:
    collection = TaskCollection(idempotent=True, retention=timedelta(days=9), max_pending=5)

    @collection.message_handler(max_pending=7)
    def charge(order: int) -> None: ...

    jobs = charge.task.jobs
    assert (jobs.idempotent, jobs.kept.days, jobs.max_pending) == (True, 9, 7)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"retention": 7}, "expected a positive timedelta"),
        ({"retention": timedelta(0)}, "expected a positive timedelta"),
        ({"unique": "id"}, "expected a function from the payload"),
        ({"id": 5}, "expected a function from the payload"),
        ({"on_duplicate": "ignore"}, '"return" or "raise"'),
        ({"max_pending": 0}, "whole number, from 1"),
        ({"idempotent": 1}, "True or False"),
        ({"events": "success"}, '"failures", "all" or "none"'),
        ({"idempotent": True, "retention": timedelta(days=1)}, "at least 7 days"),
        ({"id": str, "retention": timedelta(days=1)}, "retention=.* with id="),
        ({"run_as": "cloud-run-job", "idempotent": True}, "idempotent=True"),
    ],
)
def test_rules_that_can_never_work_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(TaskDefinitionError, match=problem):
        task(**options)


@given(
    failures=strategies.integers(1, 1000),
    least=strategies.floats(0, 1000),
    more=strategies.floats(0, 1e6),
    exponent=strategies.integers(0, 60),
)
def test_an_exponential_backoff_grows_between_its_limits(
    failures: int, least: float, more: float, exponent: int
) -> None:
    backoff = exponential(min_backoff=least, max_backoff=least + more, max_exponent=exponent)

    wait = backoff(failures)

    assert least <= wait <= backoff(failures + 1) <= least + more


@pytest.mark.parametrize(
    "values",
    [{"min_backoff": -1}, {"multiplier": "5"}, {"max_exponent": 61}, {"max_backoff": 5}],
)
def test_an_exponential_backoff_without_sense_is_refused(values: Any) -> None:
    with pytest.raises(TaskDefinitionError, match="expected"):
        exponential(**values)


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [
        (None, 40.0),
        (lambda failures: failures * 100, 300.0),
        (lambda failures: timedelta(hours=failures), 3 * 3600.0),
    ],
)
def test_a_wait_is_the_policys(backoff: Any, seconds: float) -> None:
    assert wait_seconds(RetryPolicy(backoff=backoff), 3) == seconds


@pytest.mark.parametrize("wait", [-1, math.nan, math.inf, "1", None])
def test_a_function_that_returns_no_wait_is_named(wait: Any) -> None:
    with pytest.raises(ValueError, match=r"backoff\(1\) returned .*: expected seconds"):
        wait_seconds(RetryPolicy(backoff=lambda _: wait), 1)


def test_a_backoff_that_is_not_a_function_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match="expected a function"):
        RetryPolicy(backoff=60)  # type: ignore[arg-type]
