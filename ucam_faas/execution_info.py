"""Where 1.0 kept these names; import them from `ucam_faas` in new code."""

from ucam_faas.events.execution_info import (
    AbortedExecutionReason,
    AbortedExecutionResult,
    CompletedExecutionResult,
    ExecutionInfo,
    ExecutionResult,
    ExecutionStatus,
)

__all__ = [
    "AbortedExecutionReason",
    "AbortedExecutionResult",
    "CompletedExecutionResult",
    "ExecutionInfo",
    "ExecutionResult",
    "ExecutionStatus",
]
