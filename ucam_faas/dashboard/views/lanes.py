"""Lanes and queues: how much work waits, and for how long; pausing and resuming lanes."""

from __future__ import annotations

from ucam_faas.actions import lanes
from ucam_faas.actions.lanes import MOST_COUNTED
from ucam_faas.actions.queues import QueueRequestError
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, Query, RefusedError, See


def view(query: Query, backends: Backends) -> Page:
    """Show the lanes of all tasks, and the subscriptions."""
    problem, queues = "", []
    if backends.queues is not None:
        try:
            queues = list(backends.queues())
        except QueueRequestError as error:
            problem = str(error)
    values = {
        "lanes": None if backends.jobs is None else rows(backends),
        "queues": None if backends.queues is None else queues,
        "problem": problem,
        "most": MOST_COUNTED,
        "back": "/lanes",
    }
    return Page("lanes.html", "Lanes and queues", values)


def rows(backends: Backends, task: str = "") -> list[tuple[lanes.Lane, bool]]:
    """Return the lanes of tasks that take jobs, each with True if a pause would hold.

    Args:
        backends: with jobs.
        task: only those of a task; empty: all.
    """
    if backends.jobs is None:
        return []
    known = [item.needs for item in backends.tasks() if item.needs.gets_messages]
    pausable = {needs.name for needs in known if needs.pausable}
    return [
        (lane, lane.task in pausable)
        for lane in lanes.lanes(backends.jobs, [(needs.name, needs.lanes) for needs in known])
        if task in ("", lane.task)
    ]


def act(query: Query, backends: Backends) -> See:
    """Pause a lane, or resume it."""
    if backends.jobs is None:
        raise RefusedError("There is no store of jobs, so lanes can't be paused.")
    task, lane, verb = query.parts["task"], query.parts["lane"], query.parts["verb"]
    back = query.form.get("back")
    url = back if back.startswith("/tasks/") else "/lanes"
    if verb == "pause":
        is_new = lanes.pause(backends.jobs, task, lane)
        return See(url, f"The lane {lane} of {task} is paused{'' if is_new else ' already'}.")
    if verb != "resume":
        raise RefusedError(f"A lane can be paused and resumed, and not {verb!r}.")
    number = lanes.resume(backends.jobs, task, lane)
    if number is None:
        return See(url, f"The lane {lane} of {task} isn't paused.")
    return See(url, f"The lane {lane} of {task} goes on: {number} job{'s' * (number != 1)} woken.")
