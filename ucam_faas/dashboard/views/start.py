"""The first page: everything that is still to be dealt with."""

from __future__ import annotations

from ucam_faas.dashboard.backends import Backends
from ucam_faas.dashboard.query import Page, Query


def view(query: Query, backends: Backends) -> Page:
    """Show the tasks."""
    tasks = sorted(backends.tasks(), key=lambda task: task.needs.name)
    return Page("start.html", "Start", {"tasks": tasks})
