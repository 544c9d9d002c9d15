"""What time it is, on two clocks: what is due must not wait when the wall clock is set back."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """Now."""

    wall: float
    """Epoch seconds: for publish times, retention, schedules and all that outlives the process."""
    steady: float
    """Seconds that are never set back: for leases, backoffs and sweeps."""
