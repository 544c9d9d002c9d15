"""Start-up code: the functions that tasks list in `init=[…]`.

Each runs once in a process, in order, where the function of its task would run: that of a sync
task in a thread, that of an async task on the event loop. Coroutines run on the loop. A function
with a parameter gets the task's name, and runs once for each task that lists it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ucam_faas.clock import Clock
from ucam_faas.exceptions import TaskDefinitionError, UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks.defer import name_of, signature_of
from ucam_faas.tasks.task import Task

logger = logging.getLogger("ucam_faas")

StartUp = Callable[[], Any] | Callable[[str], Any]
"""Start-up code; with a parameter, it gets the task's name."""


def takes_name(function: Any) -> bool:
    """Return True if start-up code has a parameter for the task's name.

    Raises:
        TaskDefinitionError: it has other parameters, or its call would run nothing.
    """
    signature = signature_of("init=[…]", function)
    if signature is None or _takes(signature):
        return False
    if _takes(signature, "the task's name"):
        return True
    raise TaskDefinitionError(
        f"init=[…]: {name_of(function)} has the parameters {', '.join(signature.parameters)}: "
        "expected none, or one for the task's name. Defer(function, …) holds arguments."
    )


def _takes(signature: inspect.Signature, *args: str) -> bool:
    try:
        signature.bind(*args)
    except TypeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Step:
    """Start-up code, and the tasks for which it runs: one of them, if it gets the name."""

    function: Callable[..., Any]
    is_named: bool
    tasks: list[Task]

    @property
    def is_async(self) -> bool:
        return self.tasks[0].is_async or inspect.iscoroutinefunction(self.function)

    def call(self) -> Any:
        """Call the function, and return the coroutine that it may return."""
        with self.errors_named():
            return self.function(*[self.tasks[0].name] * self.is_named)

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Turn any error of user code into one that names the task and the function."""
        try:
            yield
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            raise UCAMFAASCouldNotLoadTarget(
                f"The start-up code of task {self.tasks[0].name!r} failed: "
                f"{name_of(self.function)}: {type(error).__name__}: {error}{_place(error)}"
            ) from error


async def run(
    tasks: Iterable[Task],
    clock: Clock,
    *,
    on_failure: Callable[[Sequence[Task], UCAMFAASCouldNotLoadTarget], None] | None = None,
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
) -> None:
    """Run the start-up code of tasks, on the event loop that will run them.

    Args:
        in_thread: calls that of sync tasks.
        on_failure: takes the tasks whose code failed, and the error, and the other code is run;
            None: the error is raised.

    Raises:
        UCAMFAASCouldNotLoadTarget: some code failed; the message names it and its task.
    """
    with _timed(clock) as completed:
        for step in _steps(tasks):
            try:
                await _run(step, in_thread)
            except UCAMFAASCouldNotLoadTarget as error:
                if on_failure is None:
                    raise
                on_failure(step.tasks, error)
            else:
                completed.append(step)


async def _run(step: _Step, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
    result = step.call() if step.is_async else await in_thread(step.call)
    if inspect.iscoroutine(result):
        with step.errors_named():
            await result


def run_here(task: Task, clock: Clock) -> None:
    """Run the start-up code of a task that will run in this thread.

    Raises:
        UCAMFAASCouldNotLoadTarget: some code failed; the message names it.
    """
    with _timed(clock) as completed:
        for step in _steps([task]):
            result = step.call()
            if inspect.iscoroutine(result):
                with step.errors_named():
                    asyncio.run(result)
            completed.append(step)


def _steps(tasks: Iterable[Task]) -> Sequence[_Step]:
    """Return each function once; for each of its tasks, if it gets the name."""
    steps: list[_Step] = []
    for task in tasks:
        for function in task.init:
            is_named, same = takes_name(function), [s for s in steps if s.function == function]
            if is_named:
                same = [step for step in same if task in step.tasks]
            if same:
                same[0].tasks.append(task)
            else:
                steps.append(_Step(function, is_named, [task]))
    return steps


@contextmanager
def _timed(clock: Clock) -> Iterator[list[_Step]]:
    """Log the completed steps and their time in all; nothing if there are none."""
    begin = clock.monotonic()
    completed: list[_Step] = []
    yield completed
    if completed:
        fields = {
            "init": [name_of(step.function) for step in completed],
            "duration_seconds": round(clock.monotonic() - begin, 6),
        }
        logger.info("ucam_faas_init_completed", extra={"fields": fields})


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
