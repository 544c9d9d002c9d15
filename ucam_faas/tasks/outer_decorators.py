"""Decorators above ours: `@traced` over `@raw_event`.

They get what functions-framework would pass them, the Flask request of a raw task and the
CloudEvent of the others, and run around the user's function, inside the pipeline. A task without
them never comes here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from ucam_faas.events.context import CLOUD_EVENT_CONTEXT
from ucam_faas.tasks.task import Kind, Task

TASK_FUNCTION = "__ucam_task_function__"
"""A task function's attribute that holds itself: `functools.wraps` copies it to what is above."""


@dataclass(frozen=True, slots=True)
class _Call:
    """The call under way: what the outermost decorator got, and the payload for the function."""

    function: Any
    argument: Any
    payload: Any


_CALL: ContextVar[_Call | None] = ContextVar("_CALL", default=None)


def task_function_of(value: Any) -> Any:
    """Return the task function that a value is, or that it was made of with `functools.wraps`."""
    try:
        attributes = object.__getattribute__(value, "__dict__")  # others answer to any name
    except AttributeError:
        return None
    return attributes.get(TASK_FUNCTION) if isinstance(attributes, dict) else None


def payload_for(function: Any, argument: Any) -> tuple[Any] | tuple[()]:
    """Return the user's function's payload, if decorators above handed this argument down."""
    call = _CALL.get()
    if call is None or call.function is not function or call.argument is not argument:
        return ()
    return (call.payload,)


def through(task: Task, outermost: Callable[[Any], Any]) -> Task:
    """Return the task with its function called through the decorators above ours.

    Args:
        task: a task with the user's own function.
        outermost: the callable that the decorators above made of the task function.
    """
    if task.kind is Kind.RAW:
        import flask  # noqa: F401  # there will be a request to hand to them

    def call(payload: Any) -> Any:
        argument = payload if task.batch is not None else _argument(task.kind, payload)
        _CALL.set(_Call(task.function, argument, payload))
        return outermost(argument)

    async def call_async(payload: Any) -> Any:
        return await call(payload)

    is_async = inspect.iscoroutinefunction(outermost)
    called = functools.wraps(task.function)(call_async if is_async else call)
    return replace(task, function=called)


def _argument(kind: Kind, payload: Any) -> Any:
    """Return what functions-framework would pass."""
    if kind is Kind.HTTP:
        return payload
    if kind is not Kind.RAW:
        return CLOUD_EVENT_CONTEXT.get().cloud_event
    import flask

    if flask.has_request_context():
        return flask.request._get_current_object()  # type: ignore[attr-defined]
    return flask.Flask("ucam_faas").test_request_context(method="POST", data=payload).request
