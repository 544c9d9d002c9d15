"""The environment variables that tasks declare with `environment=`, for the process that runs them.

They are defaults: what the platform, the shell or a test has set wins. They are in the code, so
they can only be set once it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.task import Task
from ucam_faas.task_options import combine


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two tasks of one process declare different values of a variable. The first one's is set."""

    variable: str
    first: str
    second: str


class Declared:
    """The variables of an environment that tasks have declared.

    Args:
        environ: the environment. A variable that is set there by anyone else is left alone.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._ours: dict[str, tuple[str, str]] = {}
        """By variable: the task whose value is set, and the value."""

    def add(self, task: str, variables: Mapping[str, str]) -> list[Conflict]:
        """Set the variables of a task that aren't set; return those that another task set."""
        conflicts: list[Conflict] = []
        for variable, value in variables.items():
            first, ours = self._ours.get(variable, ("", None))
            if variable not in self._environ:
                self._environ[variable] = value
                self._ours[variable] = task, value
            elif self._environ[variable] == ours != value:
                conflicts.append(Conflict(variable, first, task))
        return conflicts

    def add_all(self, tasks: Iterable[Task]) -> None:
        """Set the variables that tasks declare in code.

        Raises:
            ConfigurationError: two tasks declare different values of one variable.
        """
        for task in tasks:
            declared = combine(task.collection_resources.given(), task.resources.given())
            for conflict in self.add(task.name, declared.get("environment", {})):
                raise ConfigurationError(
                    f"The tasks {conflict.first!r} and {conflict.second!r} run in one process, and "
                    f"declare different values of {conflict.variable}. Run each in a process of "
                    f"its own, or set {conflict.variable} in the environment: that value wins."
                )

    @contextmanager
    def during(self, tasks: Iterable[Task]) -> Iterator[None]:
        """Set the variables that tasks declare in code, and remove them at the end.

        Raises:
            ConfigurationError: two tasks declare different values of one variable.
        """
        before = set(self._ours)
        try:
            self.add_all(tasks)
            yield
        finally:
            for variable in self._ours.keys() - before:
                _, value = self._ours.pop(variable)
                if self._environ.get(variable) == value:
                    del self._environ[variable]


HERE = Declared(os.environ)
"""Of this process: what tasks have declared isn't taken for what the platform has set."""
