"""Where 1.0 kept these names; import them from `ucam_faas` in new code."""

from ucam_faas.execution.http_responses import (
    DEFAULT_HTTP_RESPONSE_CREATOR,
    HttpResponseCreator,
)
from ucam_faas.execution.log_lines import (
    DEFAULT_EXECUTION_RESULT_LOGGER,
    JsonRepresentation,
    StructlogJsonExecutionResultLogger,
)
from ucam_faas.tasks.task import (
    CreateExecutionResultHttpResponseFn,
    ExecutionResultLoggerFn,
    HandlerExecutionOptions,
)

__all__ = [
    "DEFAULT_EXECUTION_RESULT_LOGGER",
    "DEFAULT_HTTP_RESPONSE_CREATOR",
    "CreateExecutionResultHttpResponseFn",
    "ExecutionResultLoggerFn",
    "HandlerExecutionOptions",
    "HttpResponseCreator",
    "JsonRepresentation",
    "StructlogJsonExecutionResultLogger",
]
