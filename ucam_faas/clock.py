"""The only reader of time: wall clock, durations and timers.

Everything that waits, expires or measures takes a `Clock`, so that tests use
`ucam_faas.testing.ManualClock` and never sleep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from types import TracebackType
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

    def sleep(self, seconds: float) -> None:
        """Block this thread; not on an event loop."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the wall-clock time, in epoch seconds: as `now().timestamp()`, in less time."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some fixed point; for durations only."""
        return time.perf_counter()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop in `delay_seconds` seconds."""
        return asyncio.get_running_loop().call_later(delay_seconds, callback)

    def sleep(self, seconds: float) -> None:
        """Block this thread; not on an event loop."""
        time.sleep(seconds)


def timeout(clock: Clock, seconds: float) -> AbstractAsyncContextManager[None]:
    """Limit a block by a clock, as `asyncio.timeout` does by the event loop's time.

    Raises:
        TimeoutError: the block was cancelled, since it took longer than `seconds`.
    """
    return _Timeout(clock, seconds)


class _Timeout(AbstractAsyncContextManager[None]):
    """As `asyncio.Timeout`, in half the time: the emulator limits each push."""

    __slots__ = ("_before", "_clock", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "coroutines run in tasks"
        self._task = task
        self._before = self._task.cancelling()
        self._timer = self._clock.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._expired:
            others = self._task.uncancel() - self._before
            if others <= 0 and exc_type is asyncio.CancelledError:
                raise TimeoutError from exc
