"""An ended execution in, one log line out.

The line is made for Cloud Logging: see `_logging` for the form and `docs/logging.md` for the
fields. Payloads are left out unless asked for: they are personal data.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.events.envelopes import Envelope
from ucam_faas.events.execution_info import ExecutionInfo, ExecutionStatus
from ucam_faas.logs.context import LogContext
from ucam_faas.outcomes import Crashed, Failed, InvalidPayload, Outcome, answer, name
from ucam_faas.tasks.task import Kind, Task

logger = logging.getLogger("ucam_faas")

COMPLETED = "ucam_faas_function_completed"
ABORTED = "ucam_faas_function_aborted"
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
        """Log at INFO what completed, and at ERROR what was aborted."""
        result_json = self.get_result_json(execution_info)
        self.send_result_json(execution_info.execution.status, result_json)

    def get_result_json(self, execution_info: ExecutionInfo) -> dict[str, Any]:
        """Return an info's JSON, without payloads and exceptions; override it to log other fields.

        What it returns is the line's field `execution_info`.
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


@dataclass(frozen=True, slots=True)
class Subject:
    """What a line is about."""

    task: Task
    envelope: Envelope
    settings: Settings
    context: LogContext


def log_context(task: Task, envelope: Envelope, settings: Settings) -> LogContext:
    """Return what every line of an execution carries."""
    trace, project = envelope.trace, settings.project
    if trace is None:
        return LogContext(task.name, envelope.execution_id)
    path = f"projects/{project}/traces/{trace.trace_id}" if project else trace.trace_id
    return LogContext(task.name, envelope.execution_id, path, trace.span_id, trace.sampled)


def record(
    subject: Subject,
    outcome: Outcome,
    info: ExecutionInfo,
    error: BaseException | None,
    http_status: int | None = None,
    cause: Outcome | None = None,
) -> logging.LogRecord | None:
    """Return the line about an ended execution, for the front door to `write`.

    None if the task logs by itself; nothing that goes wrong here reaches the caller.

    Args:
        cause: the outcome before the message was dead-lettered: a crash stays an error.
    """
    cause = cause or outcome
    task = subject.task
    custom = task.options.log_execution_result
    fields = _delivery_fields(subject, outcome)
    fields["duration_seconds"] = round(info.execution.duration_seconds or 0.0, 6)
    if http_status is not None:
        fields["http_status"] = http_status
    try:
        if custom is not None:
            custom(info)
            return None
        fields |= info_fields(info, payloads=subject.settings.log_payloads)
    except (Exception, SystemExit) as problem:
        log_problem("ucam_faas_report_failed", task=task.name, error=problem)
        if custom is not None:
            return None
    level = getattr(logging, answer(cause).severity)
    if not logger.isEnabledFor(level):
        return None
    # A record made by hand: logger.log() would look for its caller, which is always here.
    unexpected = error if isinstance(cause, Crashed) else None
    trace = (type(unexpected), unexpected, unexpected.__traceback__) if unexpected else None
    line = logging.LogRecord(
        logger.name, level, __file__, 0, _message(task, cause, error), None, trace
    )
    line.fields = fields
    line.context = subject.context
    line.expected = error if isinstance(cause, (Failed, InvalidPayload)) else None
    return line


def write(line: logging.LogRecord | None) -> None:
    """Log a line made before.

    Front doors call this on their event loop: threads that write take the interpreter from each
    other at every line, which costs a third of the throughput.
    """
    if line is not None:
        _safely(lambda: logger.handle(line))


def info_fields(
    info: ExecutionInfo,
    *,
    payloads: bool,
    representation: JsonRepresentation = JsonRepresentation.NARROW_DEEP,
) -> dict[str, Any]:
    """Return an ExecutionInfo as log fields, in one field of their own: no name can clash."""
    exclude: Any = {"execution": {"exception"}} if payloads else _WITHOUT_PAYLOAD
    found = info.model_dump(mode="json", exclude=exclude)
    if representation is JsonRepresentation.WIDE_FLAT:
        flat: dict[str, Any] = {}
        for key, item in _flatten(found):
            flat[key if key not in flat else f"{key} (2)"] = item
        found = flat
    return {"execution_info": found}


_WITHOUT_PAYLOAD = {
    "execution": {"exception"},
    "result": True,
    "pubsub_message": {"data", "attributes", "ordering_key"},
}


def log_late(subject: Subject, outcome: Outcome) -> None:
    """Log that a function ended after its delivery had been answered."""
    extra = {"fields": _delivery_fields(subject, outcome), "context": subject.context}
    _safely(lambda: logger.warning("ucam_faas_function_ended_late", extra=extra))


def log_problem(message: str, *, error: BaseException | None = None, **fields: Any) -> None:
    """Log something that went wrong around an execution and changed nothing of its outcome."""
    _safely(lambda: logger.error(message, exc_info=error, extra={"fields": fields}))


def log_loop_problem(loop: object, context: dict[str, Any]) -> None:
    """Log what an event loop reports, without the words of exceptions that asyncio would log."""
    error = context.get("exception")
    log_problem("ucam_faas_background_task_failed", error=error, what=type(loop).__qualname__)


def _safely(log: Callable[[], None]) -> None:
    """Log; a user's handler or filter that raises must not keep a delivery from its answer."""
    try:
        log()
    except Exception as error:
        sys.stderr.write(f"ucam_faas: a log handler raised {type(error).__qualname__}\n")


def log_rejected(outcome: Outcome, method: str, path: str, detail: str) -> None:
    """Log a request that came to no execution."""
    severity = getattr(logging, answer(outcome).severity)
    request = f"{method[:20]} {path[:200]}"
    extra = {"fields": {"outcome": name(outcome), "detail": detail, "request": request}}
    _safely(lambda: logger.log(severity, "ucam_faas_request_rejected", extra=extra))


def log_foreign(path: str, detail: str) -> None:
    """Log a request that a web page of elsewhere made a browser send."""
    extra = {"fields": {"detail": detail, "path": path[:200]}}
    _safely(lambda: logger.warning("ucam_faas_cross_site_request_refused", extra=extra))


def _delivery_fields(subject: Subject, outcome: Outcome) -> dict[str, Any]:
    envelope = subject.envelope
    fields: dict[str, Any] = {"task": subject.task.name, "outcome": name(outcome)}
    fields["execution_id"] = envelope.execution_id
    if envelope.request:
        fields["request"] = envelope.request
    if envelope.message is not None:
        fields["message_id"] = envelope.message.message_id
        fields["subscription"] = envelope.subscription
        fields["delivery_attempt"] = envelope.delivery_attempt
    if outcome.reason:
        fields["reason"] = outcome.reason
    return fields


def _message(task: Task, outcome: Outcome, error: BaseException | None) -> str:
    if answer(outcome).exit_code == 0:
        return COMPLETED
    if task.kind in (Kind.RAW, Kind.CLOUD_EVENT, Kind.HTTP) and error is not None:
        return FAILED_UNCAUGHT if isinstance(outcome, Crashed) else FAILED_GRACEFULLY
    return ABORTED


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
