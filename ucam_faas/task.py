"""A task: a decorated function, how its payload is made, and its policy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.execution_info import ExecutionInfo
from ucam_faas.policies import Policy
from ucam_faas.triggers import Trigger

ExecutionResultLoggerFn = Callable[[ExecutionInfo], None]
CreateExecutionResultHttpResponseFn = Callable[[ExecutionInfo], Any]
"""Returns any Flask response value."""


class Kind(StrEnum):
    """What a task's function takes."""

    RAW = "raw event"
    CLOUD_EVENT = "CloudEvent"
    EVENT_DATA = "CloudEvent data"
    MESSAGE = "message"
    HTTP = "HTTP request"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerExecutionOptions:
    """Replacements for what happens after an execution.

    Args:
        log_execution_result: gets the ExecutionInfo instead of the log line of this package.
        make_http_response: makes the HTTP response of a completed or aborted execution.
    """

    log_execution_result: ExecutionResultLoggerFn | None = None
    make_http_response: CreateExecutionResultHttpResponseFn | None = None

    def __post_init__(self) -> None:
        for name in ("log_execution_result", "make_http_response"):
            check_function(name, getattr(self, name), "(ExecutionInfo) -> …")


def check_function(name: str, value: Any, signature: str) -> None:
    """Refuse what is neither a function nor None.

    Raises:
        TaskDefinitionError: with what was found.
    """
    if value is not None and not callable(value):
        raise TaskDefinitionError(f"{name}={value!r}: expected a function {signature}, or None.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A decorated function and what is known of it. Two are never equal."""

    name: str
    module: str
    kind: Kind
    function: Callable[..., Any]
    parse: Callable[[Any], Any] | None = None
    """From message data (MESSAGE) or a CloudEvent (EVENT_DATA) to the payload."""
    message_type: Any = None
    module_spec: Any = None
    """Another object each time that the module is executed: told apart, reloads are no clashes."""
    trigger: Trigger | None = None
    """None: requests to its path only, as for HTTP tasks."""
    policy: Policy = field(default_factory=Policy)
    create_default_info: Callable[..., ExecutionInfo] | None = None
    options: HandlerExecutionOptions = field(default_factory=HandlerExecutionOptions)
    path: str | None = None
    """Of an HTTP task: the route, in Flask's syntax."""
    methods: tuple[str, ...] = ("POST",)

    is_async: bool = field(init=False)
    """The function is a coroutine function."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))

    @property
    def returns_response(self) -> bool:
        """What the function returns is the HTTP response."""
        return self.kind in (Kind.RAW, Kind.CLOUD_EVENT, Kind.HTTP)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]
