"""The first page: everything that waits for a person, and how the tasks do."""

from __future__ import annotations

from ucam_faas.actions.schedules import Schedule, ScheduleRequestError
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, Query
from ucam_faas.dashboard.views import tasks
from ucam_faas.dashboard.views.causes import causes, retried

MOST_CAUSES = 20


def view(query: Query, backends: Backends) -> Page:
    """Show failures by cause, paused lanes and schedules, and the tasks with their rates."""
    schedules, problem = _paused_schedules(backends)
    waiting, broken = causes(backends)
    bench = None if broken else backends.workbench
    mirrored = None if bench is None else bench.mirrored()
    values = {
        "causes": waiting[:MOST_CAUSES],
        "more_causes": max(0, len(waiting) - MOST_CAUSES),
        "retried": retried(backends)[:MOST_CAUSES],
        "lanes": _paused_lanes(backends),
        "schedules": schedules,
        "problem": problem,
        "mirror_problem": broken or backends.letter_work.problem,
        "as_of": mirrored.time if mirrored is not None and not backends.mirrors else None,
        "is_unread": bench is not None and mirrored is None and not waiting,
        **tasks.table(backends),
    }
    return Page("start.html", "Start", values)


def _paused_lanes(backends: Backends) -> list[tuple[str, str]]:
    if backends.jobs is None:
        return []
    return sorted(backends.jobs.store.paused_lanes(backends.jobs.app))


def _paused_schedules(backends: Backends) -> tuple[list[Schedule], str]:
    """Return the schedules that are paused, and the reason if they can't be read."""
    if backends.schedules is None:
        return [], ""
    try:
        return [schedule for schedule in backends.schedules.list() if schedule.paused], ""
    except ScheduleRequestError as error:
        return [], str(error)
