"""The files of a project: Python as syntax trees, and the others that say how it is installed and
deployed as lines. Nothing is imported.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "ucam_faas"
_LEFT_OUT = {"node_modules", "site-packages", "venv", "env", "build", "dist", "__pycache__"}
_SUFFIXES = {
    *(".tf", ".hcl", ".yml", ".yaml", ".toml", ".txt", ".in"),
    *(".sh", ".env", ".json", ".cfg", ".ini"),
}
_NAMES = ("Dockerfile", "Containerfile", "Procfile", "Makefile")
_MAX_BYTES = 1_000_000
TASK_DECORATORS = {"raw_event", "cloud_event", "cloud_event_handler", "message_handler"}


@dataclass(frozen=True, slots=True)
class PythonFile:
    """A Python file.

    Args:
        path: from the project's folder.
        tree: its syntax.
        names: local names, and their full names: `{"task": "ucam_faas.message_handler"}`.
    """

    path: str
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict)

    def full_name(self, node: ast.AST | None) -> str:
        """Return the full name of an expression; empty: it has none, or isn't imported."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "")
        if isinstance(node, ast.Attribute):
            value = self.full_name(node.value)
            return f"{value}.{node.attr}" if value else ""
        return ""

    def own_name(self, node: ast.AST | None) -> str:
        """Return the last part of a name of the package; empty: it isn't one."""
        package, _, rest = self.full_name(node).partition(".")
        return rest.rpartition(".")[2] if package == PACKAGE else ""


@dataclass(frozen=True, slots=True)
class TaskFunction:
    """A function under one of the package's decorators."""

    file: PythonFile
    node: ast.FunctionDef | ast.AsyncFunctionDef
    decorator: str
    options: dict[str, ast.expr]

    @property
    def name(self) -> str:
        """Its name, or that of `name=`."""
        match self.options.get("name"):
            case ast.Constant(value=str(name)):
                return name
        return self.node.name


@dataclass(frozen=True, slots=True)
class TextFile:
    """Another file: Terraform, a workflow, a Dockerfile, requirements."""

    path: str
    text: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield numbers and lines, without comments."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if not line.lstrip().startswith(("#", "//")):
                yield number, line


@dataclass(frozen=True, slots=True)
class Project:
    """The files.

    Args:
        folder: where paths start.
        python: all Python files that can be parsed.
        texts: the other files.
        unreadable: Python files that can't be parsed, each with a line and the reason.
        users: the Python files that import the package.
        tasks: of these.
    """

    folder: Path
    python: tuple[PythonFile, ...]
    texts: tuple[TextFile, ...]
    unreadable: tuple[tuple[str, int | None, str], ...]
    users: tuple[PythonFile, ...]
    tasks: tuple[TaskFunction, ...]


def read(folder: Path) -> Project:
    """Read the files of a folder, or one file."""
    python, texts, unreadable = [], [], []
    for path in _files(folder):
        name = os.path.relpath(path)
        try:
            content = path.read_bytes()
            if path.suffix == ".py":
                tree = _parse(content)
                python.append(PythonFile(name, tree, _names(tree)))
            else:
                texts.append(TextFile(name, content.decode()))
        except (SyntaxError, ValueError, OSError) as error:
            if path.suffix == ".py":
                reason = getattr(error, "msg", None) or getattr(error, "strerror", None)
                unreadable.append((name, getattr(error, "lineno", None), reason or str(error)))
    users = [file for file in python if any(map(_is_ours, file.names.values()))]
    tasks = [task for file in users for task in _tasks(file)]
    return Project(
        folder, tuple(python), tuple(texts), tuple(unreadable), tuple(users), tuple(tasks)
    )


def _parse(content: bytes) -> ast.Module:
    """Return the syntax of Python, in the encoding that it declares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's code, such as a wrong escape
        return ast.parse(content)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for root, folders, names in os.walk(folder):
        hidden = {name for name in folders if name.startswith(".") and name != ".github"}
        environments = {name for name in folders if (Path(root) / name / "pyvenv.cfg").exists()}
        folders[:] = sorted({*folders} - hidden - environments - _LEFT_OUT)
        for name in sorted(names):
            path = Path(root) / name
            known = path.suffix in _SUFFIXES | {".py"} or name.startswith(_NAMES) or name == ".env"
            if known and path.is_file() and path.stat().st_size <= _MAX_BYTES:
                yield path


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def _names(tree: ast.Module) -> dict[str, str]:
    """Return the names that a file imports, wherever in it."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _tasks(file: PythonFile) -> Iterator[TaskFunction]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                name = file.own_name(call.func if call else decorator)
                if name in TASK_DECORATORS:
                    keywords = call.keywords if call else []
                    options = {each.arg: each.value for each in keywords if each.arg}
                    yield TaskFunction(file, node, name, options)
