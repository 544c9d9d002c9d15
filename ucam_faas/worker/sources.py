"""The subscriptions that a worker pulls from: each task's inboxes, and that of its topic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.lanes import DEFAULT_LANE, weights
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import inbox_of


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A subscription, and the task that gets its messages.

    Args:
        task: runs on each message.
        subscription: its full name.
        is_inbox: messages are wakes, and sends to this task.
        lane: the lane of the task to which it belongs.
        weight: its share where several sources have messages that wait.
    """

    task: Task
    subscription: str
    is_inbox: bool
    lane: str = DEFAULT_LANE
    weight: int = 1


def sources_of(task: Task, project: str, naming: Naming) -> list[Source]:
    """Return the subscriptions of a task."""

    def full(name: str) -> str:
        return f"projects/{project}/subscriptions/{naming.name(name)}"

    existing = task.trigger and task.trigger.subscription
    own = f"projects/{project}/subscriptions/{existing}" if existing else full(task.name)
    source = Source(task, own, is_inbox=False)
    if not task.takes_jobs:
        return [source]
    inboxes = [
        Source(task, full(inbox_of(task.name, lane)), is_inbox=True, lane=lane, weight=weight)
        for lane, weight in weights(task.lanes).items()
    ]
    return [*inboxes, replace(source, weight=inboxes[0].weight)]


def pulled(tasks: Iterable[Task], *, named: bool) -> Sequence[Task]:
    """Return the tasks that a worker pulls.

    Args:
        tasks: those of its sources, or those that were asked for.
        named: they were asked for, one by one; otherwise tasks with run_as="worker" go before.

    Raises:
        ConfigurationError: a worker can't run one that was asked for, or none is left.
    """
    tasks = list(tasks)
    able = [task for task in tasks if task.kind is not Kind.HTTP and task.run_as != _RUNS_ONCE]
    if named and len(able) < len(tasks):
        task = next(task for task in tasks if task not in able)
        raise ConfigurationError(
            f"{task.name!r} is {_unable(task)}, and gets no messages: a worker can't pull it."
        )
    if not able:
        names = ", ".join(repr(task.name) for task in tasks) or "none"
        raise ConfigurationError(
            f"There is no task to pull. Found: {names}; expected at least one that takes messages."
        )
    workers = [task for task in able if task.run_as == "worker"]
    return able if named or not workers else workers


_RUNS_ONCE = "cloud-run-job"


def _unable(task: Task) -> str:
    return "an HTTP task" if task.kind is Kind.HTTP else "a Cloud Run job"
