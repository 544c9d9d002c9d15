"""The rows of many jobs, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.stores import JobStore

ROWS = 200
"""Of a page: each has its payload and its result."""


def latest(store: JobStore, app: str, *, page: int = ROWS, **filters: Any) -> Iterator[Row]:
    """Yield rows, the latest first; see `JobStore.find`.

    Args:
        page: the rows to read at a time.
        filters: of `find`, without a limit.
    """
    while rows := store.find(app, limit=page, **filters):
        yield from rows
        filters["after"] = rows[-1].place
        if len(rows) < page:
            return
