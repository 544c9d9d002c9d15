"""The rows of many jobs, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nextafter
from typing import Any

from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

ROWS = 200
"""Of a page: each has its payload and its result."""


def latest(
    store: JobStore, app: str, *, until: float | None = None, page: int = ROWS, **filters: Any
) -> Iterator[Row]:
    """Yield rows, the latest first; see `JobStore.find`.

    Args:
        until: the time before which they were sent.
        page: the rows to read at a time; more, where more were sent at one moment.
        filters: of `find`, without a limit.
    """
    edge: set[Key] = set()
    while True:
        rows = store.find(app, until=until, limit=page, **filters)
        yield from (row for row in rows if row.key not in edge)
        if len(rows) < page:
            return
        last = rows[-1].created
        if rows[0].created == last:
            page *= 2  # to see more than this moment's
        until, edge = nextafter(last, inf), {row.key for row in rows if row.created == last}
