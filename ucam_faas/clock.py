"""The only reader of time: wall clock, durations and timers.

Everything that waits, expires or measures takes a `Clock`, so that tests use
`ucam_faas.testing.ManualClock` and never sleep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Make sure that the callback is not called, if it was not yet."""


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""

    def monotonic(self) -> float:
        """Return seconds since some fixed point; for durations only."""

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop in `delay_seconds` seconds."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed point; for durations only."""
        return time.perf_counter()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop in `delay_seconds` seconds."""
        return asyncio.get_running_loop().call_later(delay_seconds, callback)


@asynccontextmanager
async def timeout(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Limit a block by a clock, as `asyncio.timeout` does by the event loop's time.

    Raises:
        TimeoutError: the block was cancelled, since it took longer than `seconds`.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer = clock.call_later(seconds, lambda: limit.reschedule(loop.time()))
        try:
            yield
        finally:
            timer.cancel()
