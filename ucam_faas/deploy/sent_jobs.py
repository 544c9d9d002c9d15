"""The jobs that a task's function sends, as far as its own code shows it.

Calls in other functions, and tasks that are known only at run time, aren't found.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

from ucam_faas.deploy.findings import Place
from ucam_faas.sending import by_name
from ucam_faas.tasks.lanes import Priority, name_of
from ucam_faas.tasks.task import Task

_METHODS = frozenset({"send", "send_async", "send_many", "send_many_async"})
_DELAYS = frozenset({"delay", "at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SentJob:
    """A call that sends jobs.

    Args:
        receiver: the name of the task that gets them.
        place: of the call.
        is_delayed: it has `delay=` or `at=`.
        lane: its `lane=`, if that is a constant; None: it has none, or it isn't known before it
            runs.
        then: the name of the callback of its batch; None: it has none, or it isn't known.
        delay: its `delay=`, if that is a constant; None: it has none, or it isn't known.
    """

    receiver: str
    place: Place
    is_delayed: bool
    lane: str | None
    then: str | None = None
    delay: timedelta | None = None


def sent_by(task: Task) -> Iterator[SentJob]:
    """Yield the calls in a task's function that send jobs to a task of a known name."""
    function = inspect.unwrap(task.function)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        file = os.path.relpath(inspect.getsourcefile(function) or "")
    except (OSError, TypeError, SyntaxError):  # made at run time
        return
    names = _names(function)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (receiver := _receiver(call, names)):
            place, then = Place(file, first + call.lineno - 1), _then(call, names)
            yield SentJob(
                receiver=receiver,
                place=place,
                is_delayed=any(keyword.arg in _DELAYS for keyword in call.keywords),
                lane=_lane(call, names),
                then=then,
                delay=_delay(call, names),
            )
            if then is not None:
                yield SentJob(receiver=then, place=place, is_delayed=False, lane=None)


def _then(call: ast.Call, names: Mapping[str, Any]) -> str | None:
    """Return the name of the callback of a batch; None: there is none, or it isn't known."""
    for keyword in call.keywords:
        if keyword.arg == "then":
            value = keyword.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value.rpartition(".")[2]
            task = getattr(_value(value, names), "task", None)
            return task.name if isinstance(task, Task) else None
    return None


def _lane(call: ast.Call, names: Mapping[str, Any]) -> str | None:
    """Return the name of the lane that a call names; None: it names none, or it isn't known."""
    for keyword in call.keywords:
        if keyword.arg == "lane":
            value = keyword.value
            lane = value.value if isinstance(value, ast.Constant) else _value(value, names)
            with suppress(TypeError, ValueError):
                return name_of(lane)
    return None


def _names(function: Any) -> Mapping[str, Any]:
    """Return the values of the names that a function refers to, as they are now."""
    try:
        variables = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return {}
    return {**variables.globals, **variables.nonlocals}


def _receiver(call: ast.Call, names: Mapping[str, Any]) -> str | None:
    """Return the name of the task that a call sends jobs to; None: it isn't known, or it doesn't.

    It is `TASK.send(…)`, or `ucam_faas.send("TASK", …)`.
    """
    called = call.func
    if isinstance(called, ast.Attribute) and called.attr in _METHODS:
        task = getattr(_value(called.value, names), "task", None)
        if isinstance(task, Task):
            return task.name
    if _value(called, names) in (by_name.send, by_name.send_async) and call.args:
        target = call.args[0]
        if isinstance(target, ast.Constant) and isinstance(target.value, str):
            return target.value.rpartition(".")[2]
    return None


def _delay(call: ast.Call, names: Mapping[str, Any]) -> timedelta | None:
    """Return a delay that is a constant, or `timedelta(…)` of numbers."""
    node = next((keyword.value for keyword in call.keywords if keyword.arg == "delay"), None)
    if not isinstance(node, ast.Call):
        value = None if node is None else _value(node, names)
        return value if isinstance(value, timedelta) else None
    if _value(node.func, names) is not timedelta:
        return None
    try:
        arguments = [ast.literal_eval(argument) for argument in node.args]
        named = {str(part.arg): ast.literal_eval(part.value) for part in node.keywords}
        return timedelta(*arguments, **named)
    except (ValueError, TypeError, OverflowError):  # not of constants
        return None


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of a name, a module's attribute, or a priority; None: it isn't known."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, names)
        is_known = isinstance(owner, ModuleType) or owner is Priority
        return getattr(owner, node.attr, None) if is_known else None
    return None
