"""Threads for sync tasks that can be given up.

Python cannot stop a thread. One that outlives its deadline is abandoned: another takes its place,
it ends when its work does, and being a daemon it does not keep the process alive.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Ticket:
    """One piece of work handed to the pool."""

    def __init__(self, pool: ThreadPool, work: Callable[[], None]) -> None:
        self._pool = pool
        self.work: Callable[[], None] | None = work
        """None when it has ended."""
        self.thread: threading.Thread | None = None
        """The thread that began it."""
        self.abandoned = False

    def abandon(self) -> str | None:
        """Give the work up.

        Returns:
            where its thread is, as a stack; None if it has ended or will not begin.
        """
        with self._pool.lock:
            if self.work is None or self.abandoned:
                return None
            self.abandoned = True
            if self.thread is None:
                return None
            self._pool.size += 1
            self._pool.abandoned += 1
            with suppress(RuntimeError):  # no thread to be had: the next submit tries again
                self._pool.call_thread()
            frame = sys._current_frames().get(self.thread.ident or 0)
        return "".join(traceback.format_stack(frame)) if frame else ""


class ThreadPool:
    """At most `limit` threads that work, started when needed, and any number of abandoned ones.

    Waking a thread costs more than a short task takes. So one thread at a time is on its way to
    the queue: it takes one ticket, and calls the next thread if there are more. A thread that has
    ended its work takes the next ticket itself.
    """

    def __init__(self, limit: int) -> None:
        self.lock = threading.Lock()
        self.size = limit
        """Threads that may exist: each abandoned one makes room for another."""
        self.abandoned = 0
        self._threads = 0
        self._tickets: deque[Ticket] = deque()
        self._idle: list[threading.Lock] = []
        """Each idle thread waits for a lock of its own; the last is called first."""
        self._called = False
        """A thread is on its way."""
        self._closed = False

    def submit(self, work: Callable[[], None]) -> Ticket:
        """Run `work`, which must not raise, in a thread of the pool.

        Raises:
            RuntimeError: the system gives the process no thread.
        """
        ticket = Ticket(self, work)
        with self.lock:
            self._tickets.append(ticket)
            try:
                self.call_thread()
            except RuntimeError:
                self._tickets.remove(ticket)
                raise
        return ticket

    def call_thread(self) -> None:
        """Call a thread to the queue if work waits and none is on its way; the lock is held."""
        if self._called or not self._tickets:
            return
        if self._idle:
            self._idle.pop().release()
        elif self._threads < self.size:
            threading.Thread(target=self._serve, name="ucam-faas-task", daemon=True).start()
            self._threads += 1
        else:
            return
        self._called = True

    def close(self) -> None:
        """Let the threads end when they have nothing to do."""
        with self.lock:
            self._closed = True
            while self._idle:
                self._idle.pop().release()

    def _serve(self) -> None:
        turn = threading.Lock()
        turn.acquire()
        ticket: Ticket | None = None
        while True:
            with self.lock:
                if ticket is None:
                    self._called = False
                else:
                    ticket.work = None  # it refers to this ticket's owner: no cycle is left behind
                    if ticket.abandoned:
                        self.size -= 1
                        self.abandoned -= 1
                        self._threads -= 1
                        return
                ticket = self._next()
                if ticket is None:
                    if self._closed:
                        self._threads -= 1
                        return
                    self._idle.append(turn)
            if ticket is None:
                turn.acquire()
            elif ticket.work is not None:
                ticket.work()

    def _next(self) -> Ticket | None:
        """Return the next ticket, begun; the lock is held."""
        while self._tickets:
            ticket = self._tickets.popleft()
            if not ticket.abandoned:
                ticket.thread = threading.current_thread()
                with suppress(RuntimeError):  # no thread to be had: this one goes on alone
                    self.call_thread()
                return ticket
        return None


async def call_in(pool: ThreadPool, function: Callable[[], None]) -> None:
    """Call a function in a thread of the pool, and raise here what it raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        try:
            function()
        except BaseException as error:
            loop.call_soon_threadsafe(finish, error)
        else:
            loop.call_soon_threadsafe(finish, None)

    pool.submit(work)
    await done
