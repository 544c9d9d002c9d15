"""Lanes of tasks: how many jobs wait in them, and since when; pause them, resume them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ucam_faas.actions.jobs import Jobs
from ucam_faas.execution import inbox
from ucam_faas.job_runs import pauses
from ucam_faas.jobs.stores.many import batches
from ucam_faas.publishing import MAX_PUBLISHED

MOST_COUNTED = 10_000
"""Jobs of a lane: a page isn't slow because a backlog is long."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of a task.

    Args:
        task: the name of its task.
        name: of the lane.
        paused: none of its jobs starts.
        waiting: jobs that may start now, counted up to MOST_COUNTED; None: the store can't tell.
        since: when the first of them might have started, in epoch seconds by the store's clock.
    """

    task: str
    name: str
    paused: bool
    waiting: int | None
    since: float | None


def lanes(jobs: Jobs, known: Iterable[tuple[str, Sequence[str]]] = ()) -> list[Lane]:
    """Return the lanes of some tasks, and all others that are paused.

    Args:
        jobs: of an application.
        known: tasks, each with the names of its lanes.

    Raises:
        JobStoreError: the store doesn't answer.
    """
    paused = jobs.store.paused_lanes(jobs.app)
    names = {(task, lane) for task, lanes in known for lane in lanes}
    return [
        Lane(task, lane, (task, lane) in paused, *_waiting(jobs, task, lane))
        for task, lane in sorted(names | paused)
    ]


def _waiting(jobs: Jobs, task: str, lane: str) -> tuple[int | None, float | None]:
    return jobs.store.waiting(jobs.app, task, lane, limit=MOST_COUNTED) or (None, None)


def pause(jobs: Jobs, task: str, lane: str) -> bool:
    """Let no job of a lane start; return False if it was paused before.

    Processes notice within `pauses.FRESH_SECONDS`.
    """
    return jobs.store.pause_lane(jobs.app, task, lane)


def resume(jobs: Jobs, task: str, lane: str) -> int | None:
    """Let the jobs of a lane start, and wake those that wait, the oldest first.

    Returns:
        The number of jobs that were woken; None: the lane wasn't paused.
    """
    if not jobs.store.resume_lane(jobs.app, task, lane):
        return None
    return wake(jobs, task, lane)


def wake(jobs: Jobs, task: str, lane: str) -> int:
    """Wake the jobs of a lane that may start now, the oldest first, and return their number."""
    number = 0
    for wakes in batches(pauses.wakes(jobs.store, jobs.app, task, lane), MAX_PUBLISHED):
        inbox.wake(jobs.runtime, wakes)
        number += len(wakes)
    return number
