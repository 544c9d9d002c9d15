"""`ucam-faas lanes`: list the lanes of tasks; pause lanes and resume them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ucam_faas.actions import lanes
from ucam_faas.actions.lanes import MOST_COUNTED, Lane
from ucam_faas.cli import _job_store, _local_cloud, _source
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._messages import note, say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._parameters import LANE
from ucam_faas.cli._table import print_table
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException
from ucam_faas.logs.durations import duration_text
from ucam_faas.logs.times import utc_text
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task

_task = click.argument("task")
_lane = click.argument("lane", type=LANE, default=DEFAULT_LANE)


class NoLaneError(ConfigurationError):
    """The task has no such lane."""

    error_code = "lane-unknown"


@click.group("lanes", cls=SuggestingGroup, invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, json_only: bool) -> None:
    """List lanes and the jobs that wait in them, pause lanes and resume them.

    Without a command it lists the lanes of the tasks of this directory, and all others that are
    paused. The jobs are those in UCAM_FAAS_JOB_STORE if it is set, else of the `ucam-faas dev` that
    runs in this directory.
    """
    if ctx.invoked_subcommand is not None:
        return
    jobs = _job_store.find()
    rows = lanes.lanes(jobs, _lanes_here())
    if json_only:
        print_json([_as_json(lane) for lane in rows])
    elif rows:
        now = jobs.store.now()
        texts = [_columns(lane, now) for lane in rows]
        print_table(("TASK", "LANE", "STATE", "WAITING", "OLDEST"), texts)
    else:
        say(f"No lane is paused in {jobs.name} (application {jobs.app!r}).")


def _lanes_here() -> list[tuple[str, tuple[str, ...]]]:
    """Return the tasks with lanes of this directory, and the lanes of each; none without tasks."""
    sources = _source.of_cloud(None, _local_cloud.find())
    if not all(Path(source).exists() for source in sources):
        return []
    try:
        return [(task.name, task.lane_names) for task in _source.load(sources) if task.lanes]
    except UCAMFAASException:
        return []


def _as_json(lane: Lane) -> dict[str, Any]:
    return {
        "task": lane.task,
        "lane": lane.name,
        "paused": lane.paused,
        "waiting": lane.waiting,
        "since": utc_text(lane.since),
    }


def _columns(lane: Lane, now: float) -> tuple[str, ...]:
    waiting = "" if lane.waiting is None else str(lane.waiting)
    most = "+" if lane.waiting == MOST_COUNTED else ""
    age = "" if lane.since is None else duration_text(max(0.0, now - lane.since))
    return lane.task, lane.name, "paused" if lane.paused else "", f"{waiting}{most}", age


@command.command("pause")
@_task
@_lane
@json_option
def pause(*, task: str, lane: str, json_only: bool) -> None:
    """Let no job of TASK in LANE start.

    Jobs that run go on, and all others wait. Without LANE it is `default`. Processes notice within
    five seconds, and the pause lasts until `ucam-faas lanes resume`, also over deployments.
    """
    is_known = _check(task, lane)
    jobs = _job_store.find()
    done = lanes.pause(jobs, task, lane)
    if json_only:
        print_json({"task": task, "lane": lane, "paused": True, "changed": done})
    else:
        say(f"The lane {lane} of {task} is paused{'' if done else ' already'}.")
    if not is_known:
        note(
            f"{task} isn't a task of this directory. If the name is wrong: ucam-faas lanes resume "
            f"{task} {lane}. Elsewhere the pause holds if the task has lanes=."
        )


@command.command("resume")
@_task
@_lane
@json_option
def resume(*, task: str, lane: str, json_only: bool) -> None:
    """Let the jobs of TASK in LANE start again, and wake those that wait, the oldest first."""
    jobs = _job_store.find()
    number = lanes.resume(jobs, task, lane)
    if json_only:
        changed, woken = number is not None, number or 0
        print_json(
            {"task": task, "lane": lane, "paused": False, "changed": changed, "woken": woken}
        )
    elif number is None:
        say(f"The lane {lane} of {task} isn't paused.", "yellow")
    else:
        say(f"The lane {lane} of {task} goes on: {number} job{'s' * (number != 1)} woken.")


def _check(task: str, lane: str) -> bool:
    """Refuse a lane that a task of this directory doesn't have; return False for another task.

    Raises:
        ConfigurationError: the task doesn't have the lane, or has no lanes.
    """
    sources = _source.of_cloud(None, _local_cloud.find())
    if not all(Path(source).exists() for source in sources):
        return False
    try:
        loaded: Task = _source.load_one(sources, task)
    except UCAMFAASException:
        return False
    if not loaded.lanes:
        raise ConfigurationError(
            f"{task!r} has no lanes=, so it can't be paused. Give it lanes=1, or lanes of its own."
        )
    if lane not in loaded.lane_names:
        raise NoLaneError(f"{task!r} has no lane {lane!r}. It has {', '.join(loaded.lane_names)}.")
    return True
