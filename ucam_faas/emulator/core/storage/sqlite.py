"""Storage in a SQLite file: committed data survives the end of the process.

The journal is a write-ahead log that is not synchronised at each commit: a killed process loses
nothing, a power cut may lose the last moments.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ucam_faas.emulator.core.storage import Message, Progress
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import make_private

VERSION = 1
# In one transaction: a file with half of it would be refused.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    log INTEGER, number INTEGER, time REAL, key TEXT, attributes TEXT, data BLOB,
    PRIMARY KEY (log, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS floors (queue INTEGER PRIMARY KEY, floor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS acked (
    queue INTEGER, number INTEGER, PRIMARY KEY (queue, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    queue INTEGER, number INTEGER, failures INTEGER, PRIMARY KEY (queue, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (only INTEGER PRIMARY KEY CHECK (only = 0), last INTEGER);
INSERT OR IGNORE INTO counter VALUES (0, 0);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_TABLES = ("resources", "messages", "floors", "acked", "failures")
_NOTHING: Mapping[str, str] = {}


class SqliteStorage:
    """Keeps everything in one SQLite file.

    Args:
        path: the file; it and its folder are made.

    Raises:
        ConfigurationError: the file is in use by another emulator, or is not one of an emulator.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):  # SQLite says it better
                make_private(path)
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=0
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigurationError(
                f"{path} cannot be used ({error}). Choose another folder with --state, or keep "
                "nothing with --memory."
            ) from error
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._db.close()
            raise ConfigurationError(f"{path} cannot be used ({error}). {_cure(error)}") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ConfigurationError(
                f"{path} is not the state of an emulator ({error}). Start empty with --reset."
            ) from error
        self._last = int(self._db.execute("SELECT last FROM counter").fetchone()[0])
        self._kept_last = self._last

    def _open(self) -> None:
        # Exclusive: two emulators on one file would each lose the changes of the other.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"version {version}, expected {VERSION}")
        if version == 0 and self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise sqlite3.DatabaseError("it is the database of something else")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN IMMEDIATE")

    def resources(self, kind: str) -> dict[str, bytes]:
        """Return all resources of a kind, by name."""
        rows = self._db.execute(
            "SELECT name, value FROM resources WHERE kind = ? ORDER BY name", (kind,)
        )
        return dict(rows.fetchall())

    def put(self, kind: str, name: str, value: bytes | None) -> None:
        """Keep a resource; None: forget it."""
        if value is None:
            self._db.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))
        else:
            self._db.execute("REPLACE INTO resources VALUES (?, ?, ?)", (kind, name, value))

    def last_number(self) -> int:
        """Return the number of the last message that was ever appended."""
        return self._last

    def append(self, log: int, messages: Sequence[Message]) -> None:
        """Add messages to the end of a log."""
        rows = [
            (log, number, time, key, json.dumps(attributes) if attributes else None, data)
            for number, time, key, attributes, data in messages
        ]
        try:
            self._db.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error:  # some may be there, and their numbers will be given again
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._last = messages[-1].number

    def read(self, log: int, first: int) -> Iterator[Message]:
        """Go through the messages with numbers from `first` on, in order."""
        rows = self._db.execute(
            "SELECT number, time, key, attributes, data FROM messages "
            "WHERE log = ? AND number >= ? ORDER BY number",
            (log, first),
        )
        return (
            Message(number, time, key, json.loads(attributes) if attributes else _NOTHING, data)
            for number, time, key, attributes, data in rows
        )

    def first_since(self, log: int, time: float) -> int | None:
        """Return the number of the first message that was published at `time` or later."""
        row = self._db.execute(
            "SELECT number FROM messages WHERE log = ? AND time >= ? ORDER BY number LIMIT 1",
            (log, time),
        ).fetchone()
        return None if row is None else int(row[0])

    def drop(self, log: int, before: int) -> None:
        """Forget the messages with numbers below `before`."""
        self._db.execute("DELETE FROM messages WHERE log = ? AND number < ?", (log, before))

    def progress(self, queue: int) -> Progress:
        """Return how far a queue is."""
        floor = self._db.execute("SELECT floor FROM floors WHERE queue = ?", (queue,)).fetchone()
        acked = self._db.execute("SELECT number FROM acked WHERE queue = ?", (queue,))
        failures = self._db.execute(
            "SELECT number, failures FROM failures WHERE queue = ?", (queue,)
        )
        numbers = {number for (number,) in acked}
        failed = {number: count for number, count in failures if number not in numbers}
        return Progress(floor[0] if floor else 0, numbers, failed)

    def advance(
        self, queue: int, floor: int, acked: Iterable[int], failures: Mapping[int, int]
    ) -> None:
        """Keep a queue's new floor, and the messages acknowledged or failed since the last call."""
        run, many = self._db.execute, self._db.executemany
        run("REPLACE INTO floors VALUES (?, ?)", (queue, floor))
        run("DELETE FROM acked WHERE queue = ? AND number < ?", (queue, floor))
        many(
            "INSERT OR IGNORE INTO acked VALUES (?, ?)",
            [(queue, number) for number in acked if number >= floor],
        )
        if failures:
            many(
                "REPLACE INTO failures VALUES (?, ?, ?)",
                [(queue, number, count) for number, count in failures.items()],
            )
        run("DELETE FROM failures WHERE queue = ? AND number < ?", (queue, floor))

    def restart(self, queue: int, progress: Progress) -> None:
        """Replace a queue's progress."""
        self.remove_queue(queue)
        self.advance(queue, progress.floor, progress.acked, progress.failures)

    def remove_queue(self, queue: int) -> None:
        """Forget a queue's progress."""
        for table in ("floors", "acked", "failures"):
            self._db.execute(f"DELETE FROM {table} WHERE queue = ?", (queue,))

    def commit(self) -> None:
        """Make all writes since the last commit durable.

        Raises:
            sqlite3.Error: they do not; those to come may.
        """
        if not self._db.in_transaction:  # SQLite ended it, as it does on a full disk
            self._db.execute("BEGIN")
            raise sqlite3.OperationalError("the changes since the last commit are lost")
        if self._last != self._kept_last:
            self._db.execute("UPDATE counter SET last = ?", (self._last,))
        self._db.execute("COMMIT")
        self._kept_last = self._last
        self._db.execute("BEGIN")

    def clear(self) -> None:
        """Forget everything."""
        for table in _TABLES:
            self._db.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """Commit, and release the storage."""
        self.commit()
        self._db.close()


def _cure(error: sqlite3.OperationalError) -> str:
    """Return the advice for a file that cannot be opened."""
    code = error.sqlite_errorcode & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        return (
            "The file or its folder is read-only: make both writable, or keep nothing with "
            "--memory."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            "Another emulator uses it: stop that one, or keep nothing with --memory; "
            "`ucam-faas emulator` takes another folder with --state."
        )
    return "Keep nothing with --memory, or move the file away."
