"""A message that keeps failing is on its topic after the last attempt, with the reason."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.log import Log
from ucam_faas import (
    AbortedExecutionResult,
    ExecutionInfo,
    HandlerExecutionOptions,
    Ignore,
    Retry,
    RetryPolicy,
    UCAMFAASException,
    cloud_event,
    http,
    message_handler,
    outcomes,
    raw_event,
)
from ucam_faas.events.envelopes import decode, of_cloud_event, raw
from ucam_faas.events.execution_info import ExecutionStatus
from ucam_faas.exceptions import PublishError
from ucam_faas.execution import pipeline
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import DeadLettered
from ucam_faas.serving.responses import of_conclusion
from ucam_faas.testing import make_cloud_event, make_message, make_push

from .stopping import stop
from .test_dead_letters import SUBSCRIPTION, TRACEPARENT, FailingPublisher, Letters, runtime

LAST = RetryPolicy().max_attempts or 0
"""The last attempt of the default RetryPolicy."""


class StockError(UCAMFAASException):
    pass


class Order(BaseModel):
    number: int


@pytest.fixture
def letters() -> Letters:
    return Letters()


def raising(error: BaseException, **options: Any) -> Any:
    """Return a task that raises."""

    @message_handler(message_type=None, **options)
    def task(data: bytes) -> None:
        raise error

    return task


def raising_async(error: BaseException) -> Any:
    """Return an async task that raises."""

    @message_handler(message_type=None)
    async def task(data: bytes) -> None:
        await asyncio.sleep(0)
        raise error

    return task


@pytest.mark.parametrize("make", [raising, raising_async])
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionError("secret"), "ConnectionError"),
        (StockError("secret"), "StockError"),
        (Retry(reason="the bank is closed"), "the bank is closed"),
        (Retry(), "retry"),
    ],
    ids=repr,
)
def test_a_failure_at_the_last_attempt_is_a_dead_letter(
    make: Callable[[BaseException], Any], error: BaseException, why: str, letters: Letters
) -> None:
    message = make_message(b"hi", attributes={"k": "v"}, ordering_key="o", message_id="m7")

    conclusion = letters.handle(make(error), message, delivery_attempt=LAST)

    assert isinstance(conclusion.outcome, DeadLettered)
    (letter,) = letters()
    assert (letter.data, letter.ordering_key, letter.attributes["k"]) == (b"hi", "o", "v")
    assert letter.attributes["ucam_faas_reason"] == f"{why} (attempt {LAST}, the last)"
    assert letter.attributes["ucam_faas_message_id"] == "m7"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == str(LAST)


def test_a_report_of_failure_at_the_last_attempt_is_a_dead_letter(letters: Letters) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> ExecutionInfo:
        return ExecutionInfo(execution=AbortedExecutionResult(reason="shop.sold-out"))

    conclusion = letters.handle(task, make_message(), delivery_attempt=LAST)

    assert isinstance(conclusion.outcome, DeadLettered)
    assert conclusion.info.execution.status is ExecutionStatus.ABORTED
    (letter,) = letters()
    assert letter.attributes["ucam_faas_reason"] == f"shop.sold-out (attempt {LAST}, the last)"


def test_a_dead_letter_keeps_the_trace(letters: Letters) -> None:
    message = make_message(attributes={"googclient_traceparent": TRACEPARENT})

    letters.handle(raising(ValueError()), message, delivery_attempt=LAST)

    assert letters()[0].attributes["googclient_traceparent"] == TRACEPARENT


@pytest.mark.parametrize("attempt", [None, 1, LAST - 1])
def test_a_failure_before_is_delivered_again(attempt: int | None, letters: Letters) -> None:
    conclusion = letters.handle(raising(ValueError()), make_message(), delivery_attempt=attempt)

    assert isinstance(conclusion.outcome, outcomes.Crashed)
    assert letters() == []


def test_an_attempt_after_the_last_one_counts_as_the_last(letters: Letters) -> None:
    """Publishing failed at the last one, or Pub/Sub's count differs: it is approximate."""
    conclusion = letters.handle(raising(ValueError()), make_message(), delivery_attempt=LAST + 2)

    assert isinstance(conclusion.outcome, DeadLettered)
    assert len(letters()) == 1


@pytest.mark.parametrize("value", [None, Ignore("nothing to do")], ids=["done", "ignored"])
def test_success_at_the_last_attempt_stays_success(value: Any, letters: Letters) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> Any:
        return value

    conclusion = letters.handle(task, make_message(), delivery_attempt=LAST)

    assert type(conclusion.outcome) in (outcomes.Done, Ignore)
    assert letters() == []


