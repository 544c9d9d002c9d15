"""Schedules: when they run next, also across a change of the clocks; run now, pause, resume."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from ucam_faas.actions.schedules import Schedule
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, Query, RefusedError, See
from ucam_faas.gcp.cron import Cron, ScheduleError, read_zone
from ucam_faas.tasks.needs import job_id

RUNS = 5
"""Next runs that are shown."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run to come.

    Args:
        time: in epoch seconds.
        there: the time that the clock of the schedule's zone shows.
        change: how that clock changes between the run before and this one; empty: it doesn't.
    """

    time: float
    there: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule, its next runs, and the task that it is for; empty: another target."""

    schedule: Schedule
    task: str
    runs: list[Run]


def view(query: Query, backends: Backends) -> Page:
    """Show all schedules."""
    return Page("schedules.html", "Schedules", {"rows": rows(backends)})


def rows(backends: Backends, task: str = "") -> list[ScheduleRow]:
    """Return the schedules, the next first; those that are paused last.

    Args:
        backends: with schedules.
        task: only those of a task; empty: all.
    """
    tasks = {
        job_id(known.needs, number): known.needs.name
        for known in backends.tasks()
        for number, _ in enumerate(known.needs.schedules)
    }
    assert backends.schedules is not None, "the route needs them"
    schedules = sorted(
        backends.schedules.list(),
        key=lambda schedule: (schedule.paused, schedule.next_run or 0, schedule.name),
    )
    every = [ScheduleRow(item, tasks.get(item.name, ""), next_runs(item)) for item in schedules]
    return [row for row in every if task in ("", row.task)]


def next_runs(schedule: Schedule, count: int = RUNS) -> list[Run]:
    """Return the next runs of a schedule; none if it is paused."""
    if schedule.paused or schedule.next_run is None:
        return []
    times = [datetime.fromtimestamp(schedule.next_run, UTC)]
    try:
        zone = read_zone(schedule.time_zone or "UTC")
        cron = Cron(schedule.expression, schedule.time_zone)
    except ScheduleError:  # Google takes more than this package knows
        return [Run(schedule.next_run, "")]
    while len(times) < count and not cron.counts_from_end:
        following = cron.after(times[-1])
        if following is None:
            break
        times.append(following)
    there = [time.astimezone(zone) for time in times]
    changes = ["", *(_change(before, after) for before, after in pairwise(there))]
    return [
        Run(time.timestamp(), _text(time), change)
        for time, change in zip(there, changes, strict=True)
    ]


def _text(time: datetime) -> str:
    return f"{time:%a} {time.day} {time:%b %H:%M %Z}"


def _change(before: datetime, after: datetime) -> str:
    there, here = before.utcoffset(), after.utcoffset()
    if there == here or there is None or here is None:
        return ""
    hours = abs(here - there).total_seconds() / 3600
    direction = "forward" if here > there else "back"
    return f"the clocks go {direction} by {hours:g} h before this run"


def act(query: Query, backends: Backends) -> See:
    """Run a schedule now, pause it, or resume it."""
    assert backends.schedules is not None, "the route needs them"
    name, verb = query.parts["name"], query.parts["verb"]
    back = query.form.get("back")
    url = back if back.startswith("/tasks/") else "/schedules"
    if verb == "run":
        backends.schedules.run(name)
        return See(url, f"{name} was run.")
    if verb == "pause":
        backends.schedules.pause(name)
        return See(url, f"{name} is paused.")
    if verb == "resume":
        backends.schedules.resume(name)
        return See(url, f"{name} goes on.")
    raise RefusedError(f"A schedule can be run, paused and resumed, and not {verb!r}.")
