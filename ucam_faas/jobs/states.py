"""The states of a job, and the changes between them that are allowed.

          ┌──────── failed, interrupted ────────┐
          ▼                                     │
send ► PENDING ──── claim ────► STARTED ── finish ─► SUCCESS, FAILURE
         │ ▲                      │  │
         │ └─ resume ─ PAUSED ◄───┘  └─► CANCELLED
         └─► EXPIRED, CANCELLED
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a job."""

    PENDING = "PENDING"
    """It waits: for its time, for an instance, or for its next attempt."""
    STARTED = "STARTED"
    """A process holds it, until its lease ends."""
    PAUSED = "PAUSED"
    """It waits for `resume`."""
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    EXPIRED = "EXPIRED"
    """Its time to live passed while it waited."""
    CANCELLED = "CANCELLED"

    @property
    def is_completed(self) -> bool:
        """Return True if the job has ended."""
        return self in ENDED


ENDED = frozenset({State.SUCCESS, State.FAILURE, State.EXPIRED, State.CANCELLED})
UNSUCCESSFUL = ENDED - {State.SUCCESS}
LIVE = frozenset(State) - ENDED
WAITING = LIVE - {State.STARTED}
