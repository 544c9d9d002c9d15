"""The tasks that decorators registered, and those that a source holds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from ucam_faas.exceptions import (
    NoSuchTargetError,
    TaskDefinitionError,
    UCAMFAASCouldNotLoadTarget,
)
from ucam_faas.tasks import loading, outer_decorators, payload_types
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.unnamed_functions import take_name

_TASKS: dict[tuple[str, str], list[Task]] = {}
"""Module-level tasks by (module, name): the one module-level state of the package. Two in a list
are a clash: one file defines the name twice."""


def register(task: Task, qualname: str) -> None:
    """Remember a task that is defined at the top level of a module."""
    if "<locals>" in qualname:
        return
    others = _TASKS.get((task.module, task.name), [])
    same_run = [other for other in others if other.module_spec is task.module_spec]
    kept = [other for other in same_run if other.place != task.place]
    _TASKS[task.module, task.name] = [*kept, task]


def exchange(old: Task, new: Task) -> None:
    """Remember a task in place of another, if that is one of a module's."""
    known = _TASKS.get((old.module, old.name), [])
    if old in known:
        known[known.index(old)] = new


_LOADED: dict[str, set[tuple[str, str]]] = {}
"""The tasks of the sources that `load` has imported, by module and name: processes of tasks import
them again."""


class TaskHolder:
    """A holder of tasks that a module may bind: a TaskCollection."""

    @property
    def tasks(self) -> list[Task]:
        """The tasks in it."""
        raise NotImplementedError


def load(source: str, target: str | None = None) -> list[Task]:
    """Import a source and return its tasks, in the order of their definition.

    Args:
        source: file, package directory, folder of packages, or dotted module name.
        target: names of the tasks that are wanted, comma-separated, in this order; None: all.

    Raises:
        UCAMFAASCouldNotLoadTarget: the source cannot be imported, holds no tasks, holds two of one
            name, or does not hold a wanted one.
    """
    modules = loading.load(source, forget)
    tasks = _collect(modules)
    _LOADED[source] = {(task.module, task.name) for task in tasks}
    for task in tasks:
        _check_payload(task)
    _refuse_clashes(tasks, source)
    if target is None:
        if not tasks:
            raise UCAMFAASCouldNotLoadTarget(
                f"{source} holds no tasks. Decorate a function, for example with "
                "@ucam_faas.message_handler(message_type=None)."
            )
        return [_as_in_module(task, modules) for task in tasks]
    wanted = [name.strip() for name in target.split(",") if name.strip()]
    if not wanted:
        raise NoSuchTargetError(f"The target {target!r} names no task.")
    named = [_find(name, tasks, modules, source) for name in dict.fromkeys(wanted)]
    return [_as_in_module(task, modules) for task in named]


def _check_payload(task: Task) -> None:
    try:
        payload_types.check_complete(task.payload_type, task.parse)
    except TaskDefinitionError as error:
        error.place = task.place
        raise


def sources_of(task: Task) -> list[str]:
    """Return the sources that a new process may import a task from, the first of them first.

    Those with the task that this process has imported; a script whose name is `__main__`, if it has
    the task; and the task's own module, which may lack the defaults of collections around it.
    """
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    in_script = main is not None and any(each.name == task.name for each in _collect([main]))
    scripts = [script] if script and in_script else []
    file = loading.lone_file(task.module)
    loaded = [source for source, tasks in _LOADED.items() if (task.module, task.name) in tasks]
    return [*loaded, *scripts, *([] if task.module == "__main__" else [file or task.module])]


def named(name: str, module: str | None = None) -> Task | None:
    """Return the one task of a name that this process has; None: none, or several.

    Args:
        name: of the task.
        module: its module; None: any.
    """
    tasks = [
        task
        for (home, task_name), tasks in _TASKS.items()
        if task_name == name and module in (None, home)
        for task in tasks
    ]
    return tasks[0] if len(tasks) == 1 else None


def forget(module: str) -> None:
    """Forget the tasks of a module that is about to be imported again, and of its submodules."""
    for home, name in list(_TASKS):
        if home == module or home.startswith(f"{module}."):
            del _TASKS[home, name]


