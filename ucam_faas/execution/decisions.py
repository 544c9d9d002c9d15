"""The stage after the function: its return value or its exception in, a decision out."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable
from types import CoroutineType, TracebackType
from typing import Any

from pydantic_core import to_jsonable_python

from ucam_faas.events.execution_info import AbortedExecutionReason, ExecutionInfo, ExecutionStatus
from ucam_faas.exceptions import ExecutionAbortedException, UCAMFAASException
from ucam_faas.execution.execution import Decision, Execution, SleepSignal, Unclaimed
from ucam_faas.execution.fingerprints import Fault, fault_of
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import (
    Crashed,
    DeadLetter,
    Done,
    Failed,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    RaisedOutcome,
    Refused,
    Retry,
    WrongEventType,
    name,
)
from ucam_faas.tasks.task import Kind, Task

_DONE = Done()
_OWN = tuple(
    f"ucam_faas.{room}." for room in ("execution", "sending", "job_runs", "serving", "tasks")
)
"""The rooms whose frames may be around a task's function."""


def refusal(execution: Execution, payload: Any) -> Decision | None:
    """Return the decision that a parser returned in place of a payload, if it did."""
    if not isinstance(payload, (RaisedOutcome, ExecutionInfo, CoroutineType)):
        return None
    if inspect.iscoroutine(payload):
        payload.close()
        error = TypeError("the parser returned a coroutine: expected a sync function")
        return Decision(Crashed(), error=error)
    if isinstance(payload, ExecutionInfo) and execution.task.kind is not Kind.EVENT_DATA:
        return None  # of messages, it is the payload
    return decide(execution, payload)


def decide(execution: Execution, value: Any) -> Decision:
    """Return the decision on a function's return value."""
    task = execution.task
    if isinstance(value, type) and issubclass(value, RaisedOutcome):
        value = value()  # `return Retry`, as `raise Retry` would
    if isinstance(value, RaisedOutcome):
        return Decision(value)
    if inspect.iscoroutine(value) and not task.is_async:
        # A sync wrapper of an async function: this is its thread.
        return decide(execution, asyncio.run(value))
    if value is not None and isinstance(value, Awaitable):
        return _not_awaited(task.name, value)
    if execution.decide is not None:
        return execution.decide(value)
    if isinstance(value, ExecutionInfo):
        result = value.execution
        if result.status is ExecutionStatus.COMPLETED:
            return Decision(_DONE, info=value)
        cause = result.exception if isinstance(result.exception, BaseException) else None
        return Decision(_failure(str(result.reason)), value, cause, value)
    if execution.convert is not None:
        return Decision(_DONE, execution.convert(value))
    if execution.job is not None:
        return _of_job(value)
    if value is not None and not task.returns_response and not _is_json(value):
        log_problem("ucam_faas_result_is_not_json", type=type(value).__qualname__)
        value = None
    return Decision(_DONE, value)


def _not_awaited(task: str, value: Awaitable[Any]) -> Decision:
    """Fail, and log a hint: the text of the error is not logged by default."""
    if inspect.iscoroutine(value):
        value.close()
    kind, hint = type(value).__qualname__, "write `return await …` in an `async def`"
    log_problem("ucam_faas_result_was_not_awaited", type=kind, hint=hint)
    return Decision(Crashed(), error=TypeError(f"{task} returned a {kind}: {hint}"))


