"""Responses to a report: the default ones, and a task's own."""

from __future__ import annotations

import pytest

from ucam_faas import (
    DEFAULT_HTTP_RESPONSE_CREATOR,
    AbortedExecutionReason,
    AbortedExecutionResult,
    ExecutionInfo,
    HttpResponseCreator,
)


def answer(creator: HttpResponseCreator, reason: str) -> tuple[int, str]:
    response = creator(ExecutionInfo(execution=AbortedExecutionResult(reason)))

    assert response is not None
    return response.status_code, response.get_data(as_text=True)


def test_a_completed_execution_has_the_usual_response() -> None:
    assert DEFAULT_HTTP_RESPONSE_CREATOR(ExecutionInfo()) is None


@pytest.mark.parametrize(
    ("reason", "status", "text"),
    [
        (
            AbortedExecutionReason.FUNCTION_ABORTED,
            500,
            "An error occurred while handling the CloudEvent",
        ),
        (
            AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT,
            400,
            "The CloudEvent has the wrong type",
        ),
        (AbortedExecutionReason.SERVICE_DATA_INVALID, 400, "The event is malformed"),
        (AbortedExecutionReason.USER_DATA_INVALID, 400, "The payload is invalid"),
        ("my.reason", 500, "Failed to handle event for unknown reason"),
        ("ucam_faas.user-data-invalid", 400, "The payload is invalid"),
    ],
)
def test_an_aborted_execution_is_answered_by_its_reason(
    reason: str, status: int, text: str
) -> None:
    assert answer(DEFAULT_HTTP_RESPONSE_CREATOR, reason) == (status, text)


def test_a_response_is_plain_text() -> None:
    response = DEFAULT_HTTP_RESPONSE_CREATOR(ExecutionInfo(execution=AbortedExecutionResult()))

    assert response is not None
    assert response.content_type == "text/plain"


def test_nothing_of_an_exception_is_in_the_response() -> None:
    result = AbortedExecutionResult(reason="secret", exception=ValueError("secret"))

    response = DEFAULT_HTTP_RESPONSE_CREATOR(ExecutionInfo(execution=result))

    assert response is not None
    assert "secret" not in response.get_data(as_text=True)


def test_a_task_may_have_responses_for_its_own_reasons() -> None:
    duplicate = HttpResponseCreator.ResponseFields(status_code=200, message="Seen before")

    creator = HttpResponseCreator(
        responses={**DEFAULT_HTTP_RESPONSE_CREATOR.responses, "orders.duplicate": duplicate}
    )

    assert answer(creator, "orders.duplicate") == (200, "Seen before")
    assert answer(creator, AbortedExecutionReason.USER_DATA_INVALID)[0] == 400
    assert answer(creator, "orders.other")[0] == 500


def test_a_subclass_may_answer_unknown_reasons() -> None:
    class Teapot(HttpResponseCreator):
        def get_unknown_reason_response(
            self, execution_info: ExecutionInfo
        ) -> HttpResponseCreator.ResponseFields:
            return self.ResponseFields(418, "I'm a teapot")

    assert answer(Teapot(), "my.reason") == (418, "I'm a teapot")
