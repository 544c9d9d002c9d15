"""The environment variables that a task's function needs, as far as its own code shows it."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from ucam_faas.deploy.findings import Place
from ucam_faas.tasks.task import Task


class ReadVariable(NamedTuple):
    """A variable that is read as `os.environ["NAME"]`, which fails without it."""

    name: str
    place: Place


def variables_read_by(task: Task) -> Iterator[ReadVariable]:
    """Yield the variables that a task's function reads where no `try` or `if` is around."""
    function = inspect.unwrap(task.function)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        file = os.path.relpath(inspect.getsourcefile(function) or "")
    except (OSError, TypeError, SyntaxError):  # made at run time
        return
    for node in _certain(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            is_environ = ast.unparse(node.value) in ("os.environ", "environ")
            key = node.slice
            if is_environ and isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield ReadVariable(key.value, Place(file, first + node.lineno - 1))


def _certain(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of code that run in any case."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Try | ast.If | ast.IfExp | ast.BoolOp | ast.ExceptHandler):
            yield from _certain(child)
