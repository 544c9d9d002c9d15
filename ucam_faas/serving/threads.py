"""Threads for sync tasks that can be abandoned.

Python cannot stop a thread. One that outlives its deadline is abandoned: another takes its place,
it ends when its work does, and being a daemon it does not keep the process alive.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any


class Work:
    """One piece of work handed to the pool."""

    def __init__(
        self, pool: ThreadPool, call: Callable[[], Any], finish: Callable[[Any], object]
    ) -> None:
        self._pool = pool
        self._call = call
        self._finish = finish
        self._thread: threading.Thread | None = None
        self._ended = False
        self._abandoned = False

    def abandon(self) -> str | None:
        """Leave the work to its thread, and start another thread in its place.

        Returns:
            the stack of its thread; None if it has ended or will not begin.
        """
        with self._pool.lock:
            if self._ended or self._abandoned:
                return None
            self._abandoned = True
            if self._thread is None:
                return None
            self._pool.size += 1
            self._pool.abandoned += 1
            with suppress(RuntimeError):  # the system has none: the next submit tries again
                self._pool.start_if_needed()
            frame = sys._current_frames().get(self._thread.ident or 0)
        return _stack_of_user_code(frame) if frame else ""

    def run(self) -> bool:
        """Do the work in this thread; True if the thread is still the pool's."""
        if not self._begin():
            return True
        try:
            # No frame below this one refers to the work's owner, nor this one to the result: an
            # exception in it would keep them alive through its traceback.
            self._finish(self._call())
        finally:
            del self._call, self._finish  # they refer to the owner
            stays = self._end()
        return stays

    def _begin(self) -> bool:
        with self._pool.lock:
            if not self._abandoned:
                self._thread = threading.current_thread()
            return not self._abandoned

    def _end(self) -> bool:
        with self._pool.lock:
            self._ended = True
            if self._abandoned:
                self._pool.forget_thread()
            return not self._abandoned


class ThreadPool:
    """At most `limit` threads that work, started when needed, and any number of abandoned ones."""

    def __init__(self, limit: int) -> None:
        self.lock = threading.Lock()
        self.size = limit
        """Threads that may exist: each abandoned one makes room for another."""
        self.abandoned = 0
        self._threads = 0
        self._free = 0
        """Threads that wait or are about to, less the work that is queued for them."""
        self._queue: SimpleQueue[Work | None] = SimpleQueue()

    def submit(
        self, call: Callable[[], Any], finish: Callable[[Any], object] = lambda _: None
    ) -> Work:
        """In a thread of the pool, call `call`, and `finish` with its result; neither may raise.

        Raises:
            RuntimeError: the system gives the process no thread.
        """
        work = Work(self, call, finish)
        with self.lock:
            self._free -= 1
            try:
                self.start_if_needed()
            except RuntimeError:
                self._free += 1
                raise
        self._queue.put(work)
        return work

    def start_if_needed(self) -> None:
        """Start a thread if work waits for one and there may be one more; the lock is held."""
        if self._free < 0 and self._threads < self.size:
            threading.Thread(target=self._serve, name="ucam-faas-task", daemon=True).start()
            self._threads += 1
            self._free += 1

    def close(self) -> None:
        """End the threads when they have nothing to do."""
        with self.lock:
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._queue.put(None)

    def forget_thread(self) -> None:
        """Count an abandoned thread out, all at once; the lock is held."""
        self.size -= 1
        self.abandoned -= 1
        self._threads -= 1

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None and work.run():
            del work  # an idle thread holds on to nothing
            with self.lock:
                self._free += 1


def _stack_of_user_code(frame: FrameType) -> str:
    """Return a thread's stack without the frames above the function: threading's and ours."""
    ours = (threading.__file__, f"{Path(__file__).parents[1]}/")
    stack = traceback.extract_stack(frame)
    shown = list(dropwhile(lambda line: line.filename.startswith(ours), stack))
    return "".join(traceback.format_list(shown or stack))
