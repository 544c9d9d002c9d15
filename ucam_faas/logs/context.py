"""The execution that log lines belong to, held in a ContextVar."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogContext:
    """The fields on every log line of a running execution."""

    task: str
    execution_id: str
    trace: str | None = None
    span_id: str | None = None
    sampled: bool | None = None


LOG_CONTEXT: ContextVar[LogContext | None] = ContextVar("LOG_CONTEXT", default=None)
