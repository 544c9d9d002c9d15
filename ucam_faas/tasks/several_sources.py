"""The tasks of several sources together, as `ucam-faas dev` serves them."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task


def tasks_of(sources: Sequence[str], target: str | None) -> list[Task]:
    """Return the tasks of all sources, or those that are wanted.

    Args:
        sources: each as `registry.load` takes it.
        target: names of tasks, comma-separated; None: all.

    Raises:
        UCAMFAASException: a source can't be loaded, two of them hold tasks of one name, or none
            holds a wanted one.
    """
    if len(sources) == 1:
        return registry.load(sources[0], target)
    tasks: dict[str, Task] = {}
    homes: dict[str, str] = {}
    for source in sources:
        for task in registry.load(source):
            if tasks.get(task.name, task) is not task:
                raise UCAMFAASCouldNotLoadTarget(
                    f"{source} and {homes[task.name]} both hold a task named {task.name!r}. "
                    "Rename one, or give it a name= of its own: a task's name is its path and its "
                    "topic."
                )
            tasks[task.name], homes[task.name] = task, source
    if target is None:
        return list(tasks.values())
    names = [name.strip() for name in target.split(",")]
    for name in names:
        if name not in tasks:
            raise registry.no_such_task(name, ", ".join(sources), tasks)
    return [tasks[name] for name in dict.fromkeys(names)]