def decide_error(execution: Execution, error: BaseException) -> Decision:
    """Return the decision on an exception of the function, or of its preparation."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # asyncio.TaskGroup wraps the exception of its one task
    if isinstance(error, Unclaimed):
        return Decision(error.outcome, error.value, error)
    signal = _signal(error)
    if signal is not None:
        return Decision(signal.outcome)
    if isinstance(error, Refused) and not execution.is_started:
        cause = error.__cause__ if isinstance(error, InvalidPayload) else None
        return Decision(error.with_traceback(None), error=cause or error)
    if isinstance(error, RaisedOutcome) and not isinstance(error, Refused):
        decision = Decision(error, error=error)
        made = fault(execution.task, decision) if isinstance(error, DeadLetter | Retry) else None
        return Decision(error.with_traceback(None), fault=made)  # frames would hold on to the run
    trace = error.__traceback__
    error = error.with_traceback(_of_user(trace) or trace)
    if isinstance(error, ExecutionAbortedException):
        info = error.execution_info if isinstance(error.execution_info, ExecutionInfo) else None
        return Decision(_failure(_reason(info)), error=error, info=info)
    outcome = Failed() if isinstance(error, UCAMFAASException) else Crashed()
    return Decision(outcome, error=error)


def fault(task: Task, decision: Decision) -> Fault:
    """Return the fault of a failed execution."""
    if decision.fault is not None:
        return decision.fault
    outcome, error = decision.outcome, decision.error
    try:
        return fault_of(task.name, outcome, error, root=task.package)
    except Exception:  # whatever a user's class does when it is looked at
        return Fault(task.name, name(outcome))


def _signal(error: BaseException) -> SleepSignal | None:
    """Return the signal of a job that sleeps; the first of a task group in which several do."""
    if isinstance(error, BaseExceptionGroup):
        signals = [_signal(each) for each in error.exceptions]
        sleeping = [signal for signal in signals if signal is not None]
        if len(sleeping) < len(signals):
            return None
        return min(sleeping, key=lambda signal: signal.outcome.seconds)
    return error if isinstance(error, SleepSignal) else None


REASONS: dict[type, AbortedExecutionReason] = {
    WrongEventType: AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT,
    MalformedEvent: AbortedExecutionReason.SERVICE_DATA_INVALID,
    InvalidPayload: AbortedExecutionReason.USER_DATA_INVALID,
}
"""The reason in the report of an execution that was aborted with one of these outcomes."""


def reason_of(outcome: Outcome) -> AbortedExecutionReason:
    """Return the reason in a report; a subclass of an outcome has its base's."""
    reasons = (REASONS[kind] for kind in type(outcome).__mro__ if kind in REASONS)
    return next(reasons, AbortedExecutionReason.FUNCTION_ABORTED)


def _failure(reason: str | None) -> Outcome:
    """Return the outcome of an aborted run: one of the package's reasons decides it."""
    for kind, own in REASONS.items():
        if reason == own:
            outcome: Outcome = kind(reason)
            return outcome
    return Failed(reason)


def _reason(info: ExecutionInfo | None) -> str | None:
    if info is None or info.execution.status is not ExecutionStatus.ABORTED:
        return None
    return str(info.execution.reason)


def _of_user(trace: TracebackType | None) -> TracebackType | None:
    """Skip the package's frames, which call the function: a traceback begins in user code."""
    while trace is not None and _is_own(trace.tb_frame.f_globals.get("__name__", "")):
        trace = trace.tb_next
    return trace


def _is_own(module: str) -> bool:
    return module.startswith(_OWN)


def _of_job(value: Any) -> Decision:
    """Return the decision on a job's result: with the value as JSON has it, if it does.

    The work is done: a result that can't be stored doesn't undo it.
    """
    try:
        return Decision(_DONE, to_jsonable_python(value, fallback=of_msgspec))
    except Exception:  # whatever a user's value does when it is looked at
        kind = type(value).__qualname__
        log_problem("ucam_faas_result_is_not_json", type=kind)
        return Decision(_DONE, unstored=f"the task's return value, of type {kind}, isn't JSON")


def of_msgspec(value: Any) -> Any:
    """Return a msgspec.Struct as JSON has it.

    Raises:
        TypeError: it is another value.
    """
    if not hasattr(type(value), "__struct_fields__"):
        raise TypeError("it isn't JSON")
    return sys.modules["msgspec"].to_builtins(value)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except Exception:  # whatever a user's value does when it is looked at
        return False
    return True
