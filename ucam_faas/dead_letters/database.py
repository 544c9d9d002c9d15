"""The SQLite file of a book: the page and the command line may use it at the same time.

Write-ahead logging with `synchronous=FULL`: what a transaction has written survives a loss of
power, too. A replay relies on that.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from ucam_faas.exceptions import ConfigurationError

BUSY_SECONDS = 30
"""How long a write waits for another process's."""
SCHEMA = 1
"""The version of the tables, in `PRAGMA user_version`."""


_BROKEN = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
"""SQLite's codes for a file of something else, a damaged one, and one with other tables."""


class BookError(ConfigurationError):
    """The book of dead letters can't be used; the message says what to do."""

    error_code = "letters"


class Database:
    """Opens the file when it is needed, and makes it readable for its owner alone.

    Args:
        path: of the file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._idle: deque[tuple[object, sqlite3.Connection]] = deque()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; statements see one state of the file."""
        with self._taken() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write all of a block, or nothing."""
        with self._taken() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    @contextmanager
    def _taken(self) -> Iterator[sqlite3.Connection]:
        """Take a connection that no other thread uses; one with an error isn't used again."""
        connection = None
        try:
            file, connection = self._idle_one() or self._opened()
            yield connection
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
                connection = None
            raise self._error(error) from error
        finally:
            if connection is not None:
                self._idle.append((file, connection))

    def _idle_one(self) -> tuple[object, sqlite3.Connection] | None:
        """Return an idle connection to the file that has the name now; others are closed."""
        file = self._file()
        while self._idle:
            try:
                opened, connection = self._idle.pop()
            except IndexError:  # another thread has it
                break
            if opened == file:
                return opened, connection
            connection.close()
        return None

    def _opened(self) -> tuple[object, sqlite3.Connection]:
        try:
            with _MAKING:  # the file isn't opened if it exists: closing it would end SQLite's locks
                self.path.touch(mode=0o600)
        except OSError as error:
            raise BookError(
                f"The book of dead letters {self.path} can't be used ({error.strerror})."
            ) from error
        return self._file(), self._connect()

    def _file(self) -> object:
        """Return which file has the name."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _error(self, error: sqlite3.DatabaseError) -> BookError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BROKEN:
            return BookError(f"The book of dead letters {self.path} can't be used: {error}.")
        return BookError(
            f"The book of dead letters {self.path} is broken: {error}. It is a copy: the letters "
            "are still in Pub/Sub, and failed jobs in their store. Move it away, with the files "
            f"beside it: `mv {self.path}* /tmp`. The next look at Pub/Sub makes a new one, without "
            "the edits, notes and replays that only this one has."
        )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            if _version(connection) != SCHEMA:
                self._make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # of processes that open it at once, one does it
        version = _version(connection)
        if version > SCHEMA:
            raise BookError(
                f"A newer ucam-faas made the book of dead letters {self.path}. Install that "
                "version, or name another file."
            )
        if version < SCHEMA:
            script = files(__package__).joinpath("schema.sql").read_text()
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


_MAKING = threading.Lock()