def test_the_retry_policy_says_which_attempt_is_the_last(letters: Letters) -> None:
    task = raising(ValueError(), retry=RetryPolicy(max_attempts=7))

    before = letters.handle(task, make_message(), delivery_attempt=6)
    last = letters.handle(task, make_message(), delivery_attempt=7)

    assert isinstance(before.outcome, outcomes.Crashed)
    assert isinstance(last.outcome, DeadLettered)


def test_without_a_last_attempt_there_is_no_dead_letter(letters: Letters) -> None:
    task = raising(ValueError(), retry=RetryPolicy(max_attempts=None))

    conclusion = letters.handle(task, make_message(), delivery_attempt=100)

    assert isinstance(conclusion.outcome, outcomes.Crashed)


def test_the_deployments_number_of_attempts_wins_over_the_codes(letters: Letters) -> None:
    """The deployment knows the subscription's limit; a task must not end its attempts early."""
    settings = replace(letters.runtime.settings, max_attempts=20)
    letters.runtime = replace(letters.runtime, settings=settings)

    before = letters.handle(raising(ValueError()), make_message(), delivery_attempt=19)
    last = letters.handle(raising(ValueError()), make_message(), delivery_attempt=20)

    assert isinstance(before.outcome, outcomes.Crashed)
    assert isinstance(last.outcome, DeadLettered)


@pytest.mark.parametrize(("limit", "is_last"), [(None, False), (20, True)])
def test_the_owner_of_another_owners_subscription_counts(
    limit: int | None, is_last: bool, letters: Letters
) -> None:
    settings = replace(letters.runtime.settings, max_attempts=limit)
    letters.runtime = replace(letters.runtime, settings=settings)
    task = raising(ValueError(), subscription="orders-for-us")

    conclusion = letters.handle(task, make_message(), delivery_attempt=20)

    assert isinstance(conclusion.outcome, DeadLettered) is is_last


@pytest.mark.parametrize("attempts", [1, 4])
def test_the_task_counts_to_less_than_pubsub_can(attempts: int, letters: Letters) -> None:
    """The subscription has Pub/Sub's least, 5, and the deployment says so."""
    settings = replace(letters.runtime.settings, max_attempts=5)
    letters.runtime = replace(letters.runtime, settings=settings)
    task = raising(ValueError(), retry=RetryPolicy(max_attempts=attempts))

    answers = [
        letters.handle(task, make_message(), delivery_attempt=attempt + 1).outcome
        for attempt in range(attempts)
    ]

    assert [isinstance(answer, DeadLettered) for answer in answers] == [
        *[False] * (attempts - 1),
        True,
    ]


@pytest.mark.parametrize("make", [raising, raising_async])
def test_when_publishing_fails_the_last_attempt_fails_as_the_others(
    make: Callable[[BaseException], Any], log: Log
) -> None:
    """Pub/Sub forwards the message then."""
    push = make_push(b"hi", delivery_attempt=LAST)
    there = runtime(FailingPublisher(PublishError("down")))

    conclusion = execute(Execution(make(ValueError()).task, decode(push.body, {}), there))

    assert isinstance(conclusion.outcome, outcomes.Crashed)
    assert not outcomes.answer(conclusion.outcome).acknowledges
    assert "ucam_faas_dead_letter_failed" in [line["message"] for line in log.lines]


@pytest.mark.parametrize("there", [runtime(None), Letters().runtime], ids=["publisher", "topic"])
def test_without_a_topic_the_last_attempt_fails_as_the_others(there: Runtime) -> None:
    if there.publisher is not None:
        there = replace(there, settings=replace(there.settings, dead_letter_topic=None))
    push = make_push(b"hi", delivery_attempt=LAST)

    conclusion = execute(Execution(raising(ValueError()).task, decode(push.body, {}), there))

    assert isinstance(conclusion.outcome, outcomes.Crashed)


@pytest.mark.parametrize("outcome", [outcomes.TimedOut(), outcomes.ShuttingDown()], ids=repr)
def test_a_task_that_is_stopped_at_the_last_attempt_is_left_to_pubsub(
    outcome: outcomes.Outcome, letters: Letters
) -> None:
    """The caller of `stop` mustn't wait, and at the deadline no time is left to publish."""
    push = make_push(b"hi", delivery_attempt=LAST)
    execution = Execution(raising(ValueError()).task, decode(push.body, {}), letters.runtime)

    conclusion = stop(execution, outcome)

    assert conclusion is not None
    assert conclusion.outcome is outcome
    assert letters() == []


