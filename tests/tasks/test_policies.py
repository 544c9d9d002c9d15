"""A policy is checked when the task is decorated."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.policies import Policy, RetryPolicy, backoffs, check_topic

TOPIC = "projects/p/topics/orders"


def test_a_policy_has_defaults() -> None:
    policy = Policy()

    assert (policy.timeout, policy.concurrency, policy.dead_letter_topic) == (None, None, None)
    assert policy.served_timeout_seconds == 300


def test_a_policy_holds_the_requested_values() -> None:
    policy = Policy(timeout=timedelta(minutes=1), concurrency=1, dead_letter_topic=TOPIC)

    assert policy.served_timeout_seconds == 60
    assert (policy.concurrency, policy.dead_letter_topic) == (1, TOPIC)


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Policy().timeout = timedelta(1)  # type: ignore[misc]


@pytest.mark.parametrize("timeout", [30, 0.5, "30", timedelta(0), timedelta(seconds=-1)], ids=repr)
def test_a_timeout_is_a_positive_timedelta(timeout: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        Policy(timeout=timeout)

    assert f"timeout={timeout!r}" in str(caught.value)
    assert "timeout=timedelta(seconds=30)" in str(caught.value)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, "4", True], ids=repr)
def test_a_concurrency_is_a_whole_number_of_at_least_1(concurrency: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        Policy(concurrency=concurrency)

    assert f"concurrency={concurrency!r}" in str(caught.value)


@pytest.mark.parametrize("topic", [TOPIC, "own", "my-topic.dead_1"])
def test_a_topic_is_a_full_or_a_short_name(topic: str) -> None:
    check_topic(topic)

    assert Policy(dead_letter_topic=topic).dead_letter_topic == topic


@pytest.mark.parametrize(
    "topic", ["", "projects/p", "topics/t", "projects/p/topics/", f"/{TOPIC}", f"{TOPIC}/x", 5]
)
def test_a_malformed_topic_is_refused_with_both_forms(topic: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        Policy(dead_letter_topic=topic)

    assert repr(topic) in str(caught.value)
    assert "projects/PROJECT/topics/TOPIC or TOPIC" in str(caught.value)


# --- retries


def test_a_message_is_retried_for_20_minutes_by_default() -> None:
    """A change of IAM, during which pushes are refused, takes up to about 7 minutes."""
    policy = RetryPolicy()

    assert policy.max_attempts is not None
    assert sum(backoffs(policy, policy.max_attempts - 1)) == 20 * 60 + 30
    assert (policy.min_backoff, policy.max_backoff) == (
        timedelta(seconds=10),
        timedelta(minutes=10),
    )
    assert Policy().retry == policy


@pytest.mark.parametrize("attempts", [1, 5, 100, None])
def test_attempts_are_1_to_100_or_without_an_end(attempts: int | None) -> None:
    assert RetryPolicy(max_attempts=attempts).max_attempts == attempts


@pytest.mark.parametrize("attempts", [0, 101, -5, 5.0, "5", True], ids=repr)
def test_other_numbers_of_attempts_are_refused_with_the_limits(attempts: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        RetryPolicy(max_attempts=attempts)

    assert f"max_attempts={attempts!r}: expected a whole number from 1 to 100" in str(caught.value)


@pytest.mark.parametrize("seconds", [0, 0.5, 600])
def test_a_backoff_is_0_to_600_seconds(seconds: float) -> None:
    backoff = timedelta(seconds=seconds)

    policy = RetryPolicy(min_backoff=backoff, max_backoff=backoff)

    assert (policy.min_backoff, policy.max_backoff) == (backoff, backoff)


@pytest.mark.parametrize("name", ["min_backoff", "max_backoff"])
@pytest.mark.parametrize(
    "backoff",
    [10, None, "10s", timedelta(seconds=-1), timedelta(seconds=600, microseconds=1)],
    ids=repr,
)
def test_other_backoffs_are_refused_with_the_limits(name: str, backoff: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        RetryPolicy(**{name: backoff})

    assert f"{name}={backoff!r}: expected a timedelta from 0 to 600 seconds" in str(caught.value)


def test_a_shortest_backoff_longer_than_the_longest_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match=r"min_backoff.*is longer than max_backoff"):
        RetryPolicy(min_backoff=timedelta(seconds=60), max_backoff=timedelta(seconds=59))


def test_a_retry_policy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RetryPolicy().max_attempts = 7  # type: ignore[misc]
