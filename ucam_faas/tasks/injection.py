"""The arguments of a task's function that aren't the payload: made before it, and closed after it.

A function's parameters are read when it is decorated, into a plan: the order in which the
factories are called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from enum import Enum
from typing import Any, NamedTuple, cast

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.defer import name_of
from ucam_faas.tasks.dependencies import (
    Attribute,
    Marked,
    marked_parameters,
    parameters_of,
    reader_of,
)
from ucam_faas.tasks.task import Kind

_OVERRIDES: dict[Any, Callable[..., Any]] = {}
"""Factories in place of others, in tests. Not a ContextVar: tasks run in threads of their own."""


@contextmanager
def overridden(factories: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Use factories in place of others, in this process."""
    before = dict(_OVERRIDES)
    _OVERRIDES.update(factories)
    try:
        yield
    finally:
        _OVERRIDES.clear()
        _OVERRIDES.update(before)


def injected(function: Any, kind: Kind | None) -> Any:
    """Return the function of the payload alone, which makes the other arguments.

    Args:
        function: a task's; it is returned as it is if no parameter has a marker.
        kind: the task's; None: it takes batches.

    Raises:
        TaskDefinitionError: a marker can never work.
    """
    signature = inspect.signature(function)
    marked = marked_parameters(function)
    if not marked:
        return function
    others = [each for each in signature.parameters.values() if each.name not in marked]
    _check_order(function, signature, marked)
    plan = _Planner(function, kind, {}).plan(marked)

    def current() -> _Plan:
        return _Planner(function, kind, _OVERRIDES).plan(marked) if _OVERRIDES else plan

    def call(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            return function(*args, **kwargs, **_make(current(), stack))

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        async with AsyncExitStack() as stack:
            return await function(*args, **kwargs, **await _make_async(current(), stack))

    is_async = inspect.iscoroutinefunction(function)
    made: Any = functools.wraps(function)(call_async if is_async else call)
    made.__signature__ = signature.replace(parameters=others)
    return made


def _check_order(function: Any, signature: inspect.Signature, marked: Mapping[str, Marked]) -> None:
    """Refuse a payload that comes after a marked parameter: it is passed by position."""
    after = ""
    for name, parameter in signature.parameters.items():
        if name in marked:
            after = after or name
        elif after and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise TaskDefinitionError(
                f"{name_of(function)}{signature}: {name!r} comes after {after!r}, which has a "
                f"marker. Put {name!r} first."
            )


class _Way(Enum):
    """How the value is taken out of a factory's call."""

    CALL = "call"
    AWAIT = "await"
    ENTER = "enter"
    ENTER_ASYNC = "enter async"


class _Step(NamedTuple):
    """The making of one value.

    Args:
        make: the factory.
        way: from its return value to the value.
        arguments: its parameters, each with the number of the step that makes it.
    """

    make: Callable[..., Any]
    way: _Way
    arguments: tuple[tuple[str, int], ...]


class _Plan(NamedTuple):
    """The steps, and the function's parameters, each with the number of its step."""

    steps: tuple[_Step, ...]
    arguments: tuple[tuple[str, int], ...]


class _Planner:
    """Orders the factories of a task.

    Args:
        function: the task's.
        kind: the task's; None: it takes batches.
        overrides: factories in place of others.
    """

    def __init__(self, function: Any, kind: Kind | None, overrides: Mapping[Any, Any]) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        self._kind = kind
        self._overrides = overrides
        self._steps: list[_Step] = []
        self._places: dict[Any, int] = {}
        self._making: list[Any] = []

    def plan(self, marked: Mapping[str, Marked]) -> _Plan:
        arguments = self._arguments(marked.values())
        return _Plan(tuple(self._steps), arguments)

    def _arguments(self, marked: Iterable[Marked]) -> tuple[tuple[str, int], ...]:
        return tuple((each.parameter.name, self._place(each)) for each in marked)

    def _place(self, marked: Marked) -> int:
        """Return the number of the step that makes a parameter's value."""
        if isinstance(marked.marker, Attribute):
            self._steps.append(_Step(reader_of(marked, self._kind), _Way.CALL, ()))
            return len(self._steps) - 1
        factory = self._overrides.get(marked.marker.factory, marked.marker.factory)
        if factory not in self._places:
            self._add(factory)
        return self._places[factory]

    def _add(self, factory: Any) -> None:
        if factory in self._making:
            chain = " → ".join(map(name_of, [*self._making, factory]))
            raise TaskDefinitionError(f"Dependencies that need themselves: {chain}.")
        make, way = self._way(factory)
        marked = marked_parameters(factory)
        for name, parameter in parameters_of(factory).items():
            is_given = name in marked or parameter.default is not parameter.empty
            if not is_given and "VAR" not in parameter.kind.name:
                raise TaskDefinitionError(
                    f"The dependency {name_of(factory)} has the parameter {name!r}: expected a "
                    "marker, Depends(…) or Attribute(…), or a default. The payload isn't passed."
                )
        self._making.append(factory)
        arguments = self._arguments(marked.values())
        self._making.pop()
        self._places[factory] = len(self._steps)
        self._steps.append(_Step(make, way, arguments))

    def _way(self, factory: Any) -> tuple[Callable[..., Any], _Way]:
        call = factory if inspect.isroutine(factory) else getattr(factory, "__call__", None)  # noqa: B004
        functions = [factory] if isinstance(factory, type) else [factory, call]
        if any(map(inspect.isgeneratorfunction, functions)):
            return contextmanager(factory), _Way.ENTER
        is_generator = any(map(inspect.isasyncgenfunction, functions))
        inner = inspect.unwrap(factory)
        if not is_generator and (
            inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
        ):
            raise TaskDefinitionError(
                f"The dependency {name_of(factory)} has a decorator that hides its `yield`: "
                "remove it. A generator function needs no @contextmanager."
            )
        if not is_generator and not any(map(inspect.iscoroutinefunction, functions)):
            return factory, _Way.CALL
        if not self._is_async:
            raise TaskDefinitionError(
                f"The dependency {name_of(factory)} is async, and the task "
                f"{name_of(self._function)} isn't: make both `def`, or both `async def`."
            )
        if is_generator:
            return cast("Callable[..., Any]", asynccontextmanager(factory)), _Way.ENTER_ASYNC
        return factory, _Way.AWAIT


def _make(plan: _Plan, stack: ExitStack) -> dict[str, Any]:
    """Make the arguments of a sync function."""
    values: list[Any] = []
    for make, way, arguments in plan.steps:
        value = make(**{name: values[place] for name, place in arguments})
        values.append(_enter(stack, value) if way is _Way.ENTER else value)
    return {name: values[place] for name, place in plan.arguments}


async def _make_async(plan: _Plan, stack: AsyncExitStack) -> dict[str, Any]:
    """Make the arguments of an async function."""
    values: list[Any] = []
    for make, way, arguments in plan.steps:
        value = make(**{name: values[place] for name, place in arguments})
        if way is _Way.AWAIT:
            value = await value
        elif way is _Way.ENTER:
            value = _enter(stack, value)
        elif way is _Way.ENTER_ASYNC:
            value = await _enter_async(stack, value)
        values.append(value)
    return {name: values[place] for name, place in plan.arguments}


def _enter(stack: ExitStack | AsyncExitStack, context: Any) -> Any:
    with _named(context):
        value = context.__enter__()

    def leave(*error: Any) -> bool:
        with _named(context):
            context.__exit__(*error)
        return False  # whatever the generator does with it: a failed function has failed

    stack.push(leave)
    return value


async def _enter_async(stack: AsyncExitStack, context: Any) -> Any:
    with _named(context):
        value = await context.__aenter__()

    async def leave(*error: Any) -> bool:
        with _named(context):
            await context.__aexit__(*error)
        return False

    stack.push_async_exit(leave)
    return value


@contextmanager
def _named(context: Any) -> Iterator[None]:
    """Name the dependency in the errors of contextlib, which say only "generator didn't yield"."""
    generator = context.gen
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("generator didn't"):
            raise
        raise RuntimeError(
            f"The dependency {generator.__qualname__} is expected to yield once: {error}"
        ) from error
