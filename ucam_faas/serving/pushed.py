"""The tasks that a server can run: Pub/Sub pushes messages to it one by one."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks.task import Task


def pushed(tasks: Sequence[Task], *, named: bool) -> Sequence[Task]:
    """Return the tasks without those of batches, which only workers run.

    Args:
        tasks: those of the sources, or those that were asked for.
        named: they were asked for, one by one.

    Raises:
        UCAMFAASCouldNotLoadTarget: one of batches was asked for, or no other is left.
    """
    able = [task for task in tasks if task.batch is None]
    if len(able) < len(tasks) and (named or not able):
        name = next(task.name for task in tasks if task.batch is not None)
        raise UCAMFAASCouldNotLoadTarget(
            f"{name!r} takes batches of messages, and Pub/Sub pushes them one by one. Pull them: "
            f"`ucam-faas worker --target {name}`. On a laptop, `ucam-faas dev` runs it with one "
            "message at a time."
        )
    return able
