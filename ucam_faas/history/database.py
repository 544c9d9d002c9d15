"""The file of a history: how it is opened, by its one writer and by its readers.

It holds payloads: it is its owner's alone. The journal is a write-ahead log, so readers never wait,
and a process that is killed leaves a file that opens.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import make_private

FILE = "history.sqlite3"
VERSION = 2
"""Of the tables, in `PRAGMA user_version`."""
SCHEMA = Path(__file__).with_name("schema.sql")
PLACES = 4096
"""Numbers of deliveries that each message has."""
SPANS = (60, 600, 3600)
"""Seconds that counters count."""


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Wait until no other process writes a history, and keep others from it meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    make_private(lock)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return the connection of the only writer; the file and its tables are made.

    Raises:
        ConfigurationError: it can't be used.
    """
    try:
        make_private(path)
        database = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(f"{path} cannot be used ({error}).") from error
    try:
        _prepare(database)
    except sqlite3.Error as error:
        database.close()
        raise ConfigurationError(f"{path} cannot be used ({error}).") from error
    return database


def _prepare(database: sqlite3.Connection) -> None:
    run = database.execute
    run("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table: pruning shrinks the file
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = NORMAL")
    run("PRAGMA wal_autocheckpoint = 2000")
    run("PRAGMA journal_size_limit = 16000000")
    run("PRAGMA cache_size = -16000")
    if run("PRAGMA user_version").fetchone()[0] == 0:
        text = SCHEMA.read_text()
        database.executescript(f"BEGIN IMMEDIATE;{text}PRAGMA user_version = {VERSION};COMMIT;")


def is_current(path: Path) -> bool:
    """Return False for a file that can't be read, or is of another version."""
    if not path.exists():
        return True
    try:
        database = sqlite3.connect(path)
        try:
            return database.execute("PRAGMA user_version").fetchone()[0] in (0, VERSION)
        finally:
            database.close()
    except sqlite3.OperationalError:  # locked, or not readable: `connect` says it again
        return True
    except sqlite3.DatabaseError:
        return False


def remove(path: Path) -> None:
    """Delete a history, if there is one."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Return a connection; None: there is no history of this version."""
    if not path.exists():
        return None
    database = None
    with suppress(sqlite3.Error):
        # Not mode=ro: it can't make the shared memory that readers of a write-ahead log need.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        database = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA query_only = ON")
        database.execute("PRAGMA cache_size = -8000")
        if database.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return database
    if database is not None:
        database.close()
    return None


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit the writes of a block together, or none of them."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
