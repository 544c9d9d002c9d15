"""Groups of tasks, across modules: one place for their defaults, and one for their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never, Unpack

from ucam_faas.decorators import Decorators
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.function import put, remade
from ucam_faas.tasks.option_table import COLLECTION, TaskDefaults
from ucam_faas.tasks.options import check_options, task_fields
from ucam_faas.tasks.registry import TaskHolder
from ucam_faas.tasks.task import Kind, Task


@dataclass(frozen=True, slots=True)
class _Member:
    function: Any
    options: Mapping[str, Any]


class TaskCollection(Decorators, TaskHolder):
    """Tasks with common defaults. Its methods are the decorators; collections may hold others.

    A decorator's options win over those of its collection, and these over the options of the
    collections around it. Dicts (`secrets`, `environment`) are merged; `init` and `middleware` have
    the functions of all, the outermost first. HTTP tasks ignore `run_as`, `retry` and
    `dead_letter_topic`. Tasks of batches ignore `run_as`, `lanes` and the options of jobs, and
    refuse `idempotent` and `run_in_process`.

    Args:
        defaults: options of every task in it, those of `message_handler` but for the trigger's and
            the report's, such as `memory="1Gi"`.

    Raises:
        TaskDefinitionError: an option can never work, or does not exist.

    >>> billing = TaskCollection(memory="1Gi")
    >>> @billing.message_handler(message_type=int)
    ... def charge(pence: int) -> int:
    ...     return pence
    >>> everything = TaskCollection()
    >>> everything.include(billing)
    >>> [task.name for task in everything.tasks]
    ['charge']
    """

    def __init__(self, *wrong: Never, **defaults: Unpack[TaskDefaults]) -> None:
        if wrong:
            raise TaskDefinitionError(
                f"TaskCollection({wrong[0]!r}): a collection has no name, and takes options by "
                'keyword only, such as TaskCollection(memory="1Gi").'
            )
        check_options(COLLECTION, defaults)
        task_fields(Kind.MESSAGE, {}, [defaults])  # raises if no task could have them
        self._own: Mapping[str, Any] = defaults
        self._parent: TaskCollection | None = None
        self._members: list[_Member | TaskCollection] = []

    @property
    def tasks(self) -> list[Task]:
        """Its tasks and those of the collections in it, in order."""
        return [member.function.task for _, member in self._all()]

    def include(self, *others: TaskCollection) -> None:
        """Take other collections in, and hand the defaults down to their tasks.

        Raises:
            TaskDefinitionError: one of them is in a collection already or holds this one, two
                tasks have one name, or a default makes a task impossible.
        """
        for other in others:
            self._check_can_include(other)
            for _, member in other._all():
                self._check_name(member.function.task)
            other._parent = self
            try:
                members = [
                    (member.function, owner._remade(member)) for owner, member in other._all()
                ]
            except TaskDefinitionError:
                other._parent = None
                raise
            for function, task in members:
                put(function, task)
            self._members.append(other)

    def _check_can_include(self, other: Any) -> None:
        if not isinstance(other, TaskCollection):
            raise TaskDefinitionError(f"include({other!r}): expected a TaskCollection.")
        if other._parent is not None:
            raise TaskDefinitionError(
                f"{other!r} is in a collection already: include it in one only."
            )
        if other is self._root():
            raise TaskDefinitionError(f"{other!r} already holds the collection that includes it.")

    def _root(self) -> TaskCollection:
        return self if self._parent is None else self._parent._root()

    def _all(self) -> list[tuple[TaskCollection, _Member]]:
        """Return the tasks in it and in the collections below, each with its collection."""
        tasks: list[tuple[TaskCollection, _Member]] = []
        for member in self._members:
            tasks += member._all() if isinstance(member, TaskCollection) else [(self, member)]
        return tasks

    def _check_name(self, task: Task) -> None:
        """Refuse a second task of one name in the whole."""
        for _, member in self._root()._all():
            other = member.function.task
            if other.name == task.name:
                raise TaskDefinitionError(
                    f"Two tasks of one collection are named {task.name!r}: in {other.module} and "
                    f"in {task.module}. Rename one, or give it a name= of its own: a task's name "
                    "is its path and its topic."
                )

    def _remade(self, member: _Member) -> Task:
        task: Task = member.function.task
        return remade(
            task,
            lambda: task_fields(
                task.kind,
                member.options,
                self._defaults(),
                in_batches=task.batch is not None,
            ),
        )

    def _defaults(self) -> list[Mapping[str, Any]]:
        """Return the defaults in force, the outermost first."""
        outer = [] if self._parent is None else self._parent._defaults()
        return [*outer, self._own]

    def _made(self, task_function: Any, options: Mapping[str, Any]) -> None:
        self._check_name(task_function.task)
        self._members.append(_Member(task_function, options))
