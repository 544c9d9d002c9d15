"""The jobs of a deployment: the inboxes of its tasks, and those that each may publish to.

A task that gets messages has an inbox where `UCAM_FAAS_JOB_STORE` is configured, or where another
task names it in `sends=`. So a deployment without jobs stays as it is. With a store for all tasks,
the deployment also has a task of its own, which sweeps the jobs each minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ucam_faas.config import DEFAULT_APP, Settings
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.job_places import STORE, JobPlaces, places_of
from ucam_faas.deploy.layers import Merged, merge_task
from ucam_faas.gcp.limits import MIN_RETENTION_SECONDS
from ucam_faas.job_runs.sweep_task import sweep_task
from ucam_faas.tasks.needs import TaskNeeds, needs_of
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_of, receivers_of

EVENTS = "UCAM_FAAS_EVENTS_TOPIC"
Part = tuple[Task, TaskNeeds, Merged]
"""A task, its needs in any cloud, and its options."""


def store_of(merged: Merged) -> str | None:
    """Return a task's store of jobs: the variable's value, or its secret."""
    variables: Mapping[str, str] = {**merged["environment"], **merged["secrets"]}
    return variables.get(STORE)


def inboxes(parts: Sequence[Part]) -> dict[str, list[str]]:
    """Return the inboxes of each task that has some, one for each lane, by the task's name."""
    named = {name for task, _, _ in parts for name in receivers_of(task.sends)}
    return {
        task.name: [inbox_of(task.name, lane) for lane in needs.lanes]
        for task, needs, merged in parts
        if _takes_jobs(needs) and (task.name in named or store_of(merged) is not None)
    }


def sweep_for(
    config: ConfigFile, parts: Sequence[Part], stage: str | None, app: str | None
) -> list[Part]:
    """Return the task that sweeps the jobs; none, if there is no store for all tasks."""
    wakes = [task.name for task, needs, merged in parts if _takes_jobs(needs) and store_of(merged)]
    if not wakes:
        return []
    task: Task = sweep_task(app or DEFAULT_APP, wakes).task
    task = replace(task, own_options={**task.own_options, **_OF_SWEEP})
    merged = merge_task(config, task, stage)
    return [(task, needs_of(task, Settings()), merged)] if store_of(merged) else []


def _takes_jobs(needs: TaskNeeds) -> bool:
    return needs.gets_messages and bool(needs.lanes)


_OF_SWEEP = {
    "message_retention_seconds": MIN_RETENTION_SECONDS,
    "deletion_protection": False,
    "ignore": ["failures-lost-early", "schedule-overtakes-task"],
}
"""Nothing is lost with a sweep: the next one does its work."""


def is_sweep(task: Task) -> bool:
    """Return True if it is the task of a deployment that sweeps jobs."""
    return task.module == sweep_task.__module__


def topics_of(needs: TaskNeeds, merged: Merged, inboxes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the topics that a task needs for its jobs: its inboxes, and the topic of events."""
    return [*inboxes.get(needs.name, ()), *events_topic(needs, merged)]


def events_topic(needs: TaskNeeds, merged: Merged) -> list[str]:
    """Return the topic to which a task publishes the events of its jobs, if there is one."""
    topic = merged["environment"].get(EVENTS)
    return [topic] if topic and needs.gets_messages and store_of(merged) else []


def inboxes_for(task: Task, merged: Merged, inboxes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the inboxes that a task publishes to.

    They are those of `sends`, and its own: a job that is tried again is woken by the process in
    which it failed. Of a task of another deployment, only the lane `default` is known.
    """
    own = [task.name] if task.name in inboxes and store_of(merged) is not None else []
    names = dict.fromkeys([*own, *receivers_of(task.sends)])
    return [inbox for name in names for inbox in inboxes.get(name, [inbox_of(name)])]


def places_for(task: Task, merged: Merged, inboxes: Mapping[str, Sequence[str]]) -> JobPlaces:
    """Return the places of a task's jobs. The sweep wakes jobs at once, and so has no queue.

    Raises:
        TaskDefinitionError: the task's `backoff=` fails.
    """
    waits_for = [] if is_sweep(task) else inboxes_for(task, merged, inboxes)
    return places_of(task, merged, waits_for)
