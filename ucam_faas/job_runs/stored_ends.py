"""Store the end of a run. Success begins when it is stored, so it is tried until the lease is over.

A store blocks, so nothing in here may be called on an event loop.
"""

from __future__ import annotations

from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobError
from ucam_faas.job_runs import ends
from ucam_faas.job_runs.instance import instance
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.rows import Change, Row
from ucam_faas.jobs.states import WAITING
from ucam_faas.jobs.stores import JobStore

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""Between two tries."""


def store_end(lease: Lease, change: Change, clock: Clock) -> Row | None:
    """Change the row of a claimed job, and return it; None: the claim is void.

    Raises:
        JobError: the store doesn't answer while the claim lasts.
    """
    pause, tries = FIRST_PAUSE_SECONDS, 0
    while True:
        tries += 1
        try:
            stored = lease.change(change)
            if stored is None and tries > 1:
                stored = _stored_before(lease, change)
            if stored is not None and stored.cancel_requested:
                stored = _cancel(lease.store, stored)
            return stored
        except JobError:
            if pause >= lease.seconds_left(clock):
                raise
        clock.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _stored_before(lease: Lease, change: Change) -> Row | None:
    """Return the row if an earlier try did change it, though the store didn't say so."""
    there = lease.store.get(lease.row.key)
    ours = there is not None and there.fence == lease.row.fence and there.state is change.state
    return there if ours else None


def _cancel(store: JobStore, stored: Row) -> Row:
    """End a job that would wait for its next run, and whose cancellation was asked for."""
    if stored.state not in WAITING:
        return stored
    end = ends.cancelled(stored, instance())
    return store.change(stored.key, end, states=WAITING) or stored
