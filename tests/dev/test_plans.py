"""The needs of tasks in the cloud, as plain values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from ucam_faas import (
    RetryPolicy,
    Schedule,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.config import Settings
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.needs import TaskNeeds, needs_of


class Order(BaseModel):
    number: int = Field(examples=[7])


class Strict(BaseModel):
    """Its sample is not valid: no schema says so."""

    number: int

    def model_post_init(self, context: Any) -> None:
        raise ValueError("never valid")


@dataclasses.dataclass
class Point:
    x: int


def plan(decorate: Callable[..., Any], name: str = "work", **settings: Any) -> TaskNeeds:
    def function(payload: Any) -> None: ...

    function.__name__ = function.__qualname__ = name
    return needs_of(decorate(function).task, Settings(**settings))


def test_a_plan_is_the_same_on_the_other_side_of_a_pipe() -> None:
    schedules = [Schedule("0 3 * * *", data=b"\xff", attributes={"a": "b"}, paused=True)]
    needs = plan(message_handler(message_type=None, schedule=schedules, filter="attributes:a"))

    assert TaskNeeds.from_json(json.loads(json.dumps(needs.to_json()))) == needs


@pytest.mark.parametrize(
    ("decorate", "takes", "sample"),
    [
        (message_handler(message_type=Order), "Order", '{"number": 7}'),
        (message_handler(message_type=None), "bytes", "hello"),
        (message_handler(message_type=list[int]), "list[int]", "[1]"),
        (message_handler(message_type=Point), "Point", '{"x": 1}'),
        (message_handler(message_type=Strict), "Strict", None),
        (message_handler(message_type=json.loads), "loads", None),
        (raw_event, "bytes", "hello"),
        (cloud_event, "CloudEvent", "hello"),
        (cloud_event_handler(event_data_parser=str), "CloudEvent data", None),
        (http(path="/work"), "HTTP request", None),
    ],
)
def test_a_sample_is_one_that_the_task_takes(
    decorate: Callable[..., Any], takes: str, sample: str | None
) -> None:
    needs = plan(decorate)

    assert (needs.takes, needs.sample) == (takes, sample)


@pytest.mark.parametrize("decorate", [message_handler, raw_event, cloud_event])
def test_a_task_without_a_parameter_takes_nothing_and_needs_no_data(
    decorate: Callable[..., Any],
) -> None:
    @decorate
    async def tidy() -> None: ...

    needs = needs_of(tidy.task, Settings())

    assert (needs.takes, needs.sample) == ("nothing", "")


def test_a_parser_of_the_user_is_not_called_to_find_out() -> None:
    called: list[bytes] = []

    plan(message_handler(message_type=called.append))

    assert called == []


@pytest.mark.parametrize(("seconds", "deadline"), [(1, 10), (45.2, 46), (600, 600)])
def test_the_ack_deadline_is_the_timeout_within_pubsubs_limits(
    seconds: float, deadline: int
) -> None:
    needs = plan(message_handler(message_type=None, timeout=timedelta(seconds=seconds)))

    assert needs.ack_deadline_seconds == deadline


def test_dead_letters_go_where_the_task_or_the_environment_says() -> None:
    handler = message_handler(message_type=None)
    own = message_handler(message_type=None, dead_letter_topic="own")
    never = message_handler(message_type=None, retry=RetryPolicy(max_attempts=None))

    by_default, of_task = plan(handler), plan(own, dead_letter_topic="all")
    of_environment, without = plan(handler, dead_letter_topic="all"), plan(never)

    assert (by_default.dead_letter_topic, by_default.decided_dead_letter_topic) == (
        "work-dead-letter",
        None,
    )
    assert (of_task.dead_letter_topic, of_task.decided_dead_letter_topic) == ("own", "own")
    assert (of_environment.dead_letter_topic, of_environment.decided_dead_letter_topic) == (
        "all",
        "all",
    )
    assert (without.dead_letter_topic, without.max_attempts) == (None, None)


@pytest.mark.parametrize("name", ["go", "_work", "größe"])
def test_a_name_that_no_subscription_can_have_is_refused(name: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"'{name}' can be served, but Pub/Sub"):
        plan(message_handler(message_type=None), name)
    with pytest.raises(TaskDefinitionError, match="rename the function"):
        plan(message_handler(message_type=None, topic="some-topic"), name)
