"""Waiting for jobs to end: one thread a store, whoever waits.

It asks for the store's version, and reads the rows that are waited for when that has changed.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress

from ucam_faas.exceptions import JobError, JobNotFoundError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

POLL_SECONDS = 0.01


class Waiting:
    """The waiters of a store, by job."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._futures: dict[Key, list[Future[Row]]] = {}
        self._thread: threading.Thread | None = None
        self._new = threading.Event()

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended.

        The future raises JobNotFoundError if there is no such job.
        """
        future: Future[Row] = Future()
        with self._lock:
            self._futures.setdefault(key, []).append(future)
            self._new.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="ucam-faas-waiting", daemon=True
                )
                self._thread.start()
        return future

    def _watch(self) -> None:
        version = -1
        pause = threading.Event()  # never set: a sleep
        while True:
            with self._lock:
                if not self._futures:
                    self._thread = None
                    return
                look = self._new.is_set()
                self._new.clear()
            with suppress(JobError):  # the store is down: the next look may succeed
                now = self._store.version()
                if look or now != version:
                    version = now
                    self._look()
            pause.wait(POLL_SECONDS)

    def _look(self) -> None:
        with self._lock:
            for key, futures in self._futures.items():
                self._futures[key] = [future for future in futures if not future.cancelled()]
            self._futures = {key: futures for key, futures in self._futures.items() if futures}
            keys = list(self._futures)
        for key in keys:
            row = self._store.get(key)
            if row is not None and not row.state.is_completed:
                continue
            with self._lock:
                futures = self._futures.pop(key, [])
            for future in futures:
                if not future.set_running_or_notify_cancel():
                    continue
                if row is None:
                    future.set_exception(JobNotFoundError(f"There is no job {key.id!r}."))
                else:
                    future.set_result(row)
