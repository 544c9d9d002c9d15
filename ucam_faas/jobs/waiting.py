"""Waiting for jobs to end: one thread for each store, and any number of waiters.

It reads the awaited rows when the store notifies it of an end, and every few seconds, because a
notification may be lost.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from functools import cached_property
from typing import TypeVar

from ucam_faas.exceptions import JobError, JobNotFoundError, JobStoreError
from ucam_faas.forks import reset_in_child
from ucam_faas.jobs.payloads.references import Reference, of_payload, of_result
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

POLL_SECONDS = 0.02
"""Until the thread looks for new waiters."""
LOOK_SECONDS = 2.0
"""Between two looks without a notification."""
AGAIN_SECONDS = 0.2
"""Before the next try, while the store doesn't answer."""
DataT = TypeVar("DataT", bytes, bytes | None)


class Waiting:
    """The waiters of a store, by job."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Start without waiters: in a forked process, they are the parent's."""
        self._lock = threading.Lock()
        self._futures: dict[Key, list[Future[Row]]] = {}
        self._new: list[Key] = []
        self._unseen: list[Future[Row]] = []
        self._thread: threading.Thread | None = None

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended.

        The future raises JobNotFoundError if there is no such job, and JobStoreError if the store
        doesn't answer the first look at it. Later, the thread waits until the store answers.
        """
        future: Future[Row] = Future()
        with self._lock:
            self._futures.setdefault(key, []).append(future)
            self._new.append(key)
            self._unseen.append(future)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="ucam-faas-waiting", daemon=True
                )
                self._thread.start()
        return future

    def _work(self) -> None:
        next_look = 0.0
        pause = threading.Event()  # never set: a sleep
        while True:
            new, unseen = self._take_new()
            keys = self._awaited()  # after the new ones, so that each of them is looked at
            if not keys:
                return
            try:
                if new:
                    self._store.watch(new)
                is_late = time.monotonic() >= next_look
                if self._store.changed(0 if new else POLL_SECONDS) or new or is_late:
                    self._resolve(self._store.ended(keys))
                    next_look = time.monotonic() + LOOK_SECONDS
            except Exception as error:
                if not isinstance(error, JobError):  # a fault: the waiters may not hang
                    with self._lock:
                        unseen = [future for some in self._futures.values() for future in some]
                _fail(unseen, error)
                next_look = 0.0
                with self._lock:  # all are watched again when the store answers
                    self._new = list(self._futures)
                pause.wait(AGAIN_SECONDS)

    def _awaited(self) -> list[Key]:
        """Return the jobs that are waited for; none: this thread ends."""
        with self._lock:
            for key, futures in list(self._futures.items()):
                waiting = [future for future in futures if not future.done()]
                if waiting:
                    self._futures[key] = waiting
                else:
                    del self._futures[key]
            if not self._futures:
                self._new, self._unseen, self._thread = [], [], None
            return list(self._futures)

    def _take_new(self) -> tuple[list[Key], list[Future[Row]]]:
        with self._lock:
            new, self._new = list(dict.fromkeys(self._new)), []
            unseen, self._unseen = self._unseen, []
            return new, unseen

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


def _fail(futures: list[Future[Row]], error: Exception) -> None:
    for future in futures:
        if not future.done() and future.set_running_or_notify_cancel():
            future.set_exception(error)


class WaitingStore(JobStore):
    """A store that has its waiters."""

    @cached_property
    def _waiting(self) -> Waiting:
        return Waiting(self)

    def payload_of(self, row: Row) -> bytes:
        """Return the payload of a row, which is in it."""
        return _in_row(row, row.payload, of_payload(row))

    def result_of(self, row: Row) -> bytes | None:
        """Return the result of a row, which is in it."""
        return _in_row(row, row.result, of_result(row))

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended."""
        return self._waiting.end_of(key)


def _in_row(row: Row, data: DataT, reference: Reference | None) -> DataT:
    """Return the data of a row, and never a reference in its place.

    Raises:
        JobStoreError: the data is in a payload store, and this process has none.
    """
    if reference is not None:
        raise JobStoreError(
            f"Data of the job {row.key.id!r} of {row.key.task!r} is in a payload store, and "
            "UCAM_FAAS_PAYLOADS isn't set here: set it as the process has it that stored the data."
        )
    return data
