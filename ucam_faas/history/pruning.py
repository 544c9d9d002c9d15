"""Keeps a history small: the oldest rows go when they are too old, or the file is too large."""

from __future__ import annotations

import sqlite3

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.history import search
from ucam_faas.history.database import PLACES, transaction

PERIOD_SECONDS = 30.0
OVERDUE_SECONDS = 60.0
"""Without spare time, rows are dropped this often."""
DROPPED_AT_ONCE, PAGES_AT_ONCE = 500, 2_000
"""Messages that one transaction drops, and pages that it takes from the file: events wait."""
SHARE = 0.1
"""Of the rows of a file that is too large: dropped before its size is looked at again."""
KEPT_EVENTS = 20_000
"""Events of the stream."""
_DAY = 86_400.0


class Pruning:
    """Limits of a history.

    Args:
        days: rows are kept for so many.
        megabytes: the file has at most so many, about.
        clock: tells the time.
    """

    def __init__(self, days: float, megabytes: float, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._days = days
        self._bytes = megabytes * 1e6
        self._before = 0.0
        """Rows of earlier times make the file too large."""
        self._done_at = self._clock.monotonic() - PERIOD_SECONDS

    def seconds_left(self) -> float:
        """Return how long it takes until it is due."""
        return max(0.0, self._done_at + PERIOD_SECONDS - self._clock.monotonic())

    def is_due(self) -> bool:
        """Return True if it is time to look."""
        return self.seconds_left() <= 0

    def is_overdue(self) -> bool:
        """Return True if there was no spare time for too long."""
        return self._clock.monotonic() - self._done_at > OVERDUE_SECONDS

    def prune(self, database: sqlite3.Connection) -> None:
        """Drop some rows; it stays due as long as there are more to drop."""
        now = self._clock.now().timestamp()
        used, taken = _bytes_in(database)
        if used > self._bytes:
            first = _first_time(database)
            if first is not None and first >= self._before:
                self._before = max(_time_in(database, SHARE), first + 0.001)
        if taken > self._bytes:
            database.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        is_done = drop_some(database, max(self._before, now - self._days * _DAY))
        is_small = used <= self._bytes or _first_time(database) is None
        if is_done and is_small and (taken <= self._bytes or taken == used):
            self._done_at = self._clock.monotonic()


def drop_some(database: sqlite3.Connection, before: float) -> bool:
    """Drop some of the rows from before a time; return True if there are no more."""
    rows = database.execute(
        f"{search.ROWS} WHERE time < ? ORDER BY time LIMIT ?",
        (before, DROPPED_AT_ONCE),
    ).fetchall()
    (indexed,) = database.execute("SELECT value FROM facts WHERE name = 'indexed'").fetchone()
    numbers = [(row[0],) for row in rows]
    with transaction(database):
        search.drop(database, [row for row in rows if row[0] <= indexed])
        database.executemany(
            f"DELETE FROM deliveries WHERE seq BETWEEN :seq * {PLACES} "
            f"AND :seq * {PLACES} + {PLACES - 1}",
            [{"seq": row[0]} for row in rows],
        )
        database.executemany("DELETE FROM messages WHERE seq = ?", numbers)
        is_done = len(rows) < DROPPED_AT_ONCE
        for table, column in (("runs", "began"), ("lines", "time"), ("events", "time")):
            is_done &= _drop_rows(database, table, column, before)
        database.execute("DELETE FROM counters WHERE start + span < ?", (before,))
        database.execute(
            "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", (KEPT_EVENTS,)
        )
    return is_done


def _drop_rows(database: sqlite3.Connection, table: str, column: str, before: float) -> bool:
    """Drop some of the oldest rows of a table, which are in the order of their times, nearly."""
    rows = database.execute(
        f"SELECT seq, {column} FROM {table} ORDER BY seq LIMIT ?", (4 * DROPPED_AT_ONCE,)
    ).fetchall()
    old = [seq for seq, time in rows if time < before]
    if old:
        database.execute(f"DELETE FROM {table} WHERE seq <= ?", (old[-1],))
    return len(old) < 4 * DROPPED_AT_ONCE


def _first_time(database: sqlite3.Connection) -> float | None:
    """Return the time of the oldest row."""
    times = [
        database.execute(f"SELECT {column} FROM {table} ORDER BY seq LIMIT 1").fetchone()
        for table, column in (("messages", "time"), ("runs", "began"), ("lines", "time"))
    ]
    return min((time for (time,) in filter(None, times)), default=None)


def _time_in(database: sqlite3.Connection, share: float) -> float:
    """Return the time at which the share of the rows of the longest table is older."""
    ranges = []
    for table, column in (("messages", "time"), ("runs", "began"), ("lines", "time")):
        first, last = database.execute(  # in one query, `min` and `max` would read the whole table
            f"SELECT (SELECT min(seq) FROM {table}), (SELECT max(seq) FROM {table})"
        ).fetchone()
        if first is not None:
            ranges.append((last - first, first, table, column))
    length, first, table, column = max(ranges)
    row = database.execute(
        f"SELECT {column} FROM {table} WHERE seq >= ? ORDER BY seq LIMIT 1",
        (first + int(length * share) + 1,),
    ).fetchone()
    return float(row[0]) if row else 0.0


def _bytes_in(database: sqlite3.Connection) -> tuple[int, int]:
    """Return the size of the pages in use, and of the file."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size, pages * size
