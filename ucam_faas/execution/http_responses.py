"""A handler's report in, its HTTP response out: the default, and a base for one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ucam_faas.events.execution_info import AbortedExecutionReason, ExecutionInfo, ExecutionStatus
from ucam_faas.outcomes import (
    ANSWERS,
    Failed,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    WrongEventType,
)

if TYPE_CHECKING:
    from flask import Response


class HttpResponseCreator:
    """Makes the response for a report, for `HandlerExecutionOptions(make_http_response=…)`.

    Args:
        responses: from the reason of an aborted execution to its response; default: those of this
            package's own reasons.

    >>> creator = HttpResponseCreator(
    ...     responses={
    ...         **DEFAULT_HTTP_RESPONSE_CREATOR.responses,
    ...         "orders.duplicate": HttpResponseCreator.ResponseFields(200, "Seen before"),
    ...     }
    ... )
    """

    @dataclass(frozen=True, slots=True)
    class ResponseFields:
        """Status and text of a response."""

        status_code: int
        message: str

    def __init__(
        self, responses: Mapping[AbortedExecutionReason | str, ResponseFields] | None = None
    ) -> None:
        self.responses = _DEFAULTS if responses is None else responses

    def __call__(self, execution_info: ExecutionInfo, /) -> Response | None:
        """Return the response to an aborted execution; None, for 200 `OK`, if it completed."""
        from flask import Response

        fields = self.fields(execution_info)
        if fields is None:
            return None
        return Response(fields.message, fields.status_code, content_type="text/plain")

    def fields(self, execution_info: ExecutionInfo) -> ResponseFields | None:
        """Return status and text of the response to an aborted execution."""
        result = execution_info.execution
        if result.status is ExecutionStatus.COMPLETED:
            return None
        fields = self.responses.get(result.reason)
        return self.get_unknown_reason_response(execution_info) if fields is None else fields

    def get_unknown_reason_response(self, execution_info: ExecutionInfo) -> ResponseFields:
        """Return the response for a reason that is not in `responses`; override it to choose."""
        return self.ResponseFields(500, "Failed to handle event for unknown reason")


def _default(kind: type[Outcome]) -> HttpResponseCreator.ResponseFields:
    row = ANSWERS[kind]
    return HttpResponseCreator.ResponseFields(row.http_status, row.text)


_DEFAULTS: Mapping[AbortedExecutionReason | str, HttpResponseCreator.ResponseFields] = {
    AbortedExecutionReason.FUNCTION_ABORTED: _default(Failed),
    AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT: _default(WrongEventType),
    AbortedExecutionReason.SERVICE_DATA_INVALID: _default(MalformedEvent),
    AbortedExecutionReason.USER_DATA_INVALID: _default(InvalidPayload),
}
DEFAULT_HTTP_RESPONSE_CREATOR = HttpResponseCreator()
"""Makes the responses of tasks that don't replace it."""
