"""A plan's file: its variables, and the line of each key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ucam_faas.deploy.findings import Place
from ucam_faas.deploy.terraform_variables import FORMAT
from ucam_faas.exceptions import ConfigurationError

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A file that `ucam-faas plan` wrote.

    Args:
        name: for messages.
        lines: by path of keys, such as ("tasks", "welcome", "function").
    """

    name: str
    variables: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    @property
    def format(self) -> int:
        """The version of its form."""
        return format_in(self.variables)

    @property
    def tasks(self) -> Mapping[str, Any]:
        """The tasks, by name."""
        tasks: Mapping[str, Any] = self.variables.get("tasks", {})
        return tasks

    def place(self, *path: str) -> Place:
        """Return the place of a key, or of the nearest key above it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return Place(self.name, self.lines.get(path, 1))


def format_in(variables: Mapping[str, Any]) -> int:
    """Return the version of a plan's form."""
    return max(map(format_of, variables["tasks"].values()), default=FORMAT)


def format_of(task: Mapping[str, Any]) -> int:
    """Return the version of the form of a task in a plan; 1 had none."""
    return int(task.get("format", 1))


def read(path: Path) -> PlanFile:
    """Read a plan's file.

    Raises:
        ConfigurationError: the file cannot be read, isn't a plan, or is of a newer format.
    """
    name = os.path.relpath(path)
    try:
        file = parse(path.read_bytes().decode(), name=name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} cannot be read as a plan: {error}.") from error
    check_format(file)
    return file


def check_format(file: PlanFile) -> None:
    """Refuse a plan of a newer version of ucam-faas.

    Raises:
        ConfigurationError: with both formats.
    """
    if file.format > FORMAT:
        raise ConfigurationError(
            f"{file.name} has the format {file.format}, and this version of ucam-faas knows those "
            f"up to {FORMAT}. Use the version that wrote it, or a newer one."
        )


def parse(text: str, *, name: str) -> PlanFile:
    """Read a plan.

    Raises:
        ConfigurationError: the text isn't a plan.
    """
    try:
        variables = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} cannot be read as a plan: {error}.") from error
    if not _is_plan(variables):
        raise ConfigurationError(
            f"{name} isn't a plan: expected the JSON that `ucam-faas plan` writes, with tasks."
        )
    return PlanFile(name=name, variables=variables, lines=lines_of(text))


def _is_plan(variables: Any) -> bool:
    """Return True if the parts that rules read are there, and of the right type."""
    if not isinstance(variables, dict) or not isinstance(variables.get("tasks"), dict):
        return False
    topics = variables.get("topics", {})
    parts = [topics, *(topics.values() if isinstance(topics, dict) else [])]
    for task in variables["tasks"].values():
        if not isinstance(task, dict) or not isinstance(task.get("triggers", {}), dict):
            return False
        if type(task.get("format", 1)) is not int:
            return False
        subscriptions = task.get("triggers", {}).get("subscriptions", {})
        parts += [task.get("function", {}), task.get("payload") or {}, subscriptions]
        for needs in subscriptions.values() if isinstance(subscriptions, dict) else []:
            parts += [needs]
            if isinstance(needs, dict):
                parts += [needs.get("retry") or {}, needs.get("dead_letter") or {}]
    return all(isinstance(part, dict) for part in parts)


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    r"""Return the line of each key of a JSON document, but of those in lists.

    >>> lines_of('{"a":\n {"b": 1,\n  "c": [{"d": 2}]}}')
    {('a',): 1, ('a', 'b'): 2, ('a', 'c'): 3}
    """
    lines: dict[tuple[str, ...], int] = {}
    path: list[str | None] = []
    """The key in each open object or list: None in a list."""
    last = ""
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            path.append("" if token[0] == "{" else None)
        elif token[0] in "}]":
            path.pop()
        elif token[0] == ":":
            path[-1] = json.loads(last)
            keys = tuple(key for key in path if key is not None)
            if len(keys) == len(path):
                lines[keys] = text.count("\n", 0, token.start()) + 1
        last = token[0]
    return lines
