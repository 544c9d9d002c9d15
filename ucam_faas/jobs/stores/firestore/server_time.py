"""Google's time, kept from its answers: each of them has the time of the read or the commit."""

from __future__ import annotations

from typing import NamedTuple

from ucam_faas.clock import Clock

_MOST_DRIFT_SECONDS = 1.0
"""Between the machine's two clocks: more, and it was suspended, or its time was set."""


class _Answer(NamedTuple):
    server: float
    monotonic: float
    wall: float


class ServerTime:
    """The time of a server, however wrong this machine's clock is.

    It is late by the way of an answer, some milliseconds: a job starts so much later.

    Args:
        clock: of this machine.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: _Answer | None = None

    def observe(self, server: float) -> None:
        """Take the time of an answer, in epoch seconds."""
        clock = self._clock
        self._last = _Answer(server, clock.monotonic(), clock.now().timestamp())

    def now(self) -> float | None:
        """Return the server's time, in epoch seconds; None: an answer has to be got first."""
        last = self._last
        if last is None:
            return None
        passed = self._clock.monotonic() - last.monotonic
        by_wall_clock = self._clock.now().timestamp() - last.wall
        if abs(passed - by_wall_clock) > _MOST_DRIFT_SECONDS:
            return None
        return last.server + passed
