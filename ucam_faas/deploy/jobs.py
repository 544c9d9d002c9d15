"""The jobs of a deployment: the tasks that have an inbox, and the inboxes that each may publish to.

A task that gets messages has an inbox where `UCAM_FAAS_JOB_STORE` is configured, or where another
task names it in `sends=`. So a deployment without jobs stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ucam_faas.deploy.layers import Merged
from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_of, receivers_of

STORE = "UCAM_FAAS_JOB_STORE"


def store_of(merged: Mapping[str, object] | Merged) -> str | None:
    """Return a task's store of jobs: the variable's value, or its secret."""
    for option in ("environment", "secrets"):
        variables = merged[option]
        assert isinstance(variables, Mapping)
        if STORE in variables:
            return str(variables[STORE])
    return None


def receivers(parts: Iterable[tuple[Task, TaskNeeds, Merged]]) -> frozenset[str]:
    """Return the names of the tasks that have an inbox."""
    parts = list(parts)
    named = {name for task, _, _ in parts for name in receivers_of(task.sends)}
    return frozenset(
        task.name
        for task, needs, merged in parts
        if is_pushed_to(needs) and (task.name in named or store_of(merged) is not None)
    )


def is_pushed_to(needs: TaskNeeds) -> bool:
    """Return True if Pub/Sub pushes messages to a task."""
    return needs.run_as == "service" and needs.topic is not None


def inboxes_for(task: Task, merged: Merged, receivers: frozenset[str]) -> list[str]:
    """Return the inboxes that a task publishes to.

    They are those of `sends`, and its own: a job that is tried again is woken by the process in
    which it failed.
    """
    own = [task.name] if task.name in receivers and store_of(merged) is not None else []
    return [inbox_of(name) for name in dict.fromkeys([*own, *receivers_of(task.sends)])]
