"""The time on two clocks: leases and timers must not wait when the wall clock is set back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """Now."""

    wall: float
    """Epoch seconds: for publish times, retention, schedules and all that outlives the process."""
    steady: float
    """Seconds that are never set back: for leases, backoffs and sweeps."""


def timestamp(time: float) -> str:
    """Return an instant as Google's JSON has it: RFC 3339, in UTC."""
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
