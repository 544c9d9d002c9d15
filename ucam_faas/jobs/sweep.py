"""The sweep: looks at the rows that are due for it, and does the next thing with each.

It wakes jobs whose time has come or whose process was lost, ends those that expired, and removes
those whose retention has ended. Repeating it is harmless, as is another process's sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import ENDED, State
from ucam_faas.jobs.stores import JobStore

AGAIN_SECONDS = 60.0
"""A job that was woken and has not started by then is woken again."""
RETENTION_SECONDS = 7 * 24 * 3600.0
"""How long an ended job is kept, if nothing else is said."""
BATCH = 500


def sweep(
    store: JobStore,
    wake: Callable[[Sequence[Key]], object],
    on_expired: Callable[[Key], object] | None = None,
) -> int:
    """Look at the overdue rows, and return how many there were: at most BATCH.

    Args:
        store: has the rows.
        wake: publishes wakes.
        on_expired: gets each job that has expired.
    """
    rows = store.overdue(BATCH)
    now = store.now() if rows else 0.0
    later: list[Key] = []
    wakes: list[Key] = []
    for row in rows:
        if row.state.is_completed:
            store.delete(row.key, states=ENDED)
        elif row.state is State.PENDING and row.expires is not None and row.expires <= now:
            change = Change(state=State.EXPIRED, cause="expired", visit=retention(row))
            if store.change(row.key, change, states={State.PENDING}) and on_expired is not None:
                on_expired(row.key)
        else:
            later.append(row.key)
            if row.state is not State.PAUSED:
                wakes.append(row.key)
    if wakes:
        wake(wakes)
    if later:
        store.visit(later, AGAIN_SECONDS)
    return len(rows)


def retention(row: Row) -> float:
    """Return the seconds that a row is kept after its end."""
    return float(row.options.get("retention", RETENTION_SECONDS))
