"""A parser refuses an event: by returning a report or an outcome, or by raising one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ucam_faas import (
    AbortedExecutionResult,
    ExecutionAbortedException,
    ExecutionInfo,
    Ignore,
    Retry,
    cloud_event_handler,
    message_handler,
)
from ucam_faas.outcomes import Crashed, Done, Failed, InvalidPayload, MalformedEvent, WrongEventType
from ucam_faas.testing import conclude, make_cloud_event, make_push, serve

INVALID = "ucam_faas.user-data-invalid"


def aborted(reason: str) -> ExecutionInfo:
    return ExecutionInfo(execution=AbortedExecutionResult(reason=reason), found="by the parser")


def returning(value: Any) -> Callable[[Any], Any]:
    return lambda data: value


def raising(error: Any) -> Callable[[Any], Any]:
    def parse(data: Any) -> Any:
        raise error

    return parse


def event_task(parse: Callable[[Any], Any]) -> Any:
    @cloud_event_handler(event_data_parser=parse)
    def task(payload: Any) -> None:
        raise AssertionError("called although the parser refused the event")

    return task


def message_task(parse: Callable[[Any], Any]) -> Any:
    @message_handler(message_type=parse)
    def task(payload: Any) -> None:
        raise AssertionError("called although the parser refused the message")

    return task


def refusals(reason: str) -> list[Callable[[Any], Any]]:
    error = ExecutionAbortedException("no", execution_info=aborted(reason))
    return [returning(aborted(reason)), raising(error)]


@pytest.mark.parametrize("way", [0, 1], ids=["returned", "raised"])
@pytest.mark.parametrize(
    ("reason", "kind", "status", "text"),
    [
        (INVALID, InvalidPayload, 400, "The payload is invalid"),
        ("ucam_faas.service-data-invalid", MalformedEvent, 400, "The event is malformed"),
        (
            "ucam_faas.cloud-event-type-incorrect",
            WrongEventType,
            400,
            "The CloudEvent has the wrong type",
        ),
        (
            "ucam_faas.function-aborted",
            Failed,
            500,
            "An error occurred while handling the CloudEvent",
        ),
        ("my.reason", Failed, 500, "Failed to handle event for unknown reason"),
    ],
)
def test_an_aborted_report_of_a_parser_refuses_the_event_for_its_reason(
    way: int, reason: str, kind: Any, status: int, text: str
) -> None:
    task = event_task(refusals(reason)[way])

    conclusion = conclude(task, make_cloud_event({}))
    with serve(task) as client:
        push = make_push({})
        response = client.post("/task", body=push.body, headers=push.headers)

    assert type(conclusion.outcome) is kind
    assert conclusion.info.model_dump()["found"] == "by the parser"
    assert conclusion.info.execution.reason == reason
    assert (response.status, response.text) == (status, text)


def test_a_completed_report_of_a_parser_is_the_event_handled() -> None:
    task = event_task(returning(ExecutionInfo(skipped=True)))

    conclusion = conclude(task, make_cloud_event({}))

    assert isinstance(conclusion.outcome, Done)
    assert conclusion.info.model_dump()["skipped"] is True


def test_a_parser_of_messages_that_aborts_keeps_its_reason() -> None:
    task = message_task(refusals("my.reason")[1])

    conclusion = conclude(task, b"hello")

    assert isinstance(conclusion.outcome, Failed)
    assert conclusion.info.execution.reason == "my.reason"


@pytest.mark.parametrize("make", [event_task, message_task])
@pytest.mark.parametrize(
    ("parse", "kind"),
    [
        (returning(Ignore("old")), Ignore),
        (returning(Retry(reason="later")), Retry),
        (raising(Ignore("old")), Ignore),
        (raising(Retry), Retry),
    ],
)
def test_an_outcome_of_a_parser_is_the_outcome(make: Any, parse: Any, kind: Any) -> None:
    conclusion = conclude(make(parse), make_cloud_event({}) if make is event_task else b"")

    assert type(conclusion.outcome) is kind


def test_a_report_is_a_fine_payload_of_a_message() -> None:
    seen: list[Any] = []

    @message_handler(message_type=ExecutionInfo)
    def collect(info: ExecutionInfo) -> None:
        seen.append(info)

    conclusion = conclude(collect, ExecutionInfo(mine=1).model_dump_json())

    assert isinstance(conclusion.outcome, Done)
    assert seen[0].mine == 1


@pytest.mark.parametrize("make", [event_task, message_task])
def test_a_coroutine_is_no_payload(make: Any) -> None:
    """Where it couldn't be seen at import: the function would get it in place of the data."""

    async def parse(data: Any) -> Any:
        raise AssertionError("never awaited")

    conclusion = conclude(
        make(lambda data: parse(data)), make_cloud_event({}) if make is event_task else b""
    )

    assert isinstance(conclusion.outcome, Crashed)
