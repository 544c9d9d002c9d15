"""The list of jobs."""

from __future__ import annotations

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, Query
from ucam_faas.dashboard.views import job_list, times
from ucam_faas.jobs.states import State

STATES = [
    ("live", "not ended"),
    ("unsuccessful", "ended without success"),
    *((state.lower(), state.lower()) for state in State),
]
FILTERS = ("task", "state", "lane", "batch", "parent", "within", "until")


def view(query: Query, backends: Backends) -> Page:
    """Show the jobs that the URL's query chooses, a page at a time."""
    assert backends.jobs is not None, "the table of routes says that it needs them"
    page = job_list.page_of(backends.jobs, query.args, hidden=backends.hides_payloads)
    tasks = sorted(task.needs.name for task in backends.tasks() if task.needs.lanes)
    values = {
        "query": query,
        "page": page,
        "tasks": with_value(tasks, query.args.get("task")),
        "states": STATES,
        "windows": times.CHOICES,
        "is_filtered": any(query.args.has(name) for name in FILTERS),
        "store": backends.jobs.name,
    }
    return Page("jobs.html", "Jobs", values)


def with_value(choices: list[str], value: str) -> list[str]:
    """Return choices that hold a value, which may be of a task that is gone."""
    return choices if not value or value in choices else [value, *choices]
