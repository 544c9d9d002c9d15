"""Where 1.0 kept these names; import them from `ucam_faas` in new code."""

from ucam_faas.decorators import (
    message_handler,
)
from ucam_faas.events.context import (
    MESSAGE_CONTEXT,
    MessageHandlerAttributes,
    MessageHandlerContext,
)
from ucam_faas.events.execution_info import (
    MessageHandlerExecutionInfo,
)
from ucam_faas.tasks.parsers import (
    MessageParserFn,
)

__all__ = [
    "MESSAGE_CONTEXT",
    "MessageHandlerAttributes",
    "MessageHandlerContext",
    "MessageHandlerExecutionInfo",
    "MessageParserFn",
    "message_handler",
]
