"""ucam_faas: decorate a Python function, and run it as a task on Google Cloud.

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ucam_faas.collection import TaskCollection as TaskCollection
    from ucam_faas.decorators import (
        batch_handler as batch_handler,
        cloud_event as cloud_event,
        cloud_event_handler as cloud_event_handler,
        http as http,
        message_handler as message_handler,
        raw_event as raw_event,
    )
    from ucam_faas.events.context import (
        CLOUD_EVENT_CONTEXT as CLOUD_EVENT_CONTEXT,
        MESSAGE_CONTEXT as MESSAGE_CONTEXT,
        CloudEventAttributes as CloudEventAttributes,
        CloudEventHandlerAttributes as CloudEventHandlerAttributes,
        CloudEventHandlerContext as CloudEventHandlerContext,
        MessageHandlerAttributes as MessageHandlerAttributes,
        MessageHandlerContext as MessageHandlerContext,
    )
    from ucam_faas.events.execution_info import (
        AbortedExecutionReason as AbortedExecutionReason,
        AbortedExecutionResult as AbortedExecutionResult,
        CloudEventHandlerExecutionInfo as CloudEventHandlerExecutionInfo,
        CompletedExecutionResult as CompletedExecutionResult,
        ExecutionInfo as ExecutionInfo,
        ExecutionResult as ExecutionResult,
        ExecutionStatus as ExecutionStatus,
        MessageHandlerExecutionInfo as MessageHandlerExecutionInfo,
    )
    from ucam_faas.events.messages import (
        PUBSUB_MESSAGE_TYPE as PUBSUB_MESSAGE_TYPE,
        PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE as PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        MessagePublishedData as MessagePublishedData,
        PubsubMessage as PubsubMessage,
    )
    from ucam_faas.exceptions import (
        BatchSendError as BatchSendError,
        ConfigurationError as ConfigurationError,
        DuplicateJobError as DuplicateJobError,
        ExecutionAbortedException as ExecutionAbortedException,
        JobConflictError as JobConflictError,
        JobError as JobError,
        JobFailed as JobFailed,
        JobLostError as JobLostError,
        JobNotFoundError as JobNotFoundError,
        JobStoreError as JobStoreError,
        NoJobStoreError as NoJobStoreError,
        PayloadMissingError as PayloadMissingError,
        PublishError as PublishError,
        QueueFull as QueueFull,
        ResultNotStoredError as ResultNotStoredError,
        TaskDefinitionError as TaskDefinitionError,
        UCAMFAASCouldNotLoadTarget as UCAMFAASCouldNotLoadTarget,
        UCAMFAASCouldNotProcess as UCAMFAASCouldNotProcess,
        UCAMFAASException as UCAMFAASException,
    )
    from ucam_faas.execution.http_responses import (
        DEFAULT_HTTP_RESPONSE_CREATOR as DEFAULT_HTTP_RESPONSE_CREATOR,
        HttpResponseCreator as HttpResponseCreator,
    )
    from ucam_faas.execution.log_lines import (
        DEFAULT_EXECUTION_RESULT_LOGGER as DEFAULT_EXECUTION_RESULT_LOGGER,
        JsonRepresentation as JsonRepresentation,
        StructlogJsonExecutionResultLogger as StructlogJsonExecutionResultLogger,
    )
    from ucam_faas.http_jobs.api import jobs_over_http as jobs_over_http
    from ucam_faas.job_runs.current_job import current_job as current_job
    from ucam_faas.jobs.events import JobEvent as JobEvent
    from ucam_faas.jobs.handle import Job as Job
    from ucam_faas.jobs.states import State as State
    from ucam_faas.outcomes import (
        DeadLetter as DeadLetter,
        Ignore as Ignore,
        Pause as Pause,
        Retry as Retry,
    )
    from ucam_faas.sending.batches import (
        Batch as Batch,
        BatchEnded as BatchEnded,
        BatchProgress as BatchProgress,
        JobOutcome as JobOutcome,
    )
    from ucam_faas.sending.by_name import (
        get_job as get_job,
        get_job_async as get_job_async,
        send as send,
        send_async as send_async,
    )
    from ucam_faas.sending.transaction import transaction as transaction
    from ucam_faas.tasks.backoffs import exponential as exponential
    from ucam_faas.tasks.defer import Defer as Defer
    from ucam_faas.tasks.dependencies import Attribute as Attribute, Depends as Depends
    from ucam_faas.tasks.lanes import Lane as Lane, Priority as Priority
    from ucam_faas.tasks.limit import Limit as Limit
    from ucam_faas.tasks.message_batches import (
        BatchMessage as BatchMessage,
        BatchResult as BatchResult,
    )
    from ucam_faas.tasks.middleware import CallNext as CallNext, TaskDelivery as TaskDelivery
    from ucam_faas.tasks.parsers import (
        CloudEventType as CloudEventType,
        MessageParserFn as MessageParserFn,
    )
    from ucam_faas.tasks.policies import RetryPolicy as RetryPolicy
    from ucam_faas.tasks.task import (
        CreateExecutionResultHttpResponseFn as CreateExecutionResultHttpResponseFn,
        ExecutionResultLoggerFn as ExecutionResultLoggerFn,
        HandlerExecutionOptions as HandlerExecutionOptions,
    )
    from ucam_faas.tasks.triggers import Schedule as Schedule
    from ucam_faas.worker.options import WorkerResult as WorkerResult
    from ucam_faas.worker.worker import Worker as Worker

_HOMES = {
    "AbortedExecutionReason": "events.execution_info",
    "AbortedExecutionResult": "events.execution_info",
    "Attribute": "tasks.dependencies",
    "Batch": "sending.batches",
    "BatchEnded": "sending.batches",
    "BatchMessage": "tasks.message_batches",
    "BatchProgress": "sending.batches",
    "BatchResult": "tasks.message_batches",
    "BatchSendError": "exceptions",
    "CLOUD_EVENT_CONTEXT": "events.context",
    "CallNext": "tasks.middleware",
    "CloudEventAttributes": "events.context",
    "CloudEventHandlerAttributes": "events.context",
    "CloudEventHandlerContext": "events.context",
    "CloudEventHandlerExecutionInfo": "events.execution_info",
    "CloudEventHandlerExecutorFn": "task_types",
    "CloudEventType": "tasks.parsers",
    "CompletedExecutionResult": "events.execution_info",
    "ConfigurationError": "exceptions",
    "CreateExecutionResultHttpResponseFn": "tasks.task",
    "DEFAULT_EXECUTION_RESULT_LOGGER": "execution.log_lines",
    "DEFAULT_HTTP_RESPONSE_CREATOR": "execution.http_responses",
    "DeadLetter": "outcomes",
    "Defer": "tasks.defer",
    "Depends": "tasks.dependencies",
    "DuplicateJobError": "exceptions",
    "ExecutionAbortedException": "exceptions",
    "ExecutionInfo": "events.execution_info",
    "ExecutionResult": "events.execution_info",
    "ExecutionResultLoggerFn": "tasks.task",
    "ExecutionStatus": "events.execution_info",
    "HandlerExecutionOptions": "tasks.task",
    "HttpResponseCreator": "execution.http_responses",
    "Ignore": "outcomes",
    "Job": "jobs.handle",
    "JobConflictError": "exceptions",
    "JobError": "exceptions",
    "JobEvent": "jobs.events",
    "JobFailed": "exceptions",
    "JobLostError": "exceptions",
    "JobNotFoundError": "exceptions",
    "JobOutcome": "sending.batches",
    "JobStoreError": "exceptions",
    "JsonRepresentation": "execution.log_lines",
    "Lane": "tasks.lanes",
    "Limit": "tasks.limit",
    "MESSAGE_CONTEXT": "events.context",
    "MessageHandlerAttributes": "events.context",
    "MessageHandlerContext": "events.context",
    "MessageHandlerExecutionInfo": "events.execution_info",
    "MessageParserFn": "tasks.parsers",
    "MessagePublishedData": "events.messages",
    "NoJobStoreError": "exceptions",
    "PUBSUB_MESSAGE_TYPE": "events.messages",
    "PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE": "events.messages",
    "Pause": "outcomes",
    "PayloadMissingError": "exceptions",
    "Priority": "tasks.lanes",
    "PublishError": "exceptions",
    "PubsubMessage": "events.messages",
    "QueueFull": "exceptions",
    "ResultNotStoredError": "exceptions",
    "Retry": "outcomes",
    "RetryPolicy": "tasks.policies",
    "Schedule": "tasks.triggers",
    "State": "jobs.states",
    "StructlogJsonExecutionResultLogger": "execution.log_lines",
    "TaskCollection": "collection",
    "TaskDefinitionError": "exceptions",
    "TaskDelivery": "tasks.middleware",
    "UCAMFAASCouldNotLoadTarget": "exceptions",
    "UCAMFAASCouldNotProcess": "exceptions",
    "UCAMFAASException": "exceptions",
    "Worker": "worker.worker",
    "WorkerResult": "worker.options",
    "batch_handler": "decorators",
    "cloud_event": "decorators",
    "cloud_event_handler": "decorators",
    "current_job": "job_runs.current_job",
    "exponential": "tasks.backoffs",
    "get_job": "sending.by_name",
    "get_job_async": "sending.by_name",
    "http": "decorators",
    "jobs_over_http": "http_jobs.api",
    "message_handler": "decorators",
    "raw_event": "decorators",
    "send": "sending.by_name",
    "send_async": "sending.by_name",
    "transaction": "sending.transaction",
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
