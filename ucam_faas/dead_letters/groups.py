"""The causes of dead letters, with the number of letters that each has."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ucam_faas.dead_letters.filters import Filter


@dataclass(frozen=True, slots=True)
class Group:
    """Letters with one cause. Times are in epoch seconds.

    Args:
        first: the time of the earliest.
        last: the time of the latest.
        sample: the id of the latest.
    """

    fingerprint: str
    task: str
    error: str
    reason: str
    count: int
    first: float
    last: float
    sample: str


def groups(db: sqlite3.Connection, chosen: Filter, *, limit: int) -> list[Group]:
    """Return the causes, the one with the most letters first."""
    condition, values = chosen.condition()
    records = db.execute(  # an index has these columns: the letters themselves aren't read
        "SELECT fingerprint, task, COUNT(*) AS count, MIN(time), MAX(time) AS last "
        f"FROM letters WHERE {condition} GROUP BY fingerprint, task "
        "ORDER BY count DESC, last DESC, fingerprint LIMIT ?",
        [*values, limit],
    ).fetchall()
    return [_group(db, condition, values, *record) for record in records]


def _group(
    db: sqlite3.Connection,
    condition: str,
    values: Sequence[object],
    fingerprint: str,
    task: str,
    count: int,
    first: float,
    last: float,
) -> Group:
    error, reason, sample = db.execute(
        f"SELECT error, reason, id FROM letters WHERE {condition} "
        "AND fingerprint = ? AND task = ? AND time = ? LIMIT 1",
        [*values, fingerprint, task, last],
    ).fetchone()
    return Group(fingerprint, task, error, reason, count, first, last, sample)
