"""ucam_faas: decorate a Python function, and run it as a task on Google Cloud.

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ucam_faas.context import (
        CLOUD_EVENT_CONTEXT as CLOUD_EVENT_CONTEXT,
        MESSAGE_CONTEXT as MESSAGE_CONTEXT,
        CloudEventAttributes as CloudEventAttributes,
        CloudEventHandlerAttributes as CloudEventHandlerAttributes,
        CloudEventHandlerContext as CloudEventHandlerContext,
        MessageHandlerAttributes as MessageHandlerAttributes,
        MessageHandlerContext as MessageHandlerContext,
    )
    from ucam_faas.decorators import (
        CloudEventHandlerExecutorFn as CloudEventHandlerExecutorFn,
        cloud_event as cloud_event,
        cloud_event_handler as cloud_event_handler,
        http as http,
        message_handler as message_handler,
        raw_event as raw_event,
    )
    from ucam_faas.exceptions import (
        ConfigurationError as ConfigurationError,
        ExecutionAbortedException as ExecutionAbortedException,
        TaskDefinitionError as TaskDefinitionError,
        UCAMFAASCouldNotLoadTarget as UCAMFAASCouldNotLoadTarget,
        UCAMFAASCouldNotProcess as UCAMFAASCouldNotProcess,
        UCAMFAASException as UCAMFAASException,
    )
    from ucam_faas.execution_info import (
        AbortedExecutionReason as AbortedExecutionReason,
        AbortedExecutionResult as AbortedExecutionResult,
        CloudEventHandlerExecutionInfo as CloudEventHandlerExecutionInfo,
        CompletedExecutionResult as CompletedExecutionResult,
        ExecutionInfo as ExecutionInfo,
        ExecutionResult as ExecutionResult,
        ExecutionStatus as ExecutionStatus,
        MessageHandlerExecutionInfo as MessageHandlerExecutionInfo,
    )
    from ucam_faas.http_responses import (
        DEFAULT_HTTP_RESPONSE_CREATOR as DEFAULT_HTTP_RESPONSE_CREATOR,
        HttpResponseCreator as HttpResponseCreator,
    )
    from ucam_faas.outcomes import (
        DeadLetter as DeadLetter,
        Ignore as Ignore,
        Retry as Retry,
    )
    from ucam_faas.parsers import (
        CloudEventType as CloudEventType,
        MessageParserFn as MessageParserFn,
    )
    from ucam_faas.policies import RetryPolicy as RetryPolicy
    from ucam_faas.pubsub import (
        PUBSUB_MESSAGE_TYPE as PUBSUB_MESSAGE_TYPE,
        PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE as PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        MessagePublishedData as MessagePublishedData,
        PubsubMessage as PubsubMessage,
    )
    from ucam_faas.reports import (
        DEFAULT_EXECUTION_RESULT_LOGGER as DEFAULT_EXECUTION_RESULT_LOGGER,
        JsonRepresentation as JsonRepresentation,
        StructlogJsonExecutionResultLogger as StructlogJsonExecutionResultLogger,
    )
    from ucam_faas.startup import Defer as Defer
    from ucam_faas.task import (
        CreateExecutionResultHttpResponseFn as CreateExecutionResultHttpResponseFn,
        ExecutionResultLoggerFn as ExecutionResultLoggerFn,
        HandlerExecutionOptions as HandlerExecutionOptions,
    )
    from ucam_faas.task_collection import TaskCollection as TaskCollection
    from ucam_faas.triggers import Schedule as Schedule

_HOMES = {
    "AbortedExecutionReason": "execution_info",
    "AbortedExecutionResult": "execution_info",
    "CLOUD_EVENT_CONTEXT": "context",
    "CloudEventAttributes": "context",
    "CloudEventHandlerAttributes": "context",
    "CloudEventHandlerContext": "context",
    "CloudEventHandlerExecutionInfo": "execution_info",
    "CloudEventHandlerExecutorFn": "decorators",
    "CloudEventType": "parsers",
    "CompletedExecutionResult": "execution_info",
    "ConfigurationError": "exceptions",
    "CreateExecutionResultHttpResponseFn": "task",
    "DEFAULT_EXECUTION_RESULT_LOGGER": "reports",
    "DEFAULT_HTTP_RESPONSE_CREATOR": "http_responses",
    "DeadLetter": "outcomes",
    "Defer": "startup",
    "ExecutionAbortedException": "exceptions",
    "ExecutionInfo": "execution_info",
    "ExecutionResult": "execution_info",
    "ExecutionResultLoggerFn": "task",
    "ExecutionStatus": "execution_info",
    "HandlerExecutionOptions": "task",
    "HttpResponseCreator": "http_responses",
    "Ignore": "outcomes",
    "JsonRepresentation": "reports",
    "MESSAGE_CONTEXT": "context",
    "MessageHandlerAttributes": "context",
    "MessageHandlerContext": "context",
    "MessageHandlerExecutionInfo": "execution_info",
    "MessageParserFn": "parsers",
    "MessagePublishedData": "pubsub",
    "PUBSUB_MESSAGE_TYPE": "pubsub",
    "PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE": "pubsub",
    "PubsubMessage": "pubsub",
    "Retry": "outcomes",
    "RetryPolicy": "policies",
    "Schedule": "triggers",
    "StructlogJsonExecutionResultLogger": "reports",
    "TaskCollection": "task_collection",
    "TaskDefinitionError": "exceptions",
    "UCAMFAASCouldNotLoadTarget": "exceptions",
    "UCAMFAASCouldNotProcess": "exceptions",
    "UCAMFAASException": "exceptions",
    "cloud_event": "decorators",
    "cloud_event_handler": "decorators",
    "http": "decorators",
    "message_handler": "decorators",
    "raw_event": "decorators",
}

__all__ = sorted(_HOMES)  # the table above is the list


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
