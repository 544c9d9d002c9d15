"""A log line in Cloud Logging's form in; its parts as a history keeps them out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ENDS = {
    "ucam_faas_function_completed",
    "ucam_faas_function_aborted",
    "function_failed_gracefully",
    "function_failed_uncaught_exception",
}
"""The messages of lines that say how an execution ended; `execution.log_lines` makes them."""
NOT_RUN = "ucam_faas_job_not_run"
RUN = "ucam_faas_run"
"""The field in which a session's process names the delivery of any line."""
LABELS = "logging.googleapis.com/labels"
_PLACED = {
    *("severity", "message", "time", "task", "outcome", "execution_id", "job_id", "message_id"),
    *("subscription", "delivery_attempt", "reason", "duration_seconds", "stack_trace", "@type"),
    *("serviceContext", "execution_info", LABELS, RUN, "request"),
}
"""Fields of an end's line that a run has, or that say nothing new."""
_USUAL = {
    "execution", "execution_id", "cloudevents", "cloud_event_handler", "pubsub_message",
    "message_handler",
}  # fmt: skip
"""Fields of an execution's report that are in its run, or in its message."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line; texts that it doesn't have are empty."""

    time: float
    severity: str
    message: str
    task: str
    execution_id: str
    message_id: str
    subscription: str
    job_id: str
    attempt: int
    is_of_a_wake: bool
    fields: dict[str, Any]
    traceback: str
    is_end: bool
    outcome: str = ""
    reason: str = ""
    error_type: str = ""
    duration_seconds: float = 0.0

    @property
    def began(self) -> float:
        """When the execution began; or a time at which it ran."""
        return self.time - self.duration_seconds

    @property
    def is_failure(self) -> bool:
        """An execution has failed."""
        return self.is_end and self.message != "ucam_faas_function_completed"

    @property
    def is_worth_keeping(self) -> bool:
        """It says more than its run does."""
        return not self.is_end or bool(self.fields or self.traceback)

    @property
    def makes_a_run(self) -> bool:
        """An execution that no push began has this line."""
        return self.message != NOT_RUN


def read(line: bytes) -> LogLine | None:
    """Return the parts of a line; None: it isn't one."""
    try:
        document = json.loads(line)
        time = datetime.fromisoformat(document["time"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return None
    labels = document.get(LABELS) or {}
    run = document.get(RUN) or {}
    message = str(document.get("message", ""))
    is_end = message in ENDS and "outcome" in document and "logger" not in document
    source = {**run, **document} if is_end or message == NOT_RUN else {**document, **labels, **run}
    traceback = str(document.get("stack_trace", ""))
    placed = _PLACED if is_end else {"severity", "message", "time", "stack_trace", LABELS, RUN}
    fields = {name: value for name, value in document.items() if name not in placed}
    ended: dict[str, Any] = {}
    if is_end:
        report = document.get("execution_info")
        if isinstance(report, dict):
            fields |= {name: value for name, value in report.items() if name not in _USUAL}
        error = str(document.get("error", ""))
        ended = {
            "outcome": str(document["outcome"]),
            "reason": str(document.get("reason") or error or _last_line(traceback)),
            "error_type": (error or _last_line(traceback)).partition(":")[0],
            "duration_seconds": _number(document.get("duration_seconds")),
        }
    return LogLine(
        time=time,
        severity=str(document.get("severity", "")),
        message=message,
        task=_text(source, "task"),
        execution_id=_text(source, "execution_id"),
        message_id=_text(source, "message_id"),
        subscription=_text(source, "subscription").rpartition("/")[2],
        job_id=_text(source, "job_id"),
        attempt=int(_number(source.get("delivery_attempt"))),
        is_of_a_wake=bool(run.get("is_wake")),
        fields=fields,
        traceback=traceback,
        is_end=is_end,
        **ended,
    )


def _text(source: dict[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _last_line(traceback: str) -> str:
    """Return the line of a traceback that names the exception."""
    lines = [line for line in traceback.splitlines() if line and not line.startswith((" ", "\t"))]
    return lines[-1] if lines else ""
