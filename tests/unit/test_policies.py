"""A policy is checked when the task is decorated."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.policies import Policy, check_topic

TOPIC = "projects/p/topics/t"


def test_a_policy_has_defaults() -> None:
    policy = Policy()

    assert (policy.timeout, policy.concurrency, policy.dead_letter_topic) == (None, None, None)
    assert policy.served_timeout_seconds == 300


def test_a_policy_holds_what_was_asked_for() -> None:
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


@pytest.mark.parametrize("topic", [TOPIC, "t", "my-topic.dead_1"])
def test_a_topic_is_a_full_or_a_short_name(topic: str) -> None:
    check_topic(topic)

    assert Policy(dead_letter_topic=topic).dead_letter_topic == topic


@pytest.mark.parametrize(
    "topic", ["", "projects/p", "topics/t", "projects/p/topics/", f"/{TOPIC}", f"{TOPIC}/x", 5]
)
def test_what_is_no_topic_is_refused_with_both_forms(topic: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        Policy(dead_letter_topic=topic)

    assert repr(topic) in str(caught.value)
    assert "projects/PROJECT/topics/TOPIC or TOPIC" in str(caught.value)
