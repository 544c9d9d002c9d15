"""The environment variables that tasks declare with `environment=`, for the process that runs them.

They are defaults: what the platform, the shell or a test has set wins. They are in the code, so
they can only be set once it is imported.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.option_table import OPTIONS
from ucam_faas.tasks.options import combine
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two tasks of one process declare different values of a variable. The first one's is set."""

    variable: str
    first: str
    second: str


@dataclass(slots=True)
class _Held:
    """A value that was set for tasks, and how many hold it."""

    variable: str
    value: str
    task: str
    holders: int = 0


class Declared:
    """The variables of an environment that tasks have declared. Threads may share it.

    Args:
        environ: the environment. A variable that is set there by anyone else is left alone.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def add(self, task: str, variables: Mapping[str, str]) -> list[Conflict]:
        """Set the variables of a task that aren't set; return those that another task set."""
        return self._hold(task, variables)[1]

    def add_all(self, tasks: Iterable[Task]) -> None:
        """Set the variables that tasks declare in code.

        Raises:
            ConfigurationError: two tasks declare different values of one variable.
        """
        self._hold_all(tasks, [])

    @contextmanager
    def during(self, tasks: Iterable[Task]) -> Iterator[None]:
        """Set the variables that tasks declare in code, until no one needs them any more.

        Raises:
            ConfigurationError: two tasks declare different values of one variable.
        """
        held: list[_Held] = []
        try:
            self._hold_all(tasks, held)
            yield
        finally:
            self._release(held)

    def _hold_all(self, tasks: Iterable[Task], held: list[_Held]) -> None:
        """Set variables, and append what is held, also when it raises."""
        for task in tasks:
            declared = combine(OPTIONS, task.collection_options, task.own_options)
            newly_held, conflicts = self._hold(task.name, declared.get("environment", {}))
            held += newly_held
            for conflict in conflicts:
                raise ConfigurationError(
                    f"The tasks {conflict.first!r} and {conflict.second!r} run in one process, and "
                    f"declare different values of {conflict.variable}. Run each in a process of "
                    f"its own, or set {conflict.variable} in the environment: that value wins."
                )

    def _hold(self, task: str, variables: Mapping[str, str]) -> tuple[list[_Held], list[Conflict]]:
        values: list[_Held] = []
        conflicts: list[Conflict] = []
        with self._lock:
            for variable, value in variables.items():
                held = self._held.get(variable)
                if variable not in self._environ:
                    self._environ[variable] = value
                    held = self._held[variable] = _Held(variable, value, task)
                elif held is None or self._environ[variable] != held.value:
                    continue  # of the environment itself
                elif held.value != value:
                    conflicts.append(Conflict(variable, held.task, task))
                    continue
                held.holders += 1
                values.append(held)
        return values, conflicts

    def _release(self, values: Iterable[_Held]) -> None:
        with self._lock:
            for held in values:
                held.holders -= 1
                if held.holders or self._held.get(held.variable) is not held:
                    continue
                del self._held[held.variable]
                if self._environ.get(held.variable) == held.value:
                    del self._environ[held.variable]


HERE = Declared(os.environ)
"""This process's: tells variables that tasks declared from those that the platform set."""
