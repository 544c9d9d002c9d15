"""A handler's report in, its HTTP response out: the default, and a base for one's own."""

from __future__ import annotations

from ucam_faas.execution_info import AbortedExecutionReason, ExecutionInfo, ExecutionStatus
from ucam_faas.outcomes import (
    Done,
    Failed,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    WrongEventType,
    answer,
)

UNKNOWN_REASON = "Failed to handle event for unknown reason"


class HttpResponseCreator:
    """Makes the response for a report by the table of outcomes; the default, and to build on."""

    def __call__(self, info: ExecutionInfo) -> tuple[str, int]:
        """Return text and status."""
        if info.execution.status is ExecutionStatus.COMPLETED:
            found = answer(Done())
        else:
            outcome = _BY_REASON.get(str(info.execution.reason))
            if outcome is None:
                return UNKNOWN_REASON, 500
            found = answer(outcome)
        return found.text, found.http_status


DEFAULT_HTTP_RESPONSE_CREATOR = HttpResponseCreator()

_BY_REASON: dict[str, Outcome] = {
    AbortedExecutionReason.FUNCTION_ABORTED: Failed(),
    AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT: WrongEventType(),
    AbortedExecutionReason.SERVICE_DATA_INVALID: MalformedEvent(),
    AbortedExecutionReason.USER_DATA_INVALID: InvalidPayload(),
}
