"""The lock of a book: one process at a time holds its letters."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ucam_faas.clock import Clock
from ucam_faas.exceptions import ConfigurationError

TRIES = 3


class BookBusyError(ConfigurationError):
    """Another process, or another thread, holds the book's letters."""

    error_code = "busy"

    def __init__(self) -> None:
        super().__init__(
            "These dead letters are being copied, replayed or purged now. Try again after that; a "
            "run can be cancelled."
        )


class BookLock:
    """A file that one process locks at a time, and the system unlocks at its end.

    Args:
        path: of the file.
        clock: waits between tries.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one of the book's processes that holds letters meanwhile, however this
        process ends.

        Raises:
            BookBusyError: another one holds them.
        """
        with self._open() as descriptor:
            if not self._locks(descriptor):
                raise BookBusyError
            yield

    def is_busy(self) -> bool:
        """Return True if a process is alone with the book."""
        with self._open() as descriptor:
            return not self._locks(descriptor)

    @contextmanager
    def _open(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _locks(self, descriptor: int) -> bool:
        """Lock the book, and return False if another process has; `is_busy` has it at times."""
        for _ in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._clock.sleep(0.02)
            else:
                return True
        return False
