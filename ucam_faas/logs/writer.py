"""Log lines on their way to a descriptor, written by a thread of their own.

A reader that stops (a full pipe, a terminal's Ctrl-S) must stop neither answers nor signals: lines
wait in a bounded buffer, and beyond it they are dropped and counted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from ucam_faas.logs.records import record_of

LIMIT_BYTES = 4_000_000
"""Lines that may wait: some 4,000 of them."""
FLUSH_SECONDS = 1.0
"""A process that ends waits this long for its reader."""
BATCH_SECONDS = 0.01
"""A line that comes alone is written at once, those that come right after it together: to wake a
thread for each would cost as much as making the line."""
_Item = bytes | threading.Event | None
"""A line; or an event to set when all before it is written; or the end."""


class BackgroundHandler(logging.Handler):
    """Writes each record's line, and never waits for the reader.

    Args:
        descriptor: where lines go.
        limit_bytes: how much may wait.
        piece_bytes: how much is written at once, at most, but for a line of any size.
        batch_seconds: the time between two writes.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        limit_bytes: int = LIMIT_BYTES,
        piece_bytes: int = select.PIPE_BUF,  # a pipe takes this much in one piece
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        super().__init__()
        self._piece_bytes = piece_bytes
        self._batch_seconds = batch_seconds
        self.dropped = 0
        """Lines that found the buffer full, and aren't reported yet."""
        # A task that closes the descriptor may give its number to a client's connection.
        self._descriptor = os.dup(descriptor)
        # A file that processes forked from this one share, to lock: they share the descriptor, too.
        self._turns = os.memfd_create("ucam-faas-log") if sys.platform == "linux" else -1
        self._limit_bytes = limit_bytes
        self._items: SimpleQueue[_Item] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._taken = self._written = 0  # bytes; each is changed by one thread
        os.register_at_fork(before=self._end_thread, after_in_child=self._forget)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record's line over, or count it as dropped."""
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        if self._taken - self._written > self._limit_bytes:
            self.dropped += 1
            return
        if self.dropped:
            self._put_dropped()
        self._taken += len(line)
        self._items.put(line)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Wait until all lines are written, but not for long."""
        written = threading.Event()
        self.acquire()
        try:
            if self.dropped:
                self._put_dropped()
            if self._thread is None and self._items.empty():
                return
            self._items.put(written)
            if self._thread is None:
                self._start()
        finally:
            self.release()
        written.wait(FLUSH_SECONDS)

    def _line(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def _put_dropped(self) -> None:
        message, fields = "ucam_faas_log_lines_dropped", {"dropped": self.dropped}
        self.dropped = 0
        line = self._line(record_of(logging.WARNING, message, fields))
        self._taken += len(line)
        self._items.put(line)

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._write_all, args=[self._items], name="ucam-faas-log", daemon=True
        )
        with suppress(RuntimeError):  # the system gives no thread: the next line tries again
            thread.start()
            self._thread = thread

    def _forget(self) -> None:
        """Start empty: in a forked process the thread and its lines are the parent's."""
        self._items, self._thread = SimpleQueue(), None
        self._taken = self._written = 0

    def _end_thread(self) -> None:
        """Before a fork, which wants a single thread; the next line starts another."""
        thread = self._thread
        if thread is not None:
            self._items.put(None)
            thread.join(FLUSH_SECONDS)

    def _write_all(self, items: SimpleQueue[_Item]) -> None:
        is_ending = False
        while True:
            batch = [items.get()]
            while not items.empty():  # this thread is the only one that takes
                batch.append(items.get())
            with self._turn():
                self._write_batch(batch)
            is_ending = is_ending or None in batch
            if is_ending and self._end():
                return
            time.sleep(self._batch_seconds)

    def _end(self) -> bool:
        """End the thread, unless a line came meanwhile: a later one starts another thread."""
        assert self.lock is not None, "handlers have one"
        with self.lock:  # as `_put` has
            if not self._items.empty():
                return False
            self._thread = None
            return True

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep the other processes from writing into a line: a pipe takes long ones in parts."""
        # There is no lock where the system has none, or a task has closed every descriptor.
        with suppress(OSError, ValueError):
            fcntl.lockf(self._turns, fcntl.LOCK_EX)  # the kernel unlocks it if this process ends
        try:
            yield
        finally:
            with suppress(OSError, ValueError):
                fcntl.lockf(self._turns, fcntl.LOCK_UN)

    def _write_batch(self, batch: list[_Item]) -> None:
        text = b""
        for item in batch:
            if isinstance(item, bytes):
                if len(text) + len(item) > self._piece_bytes:
                    self._write(text)
                    text = b""
                text += item
            elif item is not None:
                self._write(text)
                text = b""
                item.set()
        self._write(text)

    def _write(self, text: bytes) -> None:
        rest = text
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever shares the descriptor has made it so
                select.select([], [self._descriptor], [])
            except OSError:  # the reader is gone: there is nowhere to say so
                break
        self._written += len(text)  # until then it fills the buffer
