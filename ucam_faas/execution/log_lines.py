"""An ended execution in, one log line out.

The line is made for Cloud Logging: see `logs.setup` for the form and `docs/logging.md` for the
fields. Payloads are left out unless asked for: they are personal data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from ucam_faas.events.execution_info import ExecutionInfo, ExecutionStatus
from ucam_faas.execution.execution import Decision, Execution
from ucam_faas.logs.problems import log_problem, logger, safely
from ucam_faas.logs.records import record_of
from ucam_faas.outcomes import (
    Crashed,
    Failed,
    Ignore,
    InvalidPayload,
    Outcome,
    Paused,
    Retry,
    answer,
    name,
)
from ucam_faas.tasks.task import Task

COMPLETED = "ucam_faas_function_completed"
ABORTED = "ucam_faas_function_aborted"
NOT_RUN = "ucam_faas_job_not_run"
FAILED_GRACEFULLY = "function_failed_gracefully"
FAILED_UNCAUGHT = "function_failed_uncaught_exception"


class JsonRepresentation(StrEnum):
    """The shape of an ExecutionInfo in the log."""

    NARROW_DEEP = "deep"
    """As it is: objects in objects."""
    WIDE_FLAT = "wide"
    """One level, with dotted names."""


class StructlogJsonExecutionResultLogger:
    """Logs an ExecutionInfo as one line; for `HandlerExecutionOptions(log_execution_result=…)`.

    Args:
        json_representation: the shape of the info in the line.
    """

    EVENT_NAME_ABORTED = ABORTED
    EVENT_NAME_COMPLETED = COMPLETED

    def __init__(
        self, json_representation: JsonRepresentation = JsonRepresentation.NARROW_DEEP
    ) -> None:
        self.json_representation = json_representation

    def __call__(self, execution_info: ExecutionInfo, /) -> None:
        """Log completed executions at INFO, aborted ones at ERROR."""
        result_json = self.get_result_json(execution_info)
        self.send_result_json(execution_info.execution.status, result_json)

    def get_result_json(self, execution_info: ExecutionInfo) -> dict[str, Any]:
        """Return an info's JSON, without payloads and exceptions; override it to log other fields.

        The result is the line's field `execution_info`.
        """
        fields = info_fields(
            execution_info, payloads=False, representation=self.json_representation
        )
        result_json: dict[str, Any] = fields["execution_info"]
        return result_json

    def send_result_json(
        self, execution_status: ExecutionStatus, result_json: dict[str, Any]
    ) -> None:
        """Write the line."""
        aborted = execution_status is ExecutionStatus.ABORTED
        level = logging.ERROR if aborted else logging.INFO
        event = self.EVENT_NAME_ABORTED if aborted else self.EVENT_NAME_COMPLETED
        logger.log(level, event, extra={"fields": {"execution_info": result_json}})


DEFAULT_EXECUTION_RESULT_LOGGER = StructlogJsonExecutionResultLogger()
"""Logs the reports of tasks that don't replace it."""


def record(
    execution: Execution, decision: Decision, settled: Outcome, info: ExecutionInfo
) -> logging.LogRecord | None:
    """Return the line about an ended execution, for the front door to `write`.

    None if the task logs by itself; nothing that goes wrong here reaches the caller. The line of a
    dead-lettered crash stays an error.
    """
    task, cause, error = execution.task, decision.outcome, decision.error
    custom = task.options.log_execution_result
    fields = _delivery_fields(execution, settled)
    fields["duration_seconds"] = round(info.execution.duration_seconds or 0.0, 6)
    if execution.convert is not None:
        status = getattr(decision.value, "status", None)
        if status is not None:
            fields["http_status"] = status
    try:
        if custom is not None:
            custom(info)
            return None
        fields |= info_fields(info, payloads=execution.runtime.settings.log_payloads)
    except KeyboardInterrupt:  # for the process, not for the task
        raise
    except BaseException as problem:  # a user's logger or report may do anything
        log_problem("ucam_faas_report_failed", task=task.name, error=problem)
        if custom is not None:
            return None
    level = getattr(logging, answer(settled if isinstance(settled, Paused) else cause).severity)
    if settled is not cause:  # a success that could not be stored is worse than the success
        level = max(level, getattr(logging, answer(settled).severity))
    line = _line(execution, level, _message(task, cause, error), fields)
    if line is not None:
        if isinstance(cause, Crashed) and error is not None:
            line.exc_info = (type(error), error, error.__traceback__)
        line.expected = error if isinstance(cause, (Failed, InvalidPayload)) else None
    return line


