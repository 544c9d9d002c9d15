"""Waiting for jobs to end: one thread for each store, and any number of waiters.

It reads the awaited rows when the store notifies it of an end, and every few seconds, because a
notification may be lost.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from functools import cached_property

from ucam_faas.exceptions import JobError, JobNotFoundError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

POLL_SECONDS = 0.02
"""Until the thread looks for new waiters."""
LOOK_SECONDS = 2.0
"""Between two looks without a notification."""
AGAIN_SECONDS = 0.2
"""Before the next try, while the store doesn't answer."""


class Waiting:
    """The waiters of a store, by job."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._futures: dict[Key, list[Future[Row]]] = {}
        self._new: list[Key] = []
        self._thread: threading.Thread | None = None

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended.

        The future raises JobNotFoundError if there is no such job.
        """
        future: Future[Row] = Future()
        with self._lock:
            self._futures.setdefault(key, []).append(future)
            self._new.append(key)
            if self._thread is None or not self._thread.is_alive():  # dead: of the parent process
                self._thread = threading.Thread(
                    target=self._work, name="ucam-faas-waiting", daemon=True
                )
                self._thread.start()
        return future

    def _work(self) -> None:
        next_look = 0.0
        pause = threading.Event()  # never set: a sleep
        while keys := self._awaited():
            new = self._take_new()
            try:
                if new:
                    self._store.watch(new)
                is_late = time.monotonic() >= next_look
                if self._store.changed(0 if new else POLL_SECONDS) or new or is_late:
                    self._resolve(self._store.ended(keys))
                    next_look = time.monotonic() + LOOK_SECONDS
            except JobError:  # the store is down: all are watched again when it answers
                next_look = 0.0
                with self._lock:
                    self._new = list(self._futures)
                pause.wait(AGAIN_SECONDS)

    def _awaited(self) -> list[Key]:
        """Return the jobs that are waited for; none: this thread ends."""
        with self._lock:
            for key, futures in list(self._futures.items()):
                waiting = [future for future in futures if not future.cancelled()]
                if waiting:
                    self._futures[key] = waiting
                else:
                    del self._futures[key]
            if not self._futures:
                self._new, self._thread = [], None
            return list(self._futures)

    def _take_new(self) -> list[Key]:
        with self._lock:
            new, self._new = list(dict.fromkeys(self._new)), []
            return new

    def _resolve(self, rows: dict[Key, Row | None]) -> None:
        for key, row in rows.items():
            with self._lock:
                futures = self._futures.pop(key, [])
            for future in futures:
                if not future.set_running_or_notify_cancel():
                    continue
                if row is None:
                    future.set_exception(JobNotFoundError(f"There is no job {key.id!r}."))
                else:
                    future.set_result(row)


class WaitingStore(JobStore):
    """A store that has its waiters."""

    @cached_property
    def _waiting(self) -> Waiting:
        return Waiting(self)

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended."""
        return self._waiting.end_of(key)
