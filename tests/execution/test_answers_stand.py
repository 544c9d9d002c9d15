"""No report, log function or late exception turns one answer into another, or into none."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest

import ucam_faas
from ucam_faas import ExecutionInfo, HandlerExecutionOptions
from ucam_faas.config import Settings
from ucam_faas.events.envelopes import decode
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import DeadLettered, Done, Failed, MalformedEvent, NotAnEvent
from ucam_faas.testing import ManualClock, MemoryPublisher, make_push, serve

TOPIC = "projects/p/topics/dead"


def handled(task: Any, body: bytes | None = None) -> tuple[Conclusion, int]:
    """Execute a task on a push, with a dead-letter topic; return its end and the letters."""
    publisher = MemoryPublisher({TOPIC: []})
    runtime = Runtime(Settings(dead_letter_topic=TOPIC), ManualClock(), publisher)
    delivery = decode(make_push(b"hi").body if body is None else body, {})
    return execute(Execution(task.task, delivery, runtime)), len(publisher.topics[TOPIC])


def test_an_event_that_cannot_be_read_in_the_function_is_a_failure_that_is_retried() -> None:
    """The verdict is on another event, or came after the function had begun."""

    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        decode(b'{"message": {"data": 5}}', {})

    conclusion, letters = handled(task)

    assert isinstance(conclusion.outcome, Failed)
    assert isinstance(conclusion.error, MalformedEvent)
    assert letters == 0


def test_the_report_of_a_malformed_event_quotes_nothing_of_it() -> None:
    @ucam_faas.cloud_event_handler(event_data_parser=lambda event: decode(b'{"message": 7}', {}))
    def task(data: Any) -> None: ...

    conclusion, _ = handled(task)

    assert isinstance(conclusion.error, MalformedEvent)
    assert "7" not in str(conclusion.error)


def test_the_reason_of_a_malformed_event_is_that_of_its_subclasses() -> None:
    def parse(data: bytes) -> Any:
        raise NotAnEvent("nothing in it")

    @ucam_faas.message_handler(message_type=parse)
    def task(data: Any) -> None: ...

    conclusion, _ = handled(task)

    assert conclusion.info.execution.reason == "ucam_faas.service-data-invalid"  # type: ignore[union-attr]


class Raising(ExecutionInfo):
    def with_result(self, result: Any) -> ExecutionInfo:
        raise ValueError

    def with_duration(self, seconds: float) -> ExecutionInfo:
        raise ValueError


class Returning(ExecutionInfo):
    def with_result(self, result: Any) -> Any:
        return None

    def with_duration(self, seconds: float) -> Any:
        return None

    def model_copy(self, **options: Any) -> Self:
        return self


@pytest.mark.parametrize("info", [Raising, Returning])
@pytest.mark.parametrize("own", [True, False], ids=["returned", "default"])
def test_a_report_whose_methods_fail_leaves_a_success_one(
    info: type[ExecutionInfo], own: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="ucam_faas")

    @ucam_faas.message_handler(message_type=None, create_default_info=info)
    def task(data: bytes) -> Any:
        return info() if own else 5

    conclusion, _ = handled(task)

    assert isinstance(conclusion.outcome, Done)
    assert conclusion.info.execution.status == "COMPLETED"
    assert conclusion.line is not None


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_log_function_that_cancels_leaves_a_success_one(how: str) -> None:
    def log(info: ExecutionInfo) -> None:
        raise asyncio.CancelledError

    options = HandlerExecutionOptions(log_execution_result=log)

    @ucam_faas.message_handler(message_type=None, options=options)
    def task(data: bytes) -> None: ...

    @ucam_faas.message_handler(message_type=None, options=options)
    async def async_task(data: bytes) -> None: ...

    with serve(task, async_task) as client:
        response = client.push("task" if how == "sync" else "async_task", b"hi")

    assert response.status == 200


def test_a_task_that_cancels_itself_and_dead_letters_is_answered_after_one_letter() -> None:
    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        raise ucam_faas.DeadLetter("bad")

    publisher = MemoryPublisher({TOPIC: []})
    settings = Settings(dead_letter_topic=TOPIC)

    with serve(task, settings=settings, publisher=publisher) as client:
        status = client.push("task", b"hi").status

    assert status == 200
    assert len(publisher.topics[TOPIC]) == 1


def test_a_dead_letter_equals_another_with_its_reason() -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        raise ucam_faas.DeadLetter("bad")

    conclusion, letters = handled(task)

    assert conclusion.outcome == DeadLettered("bad")
    assert letters == 1
