"""The stage before the function: sets the contexts, and makes the payload of the delivery."""

from __future__ import annotations

from typing import Any

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from ucam_faas.events.context import (
    CLOUD_EVENT_CONTEXT,
    EVENT_ACCEPTED,
    MESSAGE_ACCEPTED,
    MESSAGE_CONTEXT,
    CloudEventHandlerContext,
    MessageHandlerContext,
)
from ucam_faas.events.model_errors import describe_error, is_about_data
from ucam_faas.exceptions import ExecutionAbortedException
from ucam_faas.execution import hops
from ucam_faas.execution.dead_letters import refuse_used_up
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.lanes import LANE
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.outcomes import InvalidPayload, RaisedOutcome
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Kind

_NOT_ABOUT_DATA = (
    *(RaisedOutcome, ExecutionAbortedException, MemoryError, OSError),
    *(PydanticUserError, PydanticUndefinedAnnotation),  # faults of the model, not of its input
)
"""Exceptions of parsers that aren't a verdict on the data, or carry their own."""


def prepare(execution: Execution) -> Any:
    """Set the contexts of an execution, and return the payload that its task's parser makes.

    Raises:
        Refused: the delivery isn't one for this task, or its parser rejects it.
        DeadLetter: it came through too many tasks, or is a replay without an attempt left.
        Exception: the parser failed for another reason than the data.
    """
    delivery, task = execution.delivery, execution.task
    LOG_CONTEXT.set(execution.log_context)
    CURRENT.set(execution.runtime)
    LANE.set(execution.lane if task.propagate_lane else DEFAULT_LANE)
    if delivery.attributes is not None:
        execution.event = CloudEventHandlerContext(
            delivery.attributes, delivery.cloud_event, delivery.execution_id
        )
        CLOUD_EVENT_CONTEXT.set(execution.event)
    payload: Any = None
    try:
        if task.kind is Kind.MESSAGE:
            payload = _read_message(execution)
        elif task.kind is Kind.RAW:
            payload = delivery.body
        elif task.kind is not Kind.HTTP:
            payload = _read_event(execution)
    except (Exception, SystemExit) as error:
        if isinstance(error, _NOT_ABOUT_DATA) and not is_about_data(error):
            raise
        raise InvalidPayload(describe_error(error)) from error
    hops.enter(execution.delivery.message, execution.runtime.settings.max_hops)
    refuse_used_up(execution)
    return payload


def accept(execution: Execution) -> None:
    """Note that the payload is accepted."""
    if execution.event is not None:
        execution.event.handler = EVENT_ACCEPTED


def _read_event(execution: Execution) -> Any:
    if not execution.makes_payload:
        return None
    event, parse = execution.delivery.cloud_event(), execution.task.parse
    return event if parse is None else parse(event)


def _read_message(execution: Execution) -> Any:
    if execution.delivery.published is None:
        execution.delivery = execution.delivery.with_message()
    published, parse = execution.delivery.published, execution.task.parse
    assert published is not None, "it was just read"
    context = MessageHandlerContext(
        published.message, published.subscription, published.delivery_attempt
    )
    execution.message = context
    MESSAGE_CONTEXT.set(context)
    accept(execution)  # the event, whatever its payload is
    if not execution.makes_payload:
        return None
    data = published.message.data
    payload = data if parse is None else parse(data)
    context.handler = MESSAGE_ACCEPTED
    return payload
