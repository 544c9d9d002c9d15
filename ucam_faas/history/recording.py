"""The process that writes a history. Run as a module; see `Recorder`, which starts it.

It gets an inherited socket, from which it reads events and the descriptors of the tasks'
processes, and to which it writes sentences for people. It ends when the socket is closed, after its
last write.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ucam_faas.clock import SystemClock
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.history import search
from ucam_faas.history.database import is_current, only_writer, open_for_writing, remove
from ucam_faas.history.events import Event, unpack
from ucam_faas.history.ledger import Ledger
from ucam_faas.history.pruning import Pruning

BATCH_SECONDS = 0.05
"""Events that come within this time are written together."""
BATCH_EVENTS = 5_000
EARLY_SECONDS = 0.3
"""A line waits for the news of its delivery, which comes by another way."""
READ_BYTES = 1_000_000
IDLE_SECONDS = 0.2
"""After this time without an event the index of words is made."""
BUSY_SECONDS = 2.0
"""As long as events keep coming, a part of the index is made this often."""
INDEXED_AT_ONCE = 500
END_SECONDS = 1.0
"""The time in which the lines of other processes are taken when `dev` has ended."""
NICENESS, LOWEST = 5, 19
"""Tasks and deliveries go first."""
BUSY_EVENTS, LATE_SECONDS = 200, 0.5
"""With more events in a batch it has the lowest priority, unless it is late already."""
MOST_DESCRIPTORS = 16
BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""SQLite's codes for a broken file."""


class Inlet:
    """One of the sockets that events come from, in frames."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.is_open = True
        self._content = bytearray()

    def read(self) -> tuple[list[Event], list[int]]:
        """Return the events that came, and descriptors that came with them."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self.channel, READ_BYTES, MOST_DESCRIPTORS)
        except ConnectionError:
            content, descriptors = b"", []
        self.is_open = bool(content)
        self._content += content
        events, size = unpack(self._content)
        del self._content[:size]
        return events, list(descriptors)


class Recording:
    """Writes the events of all inlets.

    Args:
        database: of the history.
        pruning: keeps it small.
        tell: shows a sentence.
    """

    def __init__(
        self, database: sqlite3.Connection, pruning: Pruning, tell: Callable[[str], None]
    ) -> None:
        self._db = database
        self._pruning = pruning
        self._tell = tell
        self._clock = SystemClock()
        self._priority = Priority()
        self._ledger = Ledger(database)
        self._selector = selectors.DefaultSelector()
        self._waiting = 0
        """Events that aren't written yet."""
        self._to_index = True
        self._indexed_at = self._clock.monotonic()
        self._is_troubled = False

    def run(self, main: Inlet) -> None:
        """Write until the main inlet is closed, with everything that has come until then.

        Raises:
            sqlite3.DatabaseError: the file is broken.
        """
        self._add(main)
        due: float | None = None  # when the events that wait are written
        while main.is_open:
            now = self._clock.monotonic()
            ready = self._read(self._spare_seconds() if due is None else max(0.0, due - now))
            now = self._clock.monotonic()
            if self._waiting and due is None:
                due = now + BATCH_SECONDS
            if due is not None and (now >= due or self._waiting >= BATCH_EVENTS):
                self._write()
                due = now + BATCH_SECONDS if self._ledger.is_waiting else None
            elif not ready:
                self._attempt(self._use_spare_time)
        end = self._clock.monotonic() + END_SECONDS
        while self._selector.get_map() and self._clock.monotonic() < end:
            if not self._read(0.0):
                break
        self._ledger.settle(math.inf)
        self._write()
        self._write()  # what waited for more
        while self._to_index:
            self._attempt(self._index)

    def _spare_seconds(self) -> float:
        """Return how long to wait for events before the next work for spare time."""
        return IDLE_SECONDS if self._to_index else self._pruning.seconds_left()

    def _use_spare_time(self) -> None:
        if self._to_index:
            self._index()
        elif self._pruning.is_due():
            self._pruning.prune(self._db)

    def _add(self, inlet: Inlet) -> None:
        self._selector.register(inlet.channel, selectors.EVENT_READ, inlet)

    def _read(self, seconds: float) -> bool:
        """Take what has come, or wait for it; return False if nothing came."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            events, descriptors = key.data.read()
            for descriptor in descriptors:
                self._add(Inlet(socket.socket(fileno=descriptor)))
            if not key.data.is_open:
                self._selector.unregister(key.data.channel)
                key.data.channel.close()
            self._waiting += len(events)
            self._attempt(partial(self._ledger.apply, events))
        return bool(ready)

    def _write(self) -> None:
        now = self._clock.now().timestamp()
        is_late = self._ledger.watermark < now - LATE_SECONDS
        self._priority.set(is_low=self._waiting > BUSY_EVENTS and not is_late)
        self._waiting = 0
        settled = now - EARLY_SECONDS
        self._attempt(lambda: self._ledger.settle(settled))
        self._attempt(self._ledger.flush)
        self._to_index = True
        if self._clock.monotonic() - self._indexed_at > BUSY_SECONDS:
            self._attempt(self._index)
        if self._pruning.is_overdue():
            self._attempt(lambda: self._pruning.prune(self._db))

    def _index(self) -> None:
        self._to_index = search.index(self._db, INDEXED_AT_ONCE) == INDEXED_AT_ONCE
        self._indexed_at = self._clock.monotonic()

    def _attempt(self, work: Callable[[], object]) -> None:
        """Do something, or say why it can't be done; once, until something works again.

        Raises:
            sqlite3.DatabaseError: the file is broken.
        """
        try:
            work()
        except Exception as error:  # such as a full disk, or a number that SQLite can't hold
            if _is_of_broken_file(error):
                raise
            self._to_index = False
            if not self._is_troubled:
                self._tell(f"The history isn't recorded: {error}.")
            self._is_troubled = True
        else:
            if self._is_troubled and work == self._ledger.flush:
                self._is_troubled = False
                self._tell("The history is recorded again.")


class Priority:
    """Lets deliveries and tasks go first, where there isn't enough CPU time for all."""

    def __init__(self) -> None:
        os.nice(NICENESS)
        self._is_low = False

    def set(self, *, is_low: bool) -> None:
        """Change the share of this session: some machines divide the time among those first."""
        if is_low is not self._is_low:
            with contextlib.suppress(OSError):  # not Linux; or it was changed a moment ago
                Path("/proc/self/autogroup").write_text(str(LOWEST if is_low else 0))
                self._is_low = is_low


def main(descriptor: int, path: Path, days: float, megabytes: float) -> None:
    """Write the history until the socket is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # of a group; it ends when `dev` has
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)

    def tell(sentence: str) -> None:
        with contextlib.suppress(OSError):
            channel.sendall(sentence.encode() + b"\n")

    try:
        with only_writer(path):
            if not (is_current(path) and _is_whole(path)):
                tell(f"The history in {path} is broken, or of another version: a new one begins.")
                remove(path)
            with contextlib.closing(open_for_writing(path)) as database:
                Recording(database, Pruning(days, megabytes), tell).run(Inlet(channel))
    except (ConfigurationError, OSError, sqlite3.Error) as error:
        tell(f"There is no history from now on: {error}")
        if _is_of_broken_file(error):
            remove(path)  # the next session begins a new one


def _is_whole(path: Path) -> bool:
    """Return False for a file whose last rows can't be read."""
    try:
        with contextlib.closing(open_for_writing(path)) as database:
            Ledger(database)
    except sqlite3.DatabaseError as error:
        if _is_of_broken_file(error):
            return False
        raise
    return True


def _is_of_broken_file(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BROKEN


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