def not_run(execution: Execution, outcome: Outcome) -> logging.LogRecord | None:
    """Return the line about a job that could not run now; one wake too many isn't news."""
    is_duplicate = isinstance(outcome, Ignore) and getattr(execution.job, "is_message", False)
    is_news = is_duplicate or not isinstance(outcome, Ignore | Retry)
    severity = answer(outcome).severity if is_news else "DEBUG"
    level = getattr(logging, severity)
    fields = _delivery_fields(execution, outcome)
    if is_duplicate:  # as that of a run, since there is no other line about the message
        fields["duration_seconds"] = round(execution.elapsed_seconds(), 6)
    return _line(execution, level, NOT_RUN, fields)


def batch(
    execution: Execution, decision: Decision, ends: Mapping[str, int]
) -> logging.LogRecord | None:
    """Return the line about the run of a batch.

    Args:
        ends: how many messages ended with which outcome.
    """
    cause, error = decision.outcome, decision.error
    fields = _delivery_fields(execution, cause)
    fields["messages"] = sum(ends.values())
    fields["outcomes"] = dict(ends)
    fields["duration_seconds"] = round(execution.elapsed_seconds(), 6)
    level = getattr(logging, answer(cause).severity)
    line = _line(execution, level, _message(execution.task, cause, error), fields)
    if line is not None:
        if isinstance(cause, Crashed) and error is not None:
            line.exc_info = (type(error), error, error.__traceback__)
        line.expected = error if isinstance(cause, Failed) else None
    return line


def _line(
    execution: Execution, level: int, event: str, fields: dict[str, Any]
) -> logging.LogRecord | None:
    """Make a record: logger.log() would look for its caller, which is always here."""
    if not logger.isEnabledFor(level):
        return None
    line = record_of(level, event, fields)
    line.context = execution.log_context
    line.expected = None
    return line


def write(line: logging.LogRecord | None) -> None:
    """Log a line made before.

    Front doors call this on their event loop: threads that write take the interpreter from each
    other at every line, which costs a third of the throughput.
    """
    if line is not None:
        safely(lambda: logger.handle(line))


def info_fields(
    info: ExecutionInfo,
    *,
    payloads: bool,
    representation: JsonRepresentation = JsonRepresentation.NARROW_DEEP,
) -> dict[str, Any]:
    """Return an ExecutionInfo as log fields, in one field of their own: no name can clash."""
    exclude: Any = {"execution": {"exception"}} if payloads else _WITHOUT_PAYLOAD
    dumped = info.model_dump(mode="json", exclude=exclude)
    if representation is JsonRepresentation.WIDE_FLAT:
        flat: dict[str, Any] = {}
        for key, item in _flatten(dumped):
            flat[key if key not in flat else f"{key} (2)"] = item
        dumped = flat
    return {"execution_info": dumped}


_WITHOUT_PAYLOAD = {
    "execution": {"exception"},
    "result": True,
    "pubsub_message": {"data", "attributes", "ordering_key"},
}


def log_late(execution: Execution, outcome: Outcome) -> None:
    """Log that a function ended after its delivery had been answered."""
    extra = {"fields": _delivery_fields(execution, outcome), "context": execution.log_context}
    safely(lambda: logger.warning("ucam_faas_function_ended_late", extra=extra))


def log_rejected(outcome: Outcome, method: str, path: str) -> None:
    """Log a request that was refused before its execution."""
    severity = getattr(logging, answer(outcome).severity)
    request = f"{method[:20]} {path[:200]}"
    fields = {"outcome": name(outcome), "detail": outcome.reason or "", "request": request}
    safely(lambda: logger.log(severity, "ucam_faas_request_rejected", extra={"fields": fields}))


def _delivery_fields(execution: Execution, outcome: Outcome) -> dict[str, Any]:
    delivery, published = execution.delivery, execution.delivery.published
    fields: dict[str, Any] = {"task": execution.task.name, "outcome": name(outcome)}
    fields["execution_id"] = delivery.execution_id
    if delivery.request:
        fields["request"] = delivery.request
    if execution.job is not None:
        fields["job_id"] = execution.job.key.id
    if published is not None:
        fields["message_id"] = published.message.message_id
        fields["subscription"] = published.subscription
        fields["delivery_attempt"] = published.delivery_attempt
    if outcome.reason:
        fields["reason"] = outcome.reason
    return fields


def _message(task: Task, outcome: Outcome, error: BaseException | None) -> str:
    if answer(outcome).exit_code == 0:
        return COMPLETED
    if task.returns_response and error is not None:
        return FAILED_UNCAUGHT if isinstance(outcome, Crashed) else FAILED_GRACEFULLY
    return ABORTED


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
