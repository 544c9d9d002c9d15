"""Store the end of a run. Success begins when it is stored, so it is tried until the lease is over.

A store blocks, so nothing in here may be called on an event loop.
"""

from __future__ import annotations

from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobError
from ucam_faas.job_runs import ends
from ucam_faas.job_runs.instance import instance
from ucam_faas.jobs.rows import Change, Row
from ucam_faas.jobs.states import WAITING
from ucam_faas.jobs.stores import JobStore

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""Between two tries."""


def store_end(store: JobStore, row: Row, change: Change, clock: Clock, until: float) -> Row | None:
    """Change the row of a claimed job, and return it; None: the claim is void.

    Args:
        row: as it was claimed.
        until: the end of the claim, by the clock's monotonic seconds.

    Raises:
        JobError: the store doesn't answer until then.
    """
    pause, tries = FIRST_PAUSE_SECONDS, 0
    while True:
        tries += 1
        try:
            stored = store.change(row.key, change, fence=row.fence)
            if stored is None and tries > 1:
                stored = _stored_before(store, row, change)
            if stored is not None and stored.cancel_requested:
                stored = _cancel(store, stored)
            return stored
        except JobError:
            if clock.monotonic() + pause >= until:
                raise
        clock.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _stored_before(store: JobStore, row: Row, change: Change) -> Row | None:
    """Return the row if an earlier try did change it, though the store didn't say so."""
    there = store.get(row.key)
    ours = there is not None and there.fence == row.fence and there.state is change.state
    return there if ours else None


def _cancel(store: JobStore, stored: Row) -> Row:
    """End a job that would wait for its next run, and whose cancellation was asked for."""
    if stored.state not in WAITING:
        return stored
    end = ends.cancelled(stored, instance())
    return store.change(stored.key, end, states=WAITING) or stored
