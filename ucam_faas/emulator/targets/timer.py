"""The timer of the next run by the wall clock, which may be set back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ucam_faas.clock import Timer
from ucam_faas.emulator.hub import Hub

SET_BACK_SECONDS = 60.0
"""By so much at once, the wall clock was set back; by less, it was adjusted."""


class WallTimer:
    """Calls back when the next thing is due.

    Args:
        hub: has the time.
        next_due: returns when that is, in epoch seconds; None: nothing is.
        fire: does what is due at a time.
        set_back: plans again after the wall clock was set back, by so many seconds, to a time.
        longest_timer: seconds; longer ones are set again, since timers stop while a laptop sleeps,
            and the wall clock doesn't.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        next_due: Callable[[], float | None],
        fire: Callable[[float], None],
        set_back: Callable[[float, float], None],
        longest_timer: float,
    ) -> None:
        self._hub = hub
        self._next_due = next_due
        self._fire = fire
        self._set_back = set_back
        self._longest_timer = longest_timer
        self._timer: Timer | None = None
        self._soon = False
        self._ahead = self._wall_ahead()

    def set(self) -> None:
        """Set it again: another thing may be the next one."""
        self._soon = False
        self.close()
        due = self._next_due()
        if due is not None and not self._hub.closed:
            delay = min(max(0.0, due - self._hub.wall_time()), self._longest_timer)
            self._timer = self._hub.clock.call_later(delay, self._on_timer)

    def set_soon(self) -> None:
        """Set it again, once for all changes of this turn of the loop."""
        if not self._soon and not self._hub.closed:
            self._soon = True
            asyncio.get_running_loop().call_soon(self.set)

    def reset(self) -> None:
        """Forget the wall clock: it may be another one."""
        self._ahead = self._wall_ahead()
        self.set_soon()

    def close(self) -> None:
        """Cancel it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._follow_wall_clock()
        self._fire(self._hub.wall_time())
        self.set()

    def _follow_wall_clock(self) -> None:
        """Plan again if it was set back: nothing waits until it is as late as it was."""
        before, self._ahead = self._ahead, self._wall_ahead()
        if before - self._ahead > SET_BACK_SECONDS:
            self._set_back(before - self._ahead, self._hub.wall_time())

    def _wall_ahead(self) -> float:
        now = self._hub.now()
        return now.wall - now.steady