def test_publishing_does_not_block_the_event_loop(letters: Letters) -> None:
    """Async tasks run on it, and so do the answers of all the others."""
    threads: list[threading.Thread] = []

    class Publisher:
        def publish(self, *args: Any, **options: Any) -> str:
            threads.append(threading.current_thread())
            return "1"

    push = make_push(b"hi", delivery_attempt=LAST)
    task = raising_async(ValueError()).task
    execution = Execution(task, decode(push.body, {}), runtime(Publisher()))

    conclusion = asyncio.run(pipeline.run_async(execution))

    assert conclusion is not None
    assert isinstance(conclusion.outcome, DeadLettered)
    assert threads
    assert threading.current_thread() not in threads


def test_a_cloud_events_data_has_its_attempt(letters: Letters) -> None:
    """So Eventarc delivers the messages of a topic."""

    @cloud_event
    def task(event: Any) -> None:
        raise ValueError

    data = {"message": {"data": "aGk=", "messageId": "m7"}, "deliveryAttempt": LAST}
    event = make_cloud_event(data, type="google.cloud.pubsub.topic.v1.messagePublished")

    conclusion = execute(Execution(task.task, of_cloud_event(event), letters.runtime))

    assert isinstance(conclusion.outcome, DeadLettered)
    assert letters()[0].data == b"hi"


@pytest.mark.parametrize("attempt", [LAST - 1, LAST])
def test_the_body_of_a_raw_task_may_be_a_push(attempt: int, letters: Letters) -> None:
    @raw_event
    async def task(body: bytes) -> None:
        raise ValueError

    push = make_push(b"hi", delivery_attempt=attempt)

    conclusion = execute(Execution(task.task, raw(push.body, {}), letters.runtime))

    assert isinstance(conclusion.outcome, DeadLettered) is (attempt == LAST)
    assert len(letters()) == (attempt == LAST)


def test_a_raw_task_that_fails_on_something_else_just_fails(letters: Letters) -> None:
    @raw_event
    def task(body: bytes) -> None:
        raise ValueError

    conclusion = execute(Execution(task.task, raw(b"not a push", {}), letters.runtime))

    assert isinstance(conclusion.outcome, outcomes.Crashed)


def test_an_http_task_has_no_last_attempt(letters: Letters) -> None:
    """Its caller hears of the failure, whatever the body looks like."""

    @http(path="/page")
    def task(request: Any) -> None:
        raise ValueError

    push = make_push(b"hi", delivery_attempt=LAST)

    conclusion = execute(Execution(task.task, raw(push.body, {}), letters.runtime))

    assert isinstance(conclusion.outcome, outcomes.Crashed)
    assert letters() == []


def test_a_crash_that_ends_as_a_dead_letter_is_still_an_error(letters: Letters, log: Log) -> None:
    """Error Reporting goes by the severity and the traceback."""
    letters.handle(raising(ValueError("secret")), make_message(), delivery_attempt=LAST)

    line = log.line
    assert (line["severity"], line["message"]) == ("ERROR", "ucam_faas_function_aborted")
    assert (line["outcome"], line["reason"]) == (
        "dead_lettered",
        f"ValueError (attempt {LAST}, the last)",
    )
    assert "ValueError" in line["stack_trace"]
    assert "secret" not in str(line)


def test_an_expected_failure_that_ends_as_a_dead_letter_is_still_a_warning(
    letters: Letters, log: Log
) -> None:
    letters.handle(raising(StockError()), make_message(), delivery_attempt=LAST)

    assert (log.line["severity"], log.line["outcome"]) == ("WARNING", "dead_lettered")
    assert log.line["error"].endswith("StockError")


def test_a_dead_lettered_failure_is_answered_as_done(letters: Letters) -> None:
    def unavailable(info: ExecutionInfo) -> tuple[str, int]:
        return "unavailable", 503

    options = HandlerExecutionOptions(make_http_response=unavailable)
    task = raising(StockError(), options=options)

    conclusion: Conclusion = letters.handle(task, make_message(), delivery_attempt=LAST)

    assert of_conclusion(task.task, conclusion).status == 200


def test_a_failure_that_takes_long_leaves_publishing_a_second(letters: Letters) -> None:
    """At the deadline Pub/Sub would deliver again, or forward the message itself."""
    seconds: list[float] = []

    class Publisher:
        def publish(self, *args: Any, timeout_seconds: float, **options: Any) -> str:
            seconds.append(timeout_seconds)
            return "1"

    there = runtime(Publisher())

    @message_handler(message_type=None, timeout=timedelta(seconds=30))
    def task(data: bytes) -> None:
        there.clock.advance(timedelta(seconds=29.5))  # type: ignore[attr-defined]  # it is manual
        raise ValueError

    push = make_push(b"hi", subscription=SUBSCRIPTION, delivery_attempt=LAST)
    execute(Execution(task.task, decode(push.body, {}), there))

    assert seconds == [1.0]
