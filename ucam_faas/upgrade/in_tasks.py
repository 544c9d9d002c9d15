"""Changes that the tasks themselves show: their decorators, names, parameters and results."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.tasks.policies import is_topic_name
from ucam_faas.tasks.task import HEALTH_PATHS
from ucam_faas.upgrade import changes
from ucam_faas.upgrade.project import Project, TaskFunction

_NO_TYPES = {"dict", "list", "str", "bool", "tuple", "set", "frozenset", "object"}
_MOST_NAMED = 5
_LONG_RUNNING = re.compile(r"--long-running|LONG_RUNNING")


def look(project: Project) -> Iterator[Finding]:
    """Yield the findings in tasks."""
    tasks = project.tasks
    for task in tasks:
        yield from _name(task)
        yield from _message_type(task)
        yield from _parser(task)
        if task.decorator == "cloud_event":
            yield from _cloud_event(task)
    yield from _time_limit(tasks)
    yield from _in_processes(project, tasks)


def place_of(task: TaskFunction, node: ast.AST | None = None) -> Place:
    """Return the place of a task, or of a part of it."""
    return Place(task.file.path, getattr(node or task.node, "lineno", None))


def _name(task: TaskFunction) -> Iterator[Finding]:
    if f"/{task.name}" in HEALTH_PATHS:
        what = f"The task {task.name!r} has the name of a path for health checks."
        yield changes.RESERVED.finding(place_of(task), what)
    elif not is_topic_name(task.name) and task.decorator != "raw_event":
        what = f"The task {task.name!r} has a name that no topic can have."
        yield changes.TOPIC_NAMES.finding(place_of(task), what)


def _message_type(task: TaskFunction) -> Iterator[Finding]:
    match task.options.get("message_type"):
        case ast.Name(id=name) as node if name in _NO_TYPES and name not in task.file.names:
            what = f"The task {task.name!r} has message_type={name}."
            yield changes.MESSAGE_TYPE.finding(place_of(task, node), what)


def _parser(task: TaskFunction) -> Iterator[Finding]:
    """Look for a parser of the user's own, in the same file; a CloudEventType isn't one."""
    match task.options.get("event_data_parser"):
        case ast.Lambda() as node:
            name = "a lambda"
        case ast.Name(id=name) as node if name in _definitions(task.file.tree):
            pass
        case _:
            return
    what = f"The task {task.name!r} has the parser {name}, whose exceptions have another answer."
    yield changes.PARSER_ERRORS.finding(place_of(task, node), what)


def _definitions(tree: ast.Module) -> set[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in tree.body if isinstance(node, kinds)}


def _cloud_event(task: TaskFunction) -> Iterator[Finding]:
    arguments = [*task.node.args.posonlyargs, *task.node.args.args]
    if arguments and _says_cloud_event(arguments[0].annotation):
        what = f"The parameter {arguments[0].arg!r} of the task {task.name!r} is annotated with "
        what += "CloudEvent, and gets the event instead of its data."
        yield changes.CLOUD_EVENT.finding(place_of(task, arguments[0]), what)
    result = next(_results(task.node.body), None)
    if result is not None:
        what = f"The task {task.name!r} returns a value, which is now the response."
        yield changes.CLOUD_EVENT_RETURNS.finding(place_of(task, result), what)


def _says_cloud_event(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Constant(value=str(text)):
            return text.rpartition(".")[2] == "CloudEvent"
        case ast.Name(id="CloudEvent") | ast.Attribute(attr="CloudEvent"):
            return True
    return False


def _results(body: list[ast.stmt]) -> Iterator[ast.Return]:
    """Yield the returns of a function that have a value; not those of functions in it."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        match node:
            case ast.Return(value=ast.expr() as value):
                if not (isinstance(value, ast.Constant) and value.value is None):
                    yield node
        waiting += ast.iter_child_nodes(node)


def _time_limit(tasks: Sequence[TaskFunction]) -> Iterator[Finding]:
    without = [task for task in tasks if "timeout" not in task.options]
    if without:
        what = f"No time limit is set for {_named(without)}: it is now 5 minutes."
        yield changes.TIME_LIMIT.finding(place_of(without[0]), what)


def _named(tasks: Sequence[TaskFunction]) -> str:
    names = sorted({task.name for task in tasks})
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _in_processes(project: Project, tasks: Sequence[TaskFunction]) -> Iterator[Finding]:
    """Look at how the tasks are started."""
    runs_once = any(_LONG_RUNNING.search(file.text) for file in project.texts)
    raw = [task for task in tasks if task.decorator == "raw_event"]
    if raw and runs_once:
        what = f"Of the raw tasks, {_named(raw)}, one that is long-running gets bytes."
        yield changes.RAW_INPUT.finding(place_of(raw[0]), what)
    says = any("WORKERS" in file.text for file in project.texts)
    if tasks and project.texts and not runs_once and not says:
        what = "WORKERS isn't set in any file: one process serves instead of two."
        yield changes.WORKERS.finding(place_of(tasks[0]), what)
