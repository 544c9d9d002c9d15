"""Changes that other Python code shows: names that are gone, arguments, logs in tests."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache

from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.upgrade import changes
from ucam_faas.upgrade.changes import Change
from ucam_faas.upgrade.project import PACKAGE, Project, PythonFile

_FIXTURE = "cleanup_functions_framework"
_BY_NAME = {"patch", "setattr", "import_module", "importorskip"}
"""Functions whose first argument is the name of a module, or of something in one."""


def look(project: Project) -> Iterator[Finding]:
    """Yield the findings in Python files."""
    for file in project.users:
        yield from _names(file)
        for node in ast.walk(file.tree):
            yield from _at(file, node)
    for file in project.python:
        yield from _fixture(file)


def _names(file: PythonFile) -> Iterator[Finding]:
    """Look at imports, attributes and texts that name something which is gone."""
    told: set[tuple[int, str]] = set()
    for line, name in _mentioned(file):
        gone = _first_gone(name)
        if gone and (line, gone) not in told:
            told.add((line, gone))
            yield _change_of(gone).finding(Place(file.path, line), f"There is no {gone} any more.")


def _mentioned(file: PythonFile) -> Iterator[tuple[int, str]]:
    for node in ast.walk(file.tree):
        match node:
            case ast.Import(names=aliases):
                yield from ((alias.lineno, alias.name) for alias in aliases)
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                yield from ((alias.lineno, f"{module}.{alias.name}") for alias in aliases)
            case ast.Attribute():
                name = file.full_name(node)
                imported = isinstance(node.value, ast.Name) and file.names.get(node.value.id)
                if imported and _first_gone(imported):
                    continue  # its import was reported
                yield node.lineno, name
            case ast.Call(func=function, args=[ast.Constant(value=str(text)), *_]):
                if _called(function) in _BY_NAME and text.startswith(f"{PACKAGE}."):
                    yield node.lineno, text


def _called(function: ast.expr) -> str:
    """Return the last part of a function's name."""
    return getattr(function, "attr", getattr(function, "id", ""))


def _first_gone(name: str) -> str:
    """Return the beginning of a name of the package that isn't there; empty: all of it is."""
    parts = name.removesuffix(".*").split(".")
    if parts[0] != PACKAGE:
        return ""
    for length in range(2, len(parts) + 1):
        beginning = ".".join(parts[:length])
        if not _is_there(beginning):
            return beginning
        if not _is_module(beginning):
            return ""  # an attribute of an object: it isn't known
    return ""


@cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@cache
def _is_there(name: str) -> bool:
    if _is_module(name):
        return True
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ImportError:  # of an extra that isn't installed
        return True


def _change_of(gone: str) -> Change:
    for change in changes.NAMES:
        if any(gone == name or gone.endswith(f".{name}") for name in change.names):
            return change
    return changes.OTHER_NAMES


def _at(file: PythonFile, node: ast.AST) -> Iterator[Finding]:
    place = Place(file.path, getattr(node, "lineno", None))
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            yield from _call(file, place, function, arguments, {each.arg for each in keywords})
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)) if len(parts) > 2:
            if file.own_name(value) == "CloudEventHandlerExecutorFn":
                what = f"CloudEventHandlerExecutorFn has {len(parts)} parameters here."
                yield changes.EXECUTOR_PARAMETERS.finding(place, what)
        case ast.Subscript(value=ast.Attribute(attr="msg")):
            what = "A log record's message is read as a dict."
            yield changes.LOG_RECORDS.finding(place, what)
        case ast.ImportFrom(module="structlog.testing", names=aliases):
            if any(alias.name == "capture_logs" for alias in aliases):
                what = "capture_logs doesn't see the lines of ucam_faas."
                yield changes.CAPTURE_LOGS.finding(place, what)


def _call(
    file: PythonFile,
    place: Place,
    function: ast.expr,
    arguments: list[ast.expr],
    keywords: set[str | None],
) -> Iterator[Finding]:
    name = file.own_name(function)
    if name == "HandlerExecutionOptions" and arguments:
        what = "HandlerExecutionOptions gets positional arguments."
        yield changes.POSITIONAL_OPTIONS.finding(place, what)
    if name == "StructlogJsonExecutionResultLogger" and "logger" in keywords:
        what = "StructlogJsonExecutionResultLogger gets a logger."
        yield changes.RESULT_LOGGER.finding(place, what)
    if name == "CloudEventHandlerContext" and "cloud_event" in keywords:
        what = "CloudEventHandlerContext gets an event."
        yield changes.CONTEXT_ARGUMENT.finding(place, what)
    if isinstance(function, ast.Attribute) and function.attr == "get_result_json":
        what = "get_result_json() leaves payloads and exceptions out."
        yield changes.RESULT_JSON.finding(place, what)


def _fixture(file: PythonFile) -> Iterator[Finding]:
    for node in ast.walk(file.tree):
        match node:
            case ast.arg(arg=name) | ast.Constant(value=name) if name == _FIXTURE:
                place = Place(file.path, getattr(node, "lineno", None))
                yield changes.FRAMEWORK_FIXTURE.finding(place, f"There is no fixture {_FIXTURE}.")
