"""The one thread of a process that exports: when something is due, or at a flush.

A flush waits no longer than it is told. After one that ran out, the others don't wait for a while:
a receiver that hangs delays one answer, and not each.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress

from ucam_faas.clock import Clock, SystemClock

QUIET_SECONDS = 30.0
"""After a flush that ran out, none waits for this long, unless an export succeeds."""


class Sender:
    """Calls `export` in a daemon thread, which starts when there is something to export.

    Args:
        export: exports all there is, and returns False if that failed; its argument is True at the
            end of the process.
        clock: measures the time until the next export.
    """

    def __init__(self, export: Callable[[bool], bool], clock: Clock | None = None) -> None:
        self._export = export
        self._clock = clock or SystemClock()
        self.reset()

    def reset(self) -> None:
        """Start again, in a forked process: the thread is the parent's."""
        self._changed = threading.Condition()  # reentrant: a finalizer may end a span
        self._due: float | None = None
        """When to export, by the monotonic clock; None: nothing waits."""
        self._waiters: list[Future[bool]] = []
        self._is_last = False
        self._thread: threading.Thread | None = None
        self._quiet_until = 0.0

    def wake(self, seconds: float) -> None:
        """Have everything exported within a time."""
        due, earlier = self._clock.monotonic() + seconds, self._due
        if earlier is not None and earlier <= due:
            return
        with self._changed, suppress(RuntimeError):  # the system gives no thread now
            self._due = due
            self._start()
            self._changed.notify()

    def flush(self, seconds: float, *, last: bool = False) -> bool:
        """Export now, and return True if that is done within a time.

        Args:
            seconds: the longest wait.
            last: the process ends: waits even where others wouldn't.
        """
        waiter = self._join(last=last)
        if waiter is None:
            return False
        wait((waiter,), seconds)
        return self._is_done(waiter)

    async def flush_async(self, seconds: float) -> bool:
        """Export now, and return True if that is done within a time; for an event loop."""
        waiter = self._join(last=False)
        if waiter is None:
            return False
        ended = asyncio.wrap_future(waiter)
        try:
            await asyncio.wait((ended,), timeout=seconds)
            return self._is_done(waiter)
        finally:
            ended.cancel()  # or the thread would call a loop that may be closed

    def _join(self, *, last: bool) -> Future[bool] | None:
        """Return the end of the next export; None: it isn't worth a wait."""
        if not last and self._clock.monotonic() < self._quiet_until:
            self.wake(0)
            return None
        waiter: Future[bool] = Future()
        with self._changed:
            try:
                self._start()
            except RuntimeError:  # the system gives no thread, or the interpreter exits
                return None
            self._waiters.append(waiter)
            self._is_last |= last
            self._changed.notify()
        return waiter

    def _is_done(self, waiter: Future[bool]) -> bool:
        if not waiter.done():
            self._quiet_until = self._clock.monotonic() + QUIET_SECONDS
            return False
        return waiter.result()

    def _start(self) -> None:
        """Start the thread, if it isn't there; the lock is held."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="ucam-faas-telemetry", daemon=True)
            thread.start()
            self._thread = thread

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiters and (left := self._seconds_left()) != 0:
                    self._changed.wait(left)
                waiters, self._waiters = self._waiters, []
                is_last, self._is_last, self._due = self._is_last, False, None
            waiters = [each for each in waiters if each.set_running_or_notify_cancel()]
            try:
                succeeded = self._export(is_last)
            except Exception:  # whatever an exporter of the user does
                succeeded = False
            if succeeded:
                self._quiet_until = 0.0
            for waiter in waiters:
                waiter.set_result(succeeded)

    def _seconds_left(self) -> float | None:
        return None if self._due is None else max(0.0, self._due - self._clock.monotonic())