def task_of(function: Any) -> Task | None:
    """Return the task behind a decorated function, called through the decorators above ours."""
    task_function = outer_decorators.task_function_of(function)
    if task_function is None:
        return None
    task: Task = task_function.task
    if function is task_function:
        return task
    return outer_decorators.through(task, function)


def _as_in_module(task: Task, modules: list[ModuleType]) -> Task:
    """Return a task as its name is bound in a module: decorators above ours may have wrapped it."""
    for module in modules:
        value = vars(module).get(task.function_name)
        if _task_behind(value) is task:
            return task_of(value) or task
    value = getattr(sys.modules.get(task.module), task.function_name, None)
    other = _task_behind(value)
    if other is task:
        return task_of(value) or task
    if other is not None or not callable(value) or _is_made_of(task.function, value):
        return task
    return outer_decorators.through(task, value)  # without functools.wraps


def _is_made_of(function: Any, value: Any) -> bool:
    """Return True if a value is a function, or one that the function wraps."""
    while function is not None and function is not value:
        function = getattr(function, "__wrapped__", None)
    return function is not None


def _task_behind(value: Any, name: str | None = None) -> Task | None:
    """Return the task of a module's value; an unnamed task takes the name that it is bound to."""
    task_function = outer_decorators.task_function_of(value)
    if task_function is None:
        return None
    if name is not None:
        take_name(task_function, name)
    task: Task = task_function.task
    return task


def _find(name: str, tasks: list[Task], modules: list[ModuleType], source: str) -> Task:
    for task in tasks:
        if task.name == name:
            return task
    for task in tasks:
        if task.function_name == name:
            raise NoSuchTargetError(
                f"No task named {name!r} in {source}: the function {name!r} is the task "
                f"{task.name!r}."
            )
    if any(name in vars(module) for module in modules):
        raise UCAMFAASCouldNotLoadTarget(f"{name!r} in {source} is not a task. {_advice(name)}")
    raise no_such_task(name, source, [task.name for task in tasks])


def no_such_task(name: str, source: str, names: Iterable[str]) -> NoSuchTargetError:
    """Return the error of a name that no task has, with those that there are."""
    from difflib import get_close_matches

    known = list(names)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(map(repr, known)) or "none"
    return NoSuchTargetError(f"No task named {name!r} in {source}.{hint} Found: {listed}.")


def _advice(name: str) -> str:
    """Say how a function becomes a task, also in place of functions-framework's decorators."""
    functions = sys.modules.get("functions_framework._function_registry")
    signature = getattr(functions, "REGISTRY_MAP", {}).get(name)
    if signature == "http":
        return (
            "In place of @functions_framework.http, put @ucam_faas.raw_event for a function of the "
            'body, or @ucam_faas.http(path="/…", methods=["POST"]) for one of the request.'
        )
    if signature == "cloudevent":
        return "In place of @functions_framework.cloud_event, put @ucam_faas.cloud_event."
    return "Decorate it, for example with @ucam_faas.message_handler(message_type=None)."


def _collect(modules: list[ModuleType]) -> list[Task]:
    """Return the tasks of these modules, of their submodules, and those they import."""
    by_id: dict[int, Task] = {}
    for module in modules:
        package = module.__name__ if hasattr(module, "__path__") else module.__package__
        for (home, _), tasks in _TASKS.items():
            if home == module.__name__ or (package and home.startswith(f"{package}.")):
                by_id |= {id(task): task for task in tasks}
        for name, value in vars(module).items():
            task = _task_behind(value, name)
            held = value.tasks if isinstance(value, TaskHolder) else [task] if task else []
            for held_task in held:
                by_id.setdefault(id(held_task), held_task)
    return list(by_id.values())


def _refuse_clashes(tasks: list[Task], source: str) -> None:
    places: dict[str, str] = {}
    for task in tasks:
        place = f"{task.module} (line {task.place[1]})"
        if task.name in places:
            error = UCAMFAASCouldNotLoadTarget(
                f"{source} holds two tasks named {task.name!r}: in {places[task.name]} and in "
                f"{place}. Rename one, or give it a name= of its own: a task's name is its path "
                "and its topic."
            )
            error.place = task.place
            raise error
        places[task.name] = place
