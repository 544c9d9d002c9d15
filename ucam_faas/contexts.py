"""Values of the running execution as defaults of an ExecutionInfo's fields.

>>> from pydantic import Field
>>> from ucam_faas import MESSAGE_CONTEXT, MessageHandlerExecutionInfo
>>> class CleanUpInfo(MessageHandlerExecutionInfo):
...     tenant: str = Field(
...         default_factory=contextual_default_factory(
...             MESSAGE_CONTEXT,
...             fn=lambda context: context.pubsub_message.attributes["tenant"],
...             default_fn=lambda _: "unknown",
...         )
...     )
>>> CleanUpInfo().tenant
'unknown'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, overload

ValueT = TypeVar("ValueT")
FieldT = TypeVar("FieldT")
DefaultT = TypeVar("DefaultT")


@overload
def contextual_default_factory(contextvar: ContextVar[ValueT], /) -> Callable[[], ValueT]: ...
@overload
def contextual_default_factory(
    contextvar: ContextVar[ValueT], /, *, fn: Callable[[ValueT], FieldT]
) -> Callable[[], FieldT]: ...
@overload
def contextual_default_factory(
    contextvar: ContextVar[ValueT], /, *, default_fn: Callable[[LookupError], DefaultT]
) -> Callable[[], ValueT | DefaultT]: ...
@overload
def contextual_default_factory(
    contextvar: ContextVar[ValueT],
    /,
    *,
    fn: Callable[[ValueT], FieldT],
    default_fn: Callable[[LookupError], DefaultT],
) -> Callable[[], FieldT | DefaultT]: ...
def contextual_default_factory(
    contextvar: ContextVar[Any],
    /,
    *,
    fn: Callable[[Any], Any] | None = None,
    default_fn: Callable[[LookupError], Any] | None = None,
) -> Callable[[], Any]:
    """Make a pydantic `default_factory` that reads a ContextVar.

    Args:
        contextvar: read when the field gets its default.
        fn: makes the default of the variable's value; default: the value itself.
        default_fn: makes the default where the variable has no value, from the LookupError;
            default: raise it.
    """

    def factory() -> Any:
        try:
            value = contextvar.get()
        except LookupError as error:
            error.add_note(
                f"A field's default comes from {contextvar.name}, which is set while a task runs. "
                "Give the field a value, or the factory a default_fn."
            )
            if default_fn is None:
                raise
            return default_fn(error)
        return value if fn is None else fn(value)

    return factory


class ActivateContextVarFn(Protocol[ValueT]):
    """Sets a ContextVar in a `with` block, or while a decorated function runs."""

    def __call__(self, value: ValueT | None = None) -> AbstractContextManager[ValueT]:
        """Return the context manager; None: leave the value as it is."""


def contextvar_activator(contextvar: ContextVar[ValueT], /) -> ActivateContextVarFn[ValueT]:
    """Make a function that sets a ContextVar in a `with` block; for tests.

    >>> tenant = ContextVar("tenant", default="none")
    >>> with contextvar_activator(tenant)("acme"):
    ...     tenant.get()
    'acme'
    >>> tenant.get()
    'none'
    """

    @contextmanager
    def activate(value: ValueT | None = None) -> Iterator[ValueT]:
        token = None if value is None else contextvar.set(value)
        try:
            yield contextvar.get()
        finally:
            if token is not None:
                contextvar.reset(token)

    return activate
