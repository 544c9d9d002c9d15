"""The report of one execution, as users read it, extend it and find it in the log.

Subclass `CloudEventHandlerExecutionInfo` or `MessageHandlerExecutionInfo` to report more: the
fields that describe the event are filled in from the context of the running execution.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from ucam_faas.events.context import (
    CLOUD_EVENT_CONTEXT,
    MESSAGE_CONTEXT,
    CloudEventAttributes,
    CloudEventHandlerAttributes,
    MessageHandlerAttributes,
)
from ucam_faas.events.messages import PubsubMessage


class ExecutionStatus(StrEnum):
    """How an execution ended."""

    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"


class AbortedExecutionReason(StrEnum):
    """Why an execution was aborted, where this package decided; tasks may use strings of theirs."""

    FUNCTION_ABORTED = "ucam_faas.function-aborted"
    CLOUD_EVENT_TYPE_INCORRECT = "ucam_faas.cloud-event-type-incorrect"
    SERVICE_DATA_INVALID = "ucam_faas.service-data-invalid"
    USER_DATA_INVALID = "ucam_faas.user-data-invalid"


def _to_text(exception: BaseException | str) -> str:
    if isinstance(exception, str):
        return exception
    return "".join(traceback.format_exception(exception))


SerialisableException = Annotated[
    BaseException | str, PlainSerializer(_to_text, return_type=str, when_used="json")
]
"""An exception, whose JSON is its traceback; or text that is already one."""


@dataclass(slots=True)
class CompletedExecutionResult:
    """The execution ran to its end."""

    status: Literal[ExecutionStatus.COMPLETED] = ExecutionStatus.COMPLETED
    duration_seconds: float | None = None


@dataclass(slots=True)
class AbortedExecutionResult:
    """The execution was aborted, by the task or before it began."""

    reason: AbortedExecutionReason | str = AbortedExecutionReason.FUNCTION_ABORTED
    status: Literal[ExecutionStatus.ABORTED] = ExecutionStatus.ABORTED
    exception: SerialisableException | None = None
    duration_seconds: float | None = None


ExecutionResult = CompletedExecutionResult | AbortedExecutionResult
"""How an execution ended, in its report."""


class ExecutionInfo(BaseModel):
    """The report of one execution; extra fields are kept, and fields may have any type.

    >>> ExecutionInfo(deleted=3).model_dump(mode="json")
    {'execution': {'status': 'COMPLETED', 'duration_seconds': None}, 'deleted': 3}
    """

    model_config = ConfigDict(extra="allow", ser_json_bytes="base64", arbitrary_types_allowed=True)

    execution: ExecutionResult = Field(
        default_factory=CompletedExecutionResult, discriminator="status"
    )

    if TYPE_CHECKING:

        @property
        def result(self) -> Any:
            """The task's result, if it was a JSON value; otherwise the field is missing."""

    else:

        def __getattr__(self, name: str) -> Any:
            """Say why there is no result, for tests that expect one."""
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name != "result":
                    raise
                execution = self.execution
            if execution.status == ExecutionStatus.COMPLETED:
                raise AttributeError("no result: the task returned None, or a report of its own")
            cause = execution.exception
            why = execution.reason if cause is None else f"{execution.reason}: {cause!r}"
            text = f"no result: the execution was aborted ({why})"
            raise AttributeError(text) from (cause if isinstance(cause, BaseException) else None)

    @classmethod
    def from_context(cls, *, execution: ExecutionResult) -> Self:
        """Make a report of the running execution; for `create_default_info=MyInfo.from_context`."""
        return cls(execution=execution)

    def with_duration(self, seconds: float) -> ExecutionInfo:
        """Return a copy that says how long the execution took."""
        execution = replace(self.execution, duration_seconds=seconds)
        return self.model_copy(update={"execution": execution})

    def with_result(self, result: Any) -> ExecutionInfo:
        """Return a copy that holds the task's return value as `result`."""
        return self.model_copy(update={"result": result})


class CloudEventHandlerExecutionInfo(ExecutionInfo):
    """The report of a task that handled a CloudEvent."""

    execution_id: str | None = Field(default_factory=lambda: _from_cloud_event("execution_id"))
    cloudevents: CloudEventAttributes | None = Field(
        default_factory=lambda: _from_cloud_event("attributes")
    )
    cloud_event_handler: CloudEventHandlerAttributes = Field(
        default_factory=lambda: _from_cloud_event("handler") or CloudEventHandlerAttributes()
    )


class MessageHandlerExecutionInfo(CloudEventHandlerExecutionInfo):
    """The report of a task that handled a Pub/Sub message."""

    pubsub_message: PubsubMessage | None = Field(
        default_factory=lambda: _from_message("pubsub_message")
    )
    message_handler: MessageHandlerAttributes = Field(
        default_factory=lambda: _from_message("handler") or MessageHandlerAttributes()
    )


def _from_cloud_event(name: str) -> Any:
    return getattr(CLOUD_EVENT_CONTEXT.get(None), name, None)


def _from_message(name: str) -> Any:
    return getattr(MESSAGE_CONTEXT.get(None), name, None)
