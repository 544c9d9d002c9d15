"""The gates that a delivery passes before it runs: those of its lane, its task, and the threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ucam_faas.config import Settings
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.serving.admission import Gate
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task


class Way(NamedTuple):
    """The way of the deliveries of a lane.

    Args:
        gates: the lane's comes first, so that deliveries that wait there hold no other place.
        queue: the name under which they wait. Each lane waits apart, so that a backlog in one
            leaves room for the others; all tasks without lanes wait together.
    """

    gates: tuple[Gate, ...]
    queue: str


def ways(tasks: Sequence[Task], settings: Settings) -> dict[tuple[str, str], Way]:
    """Return the way of each lane, by the names of its task and of its own."""
    threads = Gate(settings.threads, settings.queue)
    by_lane: dict[tuple[str, str], Way] = {}
    for task in tasks:
        limit = task.policy.concurrency or _usual_limit(task)
        shared = (Gate(limit, settings.queue),) if limit else ()
        shared = shared if task.is_async else (*shared, threads)
        by_lane[task.name, DEFAULT_LANE] = Way(shared, "")
        for lane in task.lanes:
            most = lane.max_concurrency
            own = (Gate(most, settings.queue),) if most else ()
            by_lane[task.name, lane.name] = Way((*own, *shared), f"{task.name}/{lane.name}")
    return by_lane


def _usual_limit(task: Task) -> int | None:
    """Return how many executions of a task run at a time if it states no concurrency."""
    if task.batch is not None:
        return 1
    if task.is_async:
        return REQUESTS_OF_AN_INSTANCE
    return _cpus() if task.run_in_process else None


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity else os.cpu_count() or 1
