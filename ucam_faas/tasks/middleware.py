"""Middleware: functions around a task's function, each with the delivery and the next call.

They are composed when the task is made: a delivery costs the calls alone, and a task without
middleware never imports this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ucam_faas.events.context import attributes_of, contexts_of
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.tasks.defer import name_of

if TYPE_CHECKING:
    from ucam_faas.events.context import CloudEventHandlerContext, MessageHandlerContext
    from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True)
class TaskDelivery:
    """A delivery to a task, with its payload.

    `call_next(dataclasses.replace(delivery, payload=…))` calls the function with another payload.
    """

    task: Task
    payload: Any
    """The argument of the task's function; of an HTTP task, the Flask request."""
    execution_id: str
    """As on the lines of the log."""
    message: MessageHandlerContext | None = None
    """The Pub/Sub message, its subscription and attempt; None: the task isn't a message handler."""
    event: CloudEventHandlerContext | None = None
    """The CloudEvent; None: the task gets bytes or requests."""

    @property
    def id(self) -> str:
        """The id of the message or of the CloudEvent; the execution's, if it is neither."""
        if self.message is not None:
            return self.message.pubsub_message.message_id
        return self.event.attributes.event_id if self.event is not None else self.execution_id

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the message or of the CloudEvent; none, if it is neither."""
        return attributes_of(self.message, self.event)


CallNext = Callable[[TaskDelivery], Any]
"""Calls the next middleware, or the task's function; in async middleware, await its value."""

_Layer = Callable[[TaskDelivery, CallNext], Any]
Middleware = _Layer | tuple[_Layer, _Layer]
"""A function around others; or a pair of a sync one and an async one."""


def check_middleware(value: Any) -> None:
    """Refuse a value that can't be middleware.

    Raises:
        TaskDefinitionError: it is neither a function of two arguments nor a pair of them.
    """
    functions = value if isinstance(value, tuple) else (value,)
    is_right = len(functions) in (1, 2) and all(map(_takes_two, functions))
    if is_right and len(functions) == 2:
        is_right = [_is_async(function) for function in functions] == [False, True]
    if not is_right:
        shown = ", ".join(name_of(each) if callable(each) else repr(each) for each in functions)
        raise TaskDefinitionError(
            f"middleware={shown}: expected a function (delivery, call_next), or a pair of them: "
            "(def …, async def …), the first for sync tasks and the second for async ones."
        )


def _takes_two(function: Any) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return not inspect.isgeneratorfunction(function) and not inspect.isasyncgenfunction(function)


def _is_async(function: Any) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004  # of an object, it may be async
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def around(task: Task) -> Callable[[Any], Any]:
    """Return a task's function in its middleware, the first outermost.

    Raises:
        TaskDefinitionError: one is async and the task isn't, or the other way round.
    """
    function = task.function
    contexts = partial(
        contexts_of, takes_messages=task.takes_messages, takes_events=task.takes_events
    )

    def call_next(delivery: TaskDelivery) -> Any:  # its name is in the error of a call without it
        return function(delivery.payload)

    call: CallNext = call_next
    for layer in reversed(task.middleware):
        call = _wrapped(_of(task, layer), call)

    def of_payload(payload: Any) -> Any:
        context = LOG_CONTEXT.get()
        execution_id = context.execution_id if context is not None else ""
        return call(TaskDelivery(task, payload, execution_id, *contexts()))

    return of_payload


def _wrapped(layer: _Layer, following: CallNext) -> CallNext:
    def call_next(delivery: TaskDelivery) -> Any:
        return layer(delivery, following)

    return call_next


def _of(task: Task, layer: Middleware) -> _Layer:
    """Return the function for a sync or an async task."""
    function = layer[task.is_async] if isinstance(layer, tuple) else layer
    if _is_async(function) is task.is_async:
        return function
    name, (has, needs) = name_of(function), ("async def", "def")
    if task.is_async:
        has, needs = needs, has
    raise TaskDefinitionError(
        f"The middleware {name} is `{has}`, and the task {task.name!r} is `{needs}`. Middleware "
        "runs where the function does: in its thread, or on the event loop. For tasks of both "
        "kinds, write middleware=[(one_sync, one_async)]: a pair of functions."
    )
