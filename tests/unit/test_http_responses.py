"""The default response to a report."""

from __future__ import annotations

import pytest

from ucam_faas import (
    DEFAULT_HTTP_RESPONSE_CREATOR,
    AbortedExecutionReason,
    AbortedExecutionResult,
    ExecutionInfo,
    HttpResponseCreator,
)


def test_a_completed_execution_is_200_ok() -> None:
    assert DEFAULT_HTTP_RESPONSE_CREATOR(ExecutionInfo()) == ("OK", 200)


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
    info = ExecutionInfo(execution=AbortedExecutionResult(reason=reason))

    assert DEFAULT_HTTP_RESPONSE_CREATOR(info) == (text, status)


def test_nothing_of_an_exception_is_in_the_response() -> None:
    result = AbortedExecutionResult(reason="secret", exception=ValueError("secret"))

    text, _ = DEFAULT_HTTP_RESPONSE_CREATOR(ExecutionInfo(execution=result))

    assert "secret" not in text


def test_a_creator_of_ones_own_may_build_on_the_default() -> None:
    class Teapot(HttpResponseCreator):
        def __call__(self, info: ExecutionInfo) -> tuple[str, int]:
            text, status = super().__call__(info)
            return text, 418 if status == 500 else status

    info = ExecutionInfo(execution=AbortedExecutionResult())

    assert Teapot()(info)[1] == 418
    assert Teapot()(ExecutionInfo()) == ("OK", 200)
