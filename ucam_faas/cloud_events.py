"""Where 1.0 kept these names; import them from `ucam_faas` in new code."""

from ucam_faas.decorators import (
    cloud_event_handler,
)
from ucam_faas.events.context import (
    CLOUD_EVENT_CONTEXT,
    CloudEventAttributes,
    CloudEventHandlerAttributes,
    CloudEventHandlerContext,
)
from ucam_faas.events.execution_info import (
    CloudEventHandlerExecutionInfo,
)
from ucam_faas.task_types import (
    CloudEventHandlerExecutorFn,
)
from ucam_faas.tasks.parsers import (
    CloudEventType,
)

__all__ = [
    "CLOUD_EVENT_CONTEXT",
    "CloudEventAttributes",
    "CloudEventHandlerAttributes",
    "CloudEventHandlerContext",
    "CloudEventHandlerExecutionInfo",
    "CloudEventHandlerExecutorFn",
    "CloudEventType",
    "cloud_event_handler",
]
