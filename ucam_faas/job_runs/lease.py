"""The lease of a job: its row as it was claimed, and the time for which this process holds it."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.clock import Clock
from ucam_faas.jobs.rows import Change, Row
from ucam_faas.jobs.stores import JobStore


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed job. Its methods but `seconds_left` block.

    Args:
        store: has the row.
        row: as it was claimed.
        ends_at: the end of the claim, by the monotonic clock.
        begun_at: the time at which its function could begin, by the same.
    """

    store: JobStore
    row: Row
    ends_at: float = 0.0
    begun_at: float = 0.0

    def change(self, change: Change) -> Row | None:
        """Change the row, and return it; None: another process holds the job by now.

        Raises:
            JobStoreError: the store doesn't answer.
        """
        return self.store.change(self.row.key, change, fence=self.row.fence)

    def seconds_left(self, clock: Clock) -> float:
        """Return how long the claim lasts."""
        return self.ends_at - clock.monotonic()
