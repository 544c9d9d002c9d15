"""The live page: events as they happen, the newest first."""

from __future__ import annotations

from urllib.parse import urlencode

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.batches import batch_of
from ucam_faas.dashboard.query import Page, Query
from ucam_faas.history.rows import EventKind


def view(query: Query, backends: Backends) -> Page:
    """Show the newest events; the page's module adds those that come."""
    assert backends.history is not None, "its route needs it"
    chosen = {"task": query.args.get("task"), "kind": query.args.get("kind")}
    batch = batch_of(backends.history, 0, **chosen)
    values = {
        "query": query,
        "batch": batch,
        "kinds": [(kind, kind.replace("_", " ")) for kind in EventKind],
        "tasks": sorted(task.needs.name for task in backends.tasks()),
        "stream": "/live/events?" + urlencode({"after": batch.last, **chosen}),
    }
    return Page("live.html", "Live", values)
