"""Importing what holds the tasks: a file, a package directory, a folder that holds several task
packages, or a dotted module. Relative imports inside a package work in each; in one file or one
package, so does `from sibling import x`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ucam_faas.exceptions import (
    NoSuchTargetError,
    TaskDefinitionError,
    UCAMFAASCouldNotLoadTarget,
    UCAMFAASException,
)

_PACKAGE = str(Path(__file__).parents[1])
_LONE_FILE = "__ucam_faas_source__"
"""Marks modules that were imported from a lone file: another of that name may replace them."""
MISSING_ADVICE = "Install it, or check the spelling."
"""The end of the error about a module that isn't there."""


def load(source: str, on_import: Callable[[str], None]) -> list[ModuleType]:
    """Import a source.

    Args:
        source: file, package directory, folder of packages, or dotted module name.
        on_import: called with a module's name before a lone file is imported under it.

    Raises:
        UCAMFAASCouldNotLoadTarget: there is no such source, or importing it fails.
    """
    path = Path(source)
    if path.is_file():
        return [_import_file(path.resolve(), on_import)]
    if path.is_dir():
        return _import_directory(path.resolve(), on_import)
    check_exists(source)
    _add_path(Path.cwd())
    return _import_package(source)


def check_exists(source: str) -> None:
    """Refuse a path that isn't there; a dotted module isn't looked for.

    Raises:
        NoSuchTargetError: there is no such file or directory.
    """
    if (source.endswith(".py") or os.sep in source) and not Path(source).exists():
        raise NoSuchTargetError(
            f"There is no {source} in {Path.cwd()}. Name the file, directory or module: `ucam-faas "
            "dev FILE`, `ucam-faas --source FILE`, or FUNCTION_SOURCE."
        )


def lone_file(module: str) -> str | None:
    """Return the lone file from which a module was imported, if it was."""
    file: str | None = vars(sys.modules[module]).get(_LONE_FILE) if module in sys.modules else None
    return file


def _import_directory(directory: Path, on_import: Callable[[str], None]) -> list[ModuleType]:
    if (directory / "__init__.py").is_file():
        root = _package_root(directory)
        _add_path(root.parent)
        _add_siblings(directory)
        return _import_package(".".join(directory.relative_to(root.parent).parts), root)
    if (directory / "main.py").is_file():
        return [_import_file(directory / "main.py", on_import)]
    _add_path(directory)
    modules: list[ModuleType] = []
    for child in sorted(directory.iterdir()):
        if (child / "__init__.py").is_file():
            modules += _import_package(child.name, child)
        elif (child / "main.py").is_file():
            modules.append(_import(f"{child.name}.main", child))
    if not modules:
        raise UCAMFAASCouldNotLoadTarget(
            f"{directory} holds no tasks: expected a main.py, an __init__.py, or folders with "
            "one of these."
        )
    return modules


def _import_package(name: str, home: Path | None = None) -> list[ModuleType]:
    """Import a module, and the module `main` in it if it is a package that has one."""
    module = _import(name, home)
    if not hasattr(module, "__path__") or importlib.util.find_spec(f"{name}.main") is None:
        return [module]
    return [module, _import(f"{name}.main", home)]


def _import_file(path: Path, on_import: Callable[[str], None]) -> ModuleType:
    if (path.parent / "__init__.py").is_file():
        root = _package_root(path.parent)
        _add_path(root.parent)
        _add_siblings(path.parent)
        parts = path.relative_to(root.parent).with_suffix("").parts
        return _import(".".join(part for part in parts if part != "__init__"), root)
    _add_path(path.parent)
    return _execute_file(path, on_import)


def _execute_file(path: Path, on_import: Callable[[str], None]) -> ModuleType:
    """Import a lone file as a module that `from .x import y` works in, as functions-framework."""
    name = path.stem
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None)
    if loaded is not None and file is not None and Path(file).resolve() == path:
        return loaded
    standard = name in sys.stdlib_module_names
    if standard or (loaded is not None and _LONE_FILE not in vars(loaded)):
        raise UCAMFAASCouldNotLoadTarget(
            f"The file {path} cannot be imported: there is another module named {name!r}, "
            f"{file or 'of the standard library'}. Rename the file."
        )
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)]
    )
    if spec is None or spec.loader is None:
        raise UCAMFAASCouldNotLoadTarget(f"{path} isn't a Python file: expected one ending in .py.")
    on_import(name)
    for other in [other for other in sys.modules if other.startswith(f"{name}.")]:
        del sys.modules[other]  # of the file that had this name before
    module = importlib.util.module_from_spec(spec)
    setattr(module, _LONE_FILE, str(path))
    sys.modules[name] = module
    try:
        _guard(str(path), lambda: spec.loader.exec_module(module) if spec.loader else None)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str, home: Path | None = None) -> ModuleType:
    """Import a module; `home` is the folder that its top package must be."""
    if home is not None:
        _check_home(name.partition(".")[0], home)
    module: ModuleType = _guard(name, lambda: importlib.import_module(name))
    return module


def _check_home(name: str, home: Path) -> None:
    """Refuse a folder whose name is that of another module, which would be imported instead."""
    spec = importlib.util.find_spec(name)
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or []]
    if home.resolve() not in places:
        other = (spec.origin if spec else None) or "a built-in one"
        raise UCAMFAASCouldNotLoadTarget(
            f"The folder {home} cannot be imported: there is another module named {name!r}, "
            f"{other}. Rename the folder."
        )


def _guard(what: str, run: Callable[[], Any]) -> Any:
    """Turn an error of importing user code into one error that says where."""
    try:
        return run()
    except UCAMFAASException as error:
        if error.place is not None:
            raise  # of a module that this one imports
        failure = error
        if isinstance(error, TaskDefinitionError):
            failure = TaskDefinitionError(f"{error}{_line_of(error)}")
        failure.place = _place_of(error)
        raise failure from error if failure is not error else error.__cause__
    except ModuleNotFoundError as error:
        missing = NoSuchTargetError if error.name == what else UCAMFAASCouldNotLoadTarget
        failure = missing(
            f"Importing {what} failed: no module named {error.name!r}. {MISSING_ADVICE}"
        )
        failure.place = _place_of(error)
        raise failure from error
    except (Exception, SystemExit) as error:
        failure = UCAMFAASCouldNotLoadTarget(
            f"Importing {what} failed: {type(error).__name__}: {error}{_line_of(error)}"
        )
        failure.place = _place_of(error)
        raise failure from error


def _line_of(error: BaseException) -> str:
    """Say where in user code an import failed; a SyntaxError says so itself."""
    place = None if isinstance(error, SyntaxError) else _place_of(error)
    return f" (at {place[0]}:{place[1]})" if place else ""


def _place_of(error: BaseException) -> tuple[str, int] | None:
    """Return the file and line in user code where an import failed."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return error.filename, error.lineno
    traceback, place = error.__traceback__, None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith(("<", _PACKAGE)):
            place = filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def _package_root(directory: Path) -> Path:
    while (directory.parent / "__init__.py").is_file():
        directory = directory.parent
    return directory


def _add_path(directory: Path) -> None:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _add_siblings(directory: Path) -> None:
    """Let `from sibling import x` work in a package, too: functions-framework knows no packages.

    Last in the path: all else that has such a name comes first.
    """
    if str(directory) not in sys.path:
        sys.path.append(str(directory))
