"""The last stage: a decision in, the conclusion with its ExecutionInfo and log line out."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from ucam_faas.events.context import (
    CLOUD_EVENT_CONTEXT,
    EVENT_NOT_ACCEPTED,
    MESSAGE_CONTEXT,
    MESSAGE_NOT_ACCEPTED,
)
from ucam_faas.events.execution_info import (
    AbortedExecutionResult,
    CloudEventHandlerExecutionInfo,
    CompletedExecutionResult,
    ExecutionInfo,
    ExecutionResult,
    ExecutionStatus,
    MessageHandlerExecutionInfo,
)
from ucam_faas.execution import log_lines
from ucam_faas.execution.decisions import reason_of
from ucam_faas.execution.execution import Conclusion, Decision, Execution
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Done, Ignore, Outcome
from ucam_faas.tasks.task import Kind


def report(execution: Execution, decision: Decision, settled: Outcome) -> Conclusion:
    """Return the conclusion of an execution; nothing that goes wrong in here changes its outcome.

    Args:
        settled: the decision's outcome; or DeadLettered, when the message is on its topic.
    """
    result = result_of(decision, execution.elapsed_seconds())
    try:
        info = _info(execution, decision, result)
    except KeyboardInterrupt:  # for the process, not for the task
        raise
    except BaseException as error:  # a user's subclass may do anything
        log_problem("ucam_faas_report_failed", task=execution.task.name, error=error)
        info = ExecutionInfo(execution=result)
    line = log_lines.record(execution, decision, settled, info)
    return Conclusion(settled, info, decision.value, decision.error, line)


def not_run(execution: Execution, decision: Decision) -> Conclusion:
    """Return the conclusion of an execution whose job can't run now."""
    outcome, value = decision.outcome, decision.value
    info = ExecutionInfo(execution=result_of(Decision(outcome), execution.elapsed_seconds()))
    if value is not None:
        info = info.with_result(value)
    return Conclusion(outcome, info, value, line=log_lines.not_run(execution, outcome))


def _info(execution: Execution, decision: Decision, result: ExecutionResult) -> ExecutionInfo:
    """Return the function's own report, or make one."""
    own = decision.info
    if own is None:
        info = _default_info(execution, result)
        if decision.value is not None and not execution.task.returns_response:
            info = info.with_result(decision.value)
    elif own.execution.status is ExecutionStatus.ABORTED or isinstance(decision.outcome, Done):
        info = own.with_duration(result.duration_seconds or 0.0)
    else:  # it came with an exception that says otherwise
        info = own.model_copy(update={"execution": result})
    if not isinstance(info, ExecutionInfo):
        raise TypeError(f"a method of the report returned {type(info).__qualname__}")
    return info


def result_of(decision: Decision, seconds: float) -> ExecutionResult:
    """Return the result in the report of an execution."""
    if isinstance(decision.outcome, Done | Ignore):
        return CompletedExecutionResult(duration_seconds=seconds)
    return AbortedExecutionResult(
        reason=reason_of(decision.outcome), exception=decision.error, duration_seconds=seconds
    )


def _default_info(execution: Execution, result: ExecutionResult) -> ExecutionInfo:
    task, delivery = execution.task, execution.delivery
    event, message = execution.event, execution.message
    if task.create_default_info is not None:
        try:
            return copy_context().run(_custom_info, execution, result)
        except (Exception, SystemExit) as error:
            log_problem("ucam_faas_default_info_failed", error=error)
    if task.returns_response:
        return ExecutionInfo(execution=result)
    fields: dict[str, Any] = {
        "execution": result,
        "execution_id": delivery.execution_id,
        "cloudevents": delivery.attributes,
        "cloud_event_handler": event.handler if event else EVENT_NOT_ACCEPTED,
    }
    if delivery.message is None or task.kind is Kind.EVENT_DATA:
        return CloudEventHandlerExecutionInfo(**fields)
    return MessageHandlerExecutionInfo(
        **fields,
        pubsub_message=delivery.message,
        message_handler=message.handler if message else MESSAGE_NOT_ACCEPTED,
    )


def _custom_info(execution: Execution, result: ExecutionResult) -> ExecutionInfo:
    """Let the task make its report, in the contexts of the execution."""
    if execution.event is not None:
        CLOUD_EVENT_CONTEXT.set(execution.event)
    if execution.message is not None:
        MESSAGE_CONTEXT.set(execution.message)
    assert execution.task.create_default_info is not None, "asked for by the caller"
    info = execution.task.create_default_info(execution=result)
    if not isinstance(info, ExecutionInfo):
        raise TypeError(f"create_default_info returned {type(info).__qualname__}")
    return info.model_copy(update={"execution": result})  # whatever it says of the outcome
