"""`Defer`: a value that is computed once in each process, such as a client or a model."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.forks import reset_in_child

ValueT = TypeVar("ValueT")
ParamsT = ParamSpec("ParamsT")


class Defer(Generic[ValueT]):
    """A value that is computed once in each process, when it is first asked for.

    Any thread may call it: one computes, the others wait. When the factory raises, so does the
    call, and the next call tries again. A forked process computes its own value.

    Args:
        factory: a sync function.
        args: its arguments.
        kwargs: its keyword arguments.

    Raises:
        TaskDefinitionError: it is something else, or doesn't take these arguments.

    >>> numbers = Defer(sorted, [3, 1, 2], reverse=True)
    >>> numbers.value is numbers() is numbers.execute()
    True
    """

    def __init__(
        self,
        factory: Callable[ParamsT, ValueT],
        /,
        *args: ParamsT.args,
        **kwargs: ParamsT.kwargs,
    ) -> None:
        _check(factory, args, kwargs)
        self._factory = functools.partial(factory, *args, **kwargs)
        self._value: tuple[ValueT] | tuple[()] = ()
        self._computing = False
        self._lock = threading.RLock()
        self._inherited: list[object] = []
        reset_in_child(self)

    def __call__(self) -> ValueT:
        """Return the value.

        Raises:
            TaskDefinitionError: the factory is async, or needs this very value.
        """
        value = self._value
        if value:
            return value[0]
        with self._lock:
            if not self._value:
                self._value = (self._compute(),)
            return self._value[0]

    def execute(self) -> ValueT:
        """Compute the value unless it is there, and return it: `init=[client.execute]`."""
        return self()

    @property
    def value(self) -> ValueT:
        """The value, computed if it isn't there."""
        return self()

    def __repr__(self) -> str:
        return f"Defer({name_of(self._factory)})"

    @contextmanager
    def replaced(self, value: ValueT) -> Iterator[None]:
        """Give out another value for a while, in tests."""
        before, self._value = self._value, (value,)
        try:
            yield
        finally:
            self._value = before

    def _compute(self) -> ValueT:
        if self._computing:  # the lock lets the thread that has it in again
            raise TaskDefinitionError(f"{self!r} needs itself: its factory asks for its value.")
        self._computing = True
        try:
            value = self._factory()
        finally:
            self._computing = False
        if inspect.iscoroutine(value):
            value.close()
            raise _async_factory(self._factory)
        return value

    def reset(self) -> None:
        """Forget the value of the process that this one was forked from.

        It is kept alive: its end here might end the parent's connections.
        """
        self._inherited.append(self._value)
        self._value, self._computing, self._lock = (), False, threading.RLock()


def _async_factory(factory: Callable[..., Any]) -> TaskDefinitionError:
    return TaskDefinitionError(
        f"Defer({name_of(factory)}): expected a sync function, because the value is also asked "
        "for where nothing can be awaited. Put an async function into init=[…] itself."
    )


def _check(factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse a factory that doesn't take these arguments, or whose call returns no value.

    Raises:
        TaskDefinitionError: it names the factory.
    """
    signature = signature_of("Defer(…)", factory)
    if inspect.iscoroutinefunction(factory):
        raise _async_factory(factory)
    try:
        if signature is not None:
            signature.bind(*args, **kwargs)
    except TypeError as error:
        how = "with the arguments of Defer" if args or kwargs else "without arguments"
        raise TaskDefinitionError(
            f"Defer(…): {name_of(factory)} is called {how}, and that fails: {error}. Expected "
            "Defer(function, *args, **kwargs)."
        ) from error


def signature_of(where: str, function: Any) -> inspect.Signature | None:
    """Return a function's signature; None: it is a built-in function without one.

    Raises:
        TaskDefinitionError: it can't be called, or its call would run nothing.
    """
    if not callable(function):
        raise TaskDefinitionError(f"{where}: expected a function, not {function!r}.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TaskDefinitionError(
            f"{where}: {name_of(function)} yields, so calling it would run nothing."
        )
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def name_of(function: Any) -> str:
    """Return what people call a function; arguments that it holds may be secret."""
    deferred = getattr(function, "__self__", function)  # also of client.execute
    if isinstance(deferred, Defer):
        return repr(deferred)
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__qualname__", type(function).__qualname__))
