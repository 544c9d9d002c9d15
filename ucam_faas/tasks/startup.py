"""Start-up code: what tasks list in `init=[…]`, and values that are computed once in a process.

Each callable runs once in a process, in order, where the function of its task would run: that of
a sync task in a thread, that of an async task on the event loop. Coroutines run on the loop.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from ucam_faas.clock import Clock
from ucam_faas.exceptions import TaskDefinitionError, UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks.task import Task

logger = logging.getLogger("ucam_faas")

ValueT = TypeVar("ValueT")


class Defer(Generic[ValueT]):
    """A value that is computed once in each process, when it is first asked for.

    Any thread may call it: one computes, the others wait. When the factory raises, so does the
    call, and the next call tries again. A forked process computes its own value.

    Args:
        factory: a sync function without arguments.

    Raises:
        TaskDefinitionError: it is something else.

    >>> numbers = Defer(lambda: [1, 2, 3])
    >>> numbers() is numbers()
    True
    """

    def __init__(self, factory: Callable[[], ValueT]) -> None:
        check_callable("Defer(…)", factory)
        if inspect.iscoroutinefunction(factory):
            raise _async_factory(factory)
        self._factory = factory
        self._value: tuple[ValueT] | tuple[()] = ()
        self._computing = False
        self._lock = threading.RLock()
        self._inherited: list[object] = []
        _DEFERS.add(self)

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

    def _start_anew(self) -> None:
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


_DEFERS: weakref.WeakSet[Defer[Any]] = weakref.WeakSet()


def _after_fork() -> None:
    for defer in list(_DEFERS):
        defer._start_anew()


os.register_at_fork(after_in_child=_after_fork)


def check_callable(where: str, function: Any) -> None:
    """Refuse a value that cannot be called without arguments, or whose call would do nothing.

    Raises:
        TaskDefinitionError: it names the value.
    """
    if not callable(function):
        raise TaskDefinitionError(
            f"{where}: expected a function without arguments, not {function!r}."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TaskDefinitionError(
            f"{where}: {name_of(function)} yields, so calling it would run nothing."
        )
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise TaskDefinitionError(
            f"{where}: {name_of(function)} is called without arguments, and that fails: {error}."
        ) from error
    except ValueError:
        return  # some built-in functions have no signature


def name_of(function: Any) -> str:
    """Return what people call a function; arguments that it holds may be secret."""
    if isinstance(function, Defer):
        return repr(function)
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


async def run(
    tasks: Iterable[Task],
    clock: Clock,
    *,
    on_failure: Callable[[Callable[[], Any], UCAMFAASCouldNotLoadTarget], None] | None = None,
) -> None:
    """Run the start-up code of tasks, on the event loop that will run them.

    Args:
        on_failure: takes a callable that failed and why, and the others are run; None: it is
            raised.

    Raises:
        UCAMFAASCouldNotLoadTarget: some of it failed; the message says which, and of which task.
    """
    with _timed(clock) as completed:
        for task, function in _steps(tasks):
            try:
                await _run(task, function)
            except UCAMFAASCouldNotLoadTarget as error:
                if on_failure is None:
                    raise
                on_failure(function, error)
            else:
                completed.append(function)


async def _run(task: Task, function: Callable[[], Any]) -> None:
    if task.is_async or inspect.iscoroutinefunction(function):
        result = _call(task, function)
    else:
        result = await asyncio.to_thread(_call, task, function)
    if inspect.iscoroutine(result):
        with _named(task, function):
            await result


def run_here(task: Task, clock: Clock) -> None:
    """Run the start-up code of a task that will run in this thread.

    Raises:
        UCAMFAASCouldNotLoadTarget: some of it failed; the message says which.
    """
    with _timed(clock) as completed:
        for _, function in _steps([task]):
            result = _call(task, function)
            if inspect.iscoroutine(result):
                with _named(task, function):
                    asyncio.run(result)
            completed.append(function)


def _steps(tasks: Iterable[Task]) -> Sequence[tuple[Task, Callable[[], Any]]]:
    """Return each callable once, with the first task that lists it."""
    steps: list[tuple[Task, Callable[[], Any]]] = []
    for task in tasks:
        for function in task.init:
            if all(function != other for _, other in steps):
                steps.append((task, function))
    return steps


@contextmanager
def _timed(clock: Clock) -> Iterator[list[Callable[[], Any]]]:
    """Log what was completed, and how long all of it took; nothing if there is none."""
    begin = clock.monotonic()
    completed: list[Callable[[], Any]] = []
    yield completed
    if completed:
        fields = {
            "init": [name_of(function) for function in completed],
            "duration_seconds": round(clock.monotonic() - begin, 6),
        }
        logger.info("ucam_faas_init_completed", extra={"fields": fields})


def _call(task: Task, function: Callable[[], Any]) -> Any:
    with _named(task, function):
        return function()


@contextmanager
def _named(task: Task, function: Callable[[], Any]) -> Iterator[None]:
    """Turn what user code raises into one error that says whose it is."""
    try:
        yield
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        raise UCAMFAASCouldNotLoadTarget(
            f"The start-up code of task {task.name!r} failed: {name_of(function)}: "
            f"{type(error).__name__}: {error}{_place(error)}"
        ) from error


def _place(error: BaseException) -> str:
    """Say where in the user's code it was."""
    import sysconfig

    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    others = ("<", *(f"{path}{os.sep}" for path in (*paths, Path(__file__).parents[1])))
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith(others):
            place = f" (at {filename}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place
