"""The SQLite file of a book: the page and the command line may use it at the same time.

Write-ahead logging with `synchronous=FULL`: what a transaction has written survives a loss of
power, too. A replay relies on that.
"""

from __future__ import annotations

import os
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


class Database:
    """Opens the file when it is needed, and makes it readable for its owner alone.

    Args:
        path: of the file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._idle: deque[sqlite3.Connection] = deque()
        self._origin: tuple[int, object] = (0, None)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; statements see one state of the file."""
        with self._taken() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
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
            self._idle.pop().close()

    @contextmanager
    def _taken(self) -> Iterator[sqlite3.Connection]:
        connection = None
        try:
            connection = self._connection()
            yield connection
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(f"The book of dead letters {self.path}: {error}.") from error
        finally:
            if connection is not None:
                self._idle.append(connection)

    def _connection(self) -> sqlite3.Connection:
        """Return a connection that no other thread uses."""
        if (os.getpid(), self._inode()) != self._origin:  # a fork, or another file by this name
            _ABANDONED.extend(self._idle)
            self._idle.clear()
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._connect()
            self._origin = os.getpid(), self._inode()
            return connection

    def _inode(self) -> object:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        try:
            with _MAKING:  # the file isn't opened if it exists: closing it would end SQLite's locks
                self.path.touch(mode=0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The book of dead letters {self.path} can't be used ({error.strerror})."
            ) from error
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        if _version(connection) != SCHEMA:
            self._make_tables(connection)
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # of processes that open it at once, one does it
        version = _version(connection)
        if version > SCHEMA:
            connection.execute("ROLLBACK")
            raise ConfigurationError(
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
_ABANDONED: list[sqlite3.Connection] = []
"""Never closed: SQLite would remove the log of the file that is there now, by its name."""
