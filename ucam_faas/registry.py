"""Which tasks there are: what decorators registered, and what a source holds.

A source is a file, a package directory, a folder that holds several task packages, or a dotted
module name. Loading one imports it, with relative imports inside a package working.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget, UCAMFAASException
from ucam_faas.task import Task

_TASKS: dict[tuple[str, str], Task] = {}
"""Module-level tasks by (module, name): the one module-level state of the package."""


def register(task: Task, qualname: str) -> None:
    """Remember a task that is defined at the top level of a module."""
    if "<locals>" not in qualname:
        _TASKS[task.module, task.name] = task


def load(source: str, target: str | None = None) -> list[Task]:
    """Import a source and return its tasks, in the order of their definition.

    Args:
        source: file, package directory, folder of packages, or dotted module name.
        target: names of the tasks that are wanted, comma-separated, in this order; None: all.

    Raises:
        UCAMFAASCouldNotLoadTarget: the source cannot be imported, holds no tasks, holds two of one
            name, or does not hold a wanted one.
    """
    modules = _import_source(source)
    tasks = _collect(modules)
    _refuse_clashes(tasks, source)
    if target is None:
        if not tasks:
            raise UCAMFAASCouldNotLoadTarget(
                f"{source} holds no tasks. Decorate a function, for example with "
                "@ucam_faas.message_handler(message_type=None)."
            )
        return tasks
    wanted = [name.strip() for name in target.split(",") if name.strip()]
    return [_find(name, tasks, modules, source) for name in dict.fromkeys(wanted)]


def task_of(function: Any) -> Task | None:
    """Return the task behind a decorated function."""
    task = getattr(function, "task", None)
    return task if isinstance(task, Task) else None


def _find(name: str, tasks: list[Task], modules: list[ModuleType], source: str) -> Task:
    for task in tasks:
        if task.name == name:
            return task
    if any(hasattr(module, name) for module in modules):
        raise UCAMFAASCouldNotLoadTarget(
            f"{name!r} in {source} is not a task. Decorate it, for example with "
            "@ucam_faas.message_handler(message_type=None)."
        )
    found = ", ".join(repr(task.name) for task in tasks) or "none"
    raise UCAMFAASCouldNotLoadTarget(f"No task named {name!r} in {source}. Found: {found}.")


def _collect(modules: list[ModuleType]) -> list[Task]:
    """Return the tasks of these modules, of their submodules, and those they import."""
    found: dict[int, Task] = {}
    for module in modules:
        package = module.__name__ if hasattr(module, "__path__") else module.__package__
        for (home, _), task in _TASKS.items():
            if home == module.__name__ or (package and home.startswith(f"{package}.")):
                found.setdefault(id(task), task)
        for value in vars(module).values():
            task_found = task_of(value)
            if task_found is not None:
                found.setdefault(id(task_found), task_found)
    return list(found.values())


def _refuse_clashes(tasks: list[Task], source: str) -> None:
    homes: dict[str, str] = {}
    for task in tasks:
        if task.name in homes:
            raise UCAMFAASCouldNotLoadTarget(
                f"{source} holds two tasks named {task.name!r}: in {homes[task.name]} and in "
                f"{task.module}. Rename one: a task's name is its path and its topic."
            )
        homes[task.name] = task.module


def _import_source(source: str) -> list[ModuleType]:
    path = Path(source)
    if path.is_file():
        return [_import_file(path.resolve())]
    if path.is_dir():
        return _import_directory(path.resolve())
    if source.endswith(".py") or os.sep in source:
        raise UCAMFAASCouldNotLoadTarget(
            f"There is no {source} in {Path.cwd()}. Name the file, directory or module with "
            "--source or FUNCTION_SOURCE."
        )
    _add_path(Path.cwd())
    return _import_package(source)


def _import_directory(directory: Path) -> list[ModuleType]:
    if (directory / "__init__.py").is_file():
        root = _package_root(directory)
        _add_path(root.parent)
        return _import_package(".".join(directory.relative_to(root.parent).parts))
    if (directory / "main.py").is_file():
        return [_import_file(directory / "main.py")]
    _add_path(directory)
    modules: list[ModuleType] = []
    for child in sorted(directory.iterdir()):
        if (child / "__init__.py").is_file():
            modules += _import_package(child.name, home=child)
        elif (child / "main.py").is_file():
            modules.append(_import(f"{child.name}.main", home=child))
    if not modules:
        raise UCAMFAASCouldNotLoadTarget(
            f"{directory} holds no tasks: expected a main.py, an __init__.py, or folders with "
            "one of these."
        )
    return modules


def _import_package(name: str, home: Path | None = None) -> list[ModuleType]:
    """Import a module, and the module `main` in it if it is a package that has one."""
    module = _import(name, home=home)
    if not hasattr(module, "__path__") or importlib.util.find_spec(f"{name}.main") is None:
        return [module]
    return [module, _import(f"{name}.main", home=home)]


def _import_file(path: Path) -> ModuleType:
    if (path.parent / "__init__.py").is_file():
        root = _package_root(path.parent)
        _add_path(root.parent)
        parts = path.relative_to(root.parent).with_suffix("").parts
        return _import(".".join(part for part in parts if part != "__init__"), home=root)
    _add_path(path.parent)
    return _execute_file(path)


def _execute_file(path: Path) -> ModuleType:
    """Import a lone file as a module that `from .x import y` works in, as functions-framework."""
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)]
    )
    if spec is None or spec.loader is None:
        raise UCAMFAASCouldNotLoadTarget(
            f"{path} is not a Python file: expected one ending in .py."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _guard(str(path), lambda: spec.loader.exec_module(module) if spec.loader else None)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str, home: Path | None = None) -> ModuleType:
    module: ModuleType = _guard(name, lambda: importlib.import_module(name))
    if home is not None and home not in map(Path, _places(module)):
        raise UCAMFAASCouldNotLoadTarget(
            f"The folder {home} cannot be imported as {name!r}: another module of this name, "
            f"{module.__file__ or 'a built-in one'}, comes first. Rename the folder."
        )
    return module


def _places(module: ModuleType) -> Iterable[Path]:
    file = getattr(module, "__file__", None)
    return [Path(file).resolve(), *Path(file).resolve().parents] if file else []


def _guard(what: str, run: Callable[[], Any]) -> Any:
    """Turn what importing user code raises into one error that says where."""
    try:
        return run()
    except UCAMFAASException:
        raise
    except ModuleNotFoundError as error:
        raise UCAMFAASCouldNotLoadTarget(
            f"Importing {what} failed: no module named {error.name!r}. Install it, or check "
            "--source and the spelling."
        ) from error
    except (Exception, SystemExit) as error:
        raise UCAMFAASCouldNotLoadTarget(
            f"Importing {what} failed: {type(error).__name__}: {error}{_line_of(error)}"
        ) from error


def _line_of(error: BaseException) -> str:
    """Say where in user code an import failed."""
    if isinstance(error, SyntaxError):
        return ""
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and filename != __file__:
            place = f" (at {filename}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place


def _package_root(directory: Path) -> Path:
    while (directory.parent / "__init__.py").is_file():
        directory = directory.parent
    return directory


def _add_path(directory: Path) -> None:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
