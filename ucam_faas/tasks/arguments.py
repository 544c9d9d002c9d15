"""How a task's function is called: with its payload, or without an argument."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError


def takes_nothing(function: Callable[..., Any]) -> bool:
    """Return True if a function can be called without an argument, and not with one.

    >>> takes_nothing(lambda: None), takes_nothing(lambda payload=None: None)
    (True, False)
    """
    signature = inspect.signature(function)
    return _binds(signature) and not _binds(signature, None)


def _binds(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def check_takes_payload(function: Callable[..., Any]) -> None:
    """Refuse a function that needs more than a payload.

    Raises:
        TaskDefinitionError: with its signature.
    """
    signature = inspect.signature(function)
    if not _binds(signature) and not _binds(signature, None):
        name = getattr(function, "__name__", type(function).__name__)
        raise TaskDefinitionError(
            f"{name}{signature} cannot be a task: it is called with one argument, the payload, or "
            "with none. A further parameter needs a marker: `Annotated[…, ucam_faas.Depends(…)]`, "
            "or `Annotated[…, ucam_faas.Attribute()]`."
        )


def of_payload(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function of a payload that calls a task's function, which may take none."""
    if not takes_nothing(function):
        return function

    def call(payload: Any) -> Any:
        return function()

    async def call_async(payload: Any) -> Any:
        return await function()

    is_async = inspect.iscoroutinefunction(function)
    return functools.wraps(function)(call_async if is_async else call)
