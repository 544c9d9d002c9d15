"""Lambdas and callable objects as tasks: they have no name until a module binds one to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

UNNAMED = "unnamed"
"""The name of a task until its module is loaded."""
TAKE_NAME = "__ucam_take_name__"
"""A task function's attribute that names its task; only unnamed ones have it."""


def is_unnamed(function: Any) -> bool:
    """Return True for a lambda, and for an object with `__call__`: an instance or a partial."""
    if inspect.isfunction(function):
        return function.__name__ == "<lambda>"
    is_object = callable(function) and not isinstance(function, type)
    return is_object and not inspect.isroutine(function)


def as_function(function: Any) -> Callable[..., Any]:
    """Return a function that calls a lambda or a callable object."""
    call = function if inspect.isfunction(function) else type(function).__call__

    def called(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    async def called_async(*arguments: Any, **named: Any) -> Any:
        return await function(*arguments, **named)

    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    made: Any = called_async if is_async else called
    made.__signature__ = inspect.signature(function)
    made.__name__ = made.__qualname__ = UNNAMED
    made.__module__ = getattr(function, "__module__", None) or "__main__"
    described = function if inspect.isfunction(function) else type(function)
    made.__doc__ = described.__doc__
    return cast("Callable[..., Any]", made)


def take_name(task_function: Any, name: str) -> None:
    """Name the task of a task function after what it is bound to, if it has no name yet."""
    take = vars(task_function).pop(TAKE_NAME, None)
    if take is not None:
        take(name)
