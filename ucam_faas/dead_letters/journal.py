"""The journal of a book: who did what, and when.

It has limits, as edits may be as large as messages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

MAX_DETAIL = 2_000
"""Characters of an entry's detail."""
MAX_ENTRIES = 500_000
MAX_SECONDS = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was done: who, when, what. The time is in epoch seconds."""

    time: float
    by: str
    what: str
    letter: str = ""
    plan: str = ""
    detail: str = ""


def note(db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Write entries, in a transaction under way."""
    db.executemany(
        "INSERT INTO journal (time, by, what, letter, plan, detail) VALUES (?, ?, ?, ?, ?, ?)",
        [(e.time, e.by, e.what, e.letter, e.plan, cut(e.detail)) for e in entries],
    )


def cut(detail: str) -> str:
    """Return a detail as the journal keeps it: its beginning, and how much was cut.

    >>> cut("x" * 2_500)[-30:]
    'xxxxxxxx\\n… 500 more characters'
    """
    if len(detail) <= MAX_DETAIL:
        return detail
    return f"{detail[:MAX_DETAIL]}\n… {len(detail) - MAX_DETAIL:,} more characters"


def entries(
    db: sqlite3.Connection, *, letter: str | None, plan: str | None, limit: int
) -> list[Entry]:
    """Return what was done, the latest first.

    Args:
        db: has the journal.
        letter: the id of a letter; None: of any.
        plan: the id of a plan; None: of any, or none.
        limit: the most entries.
    """
    records = db.execute(
        "SELECT time, by, what, letter, plan, detail FROM journal "
        "WHERE (:letter IS NULL OR letter = :letter) AND (:plan IS NULL OR plan = :plan) "
        "ORDER BY number DESC LIMIT :limit",
        {"letter": letter, "plan": plan, "limit": limit},
    )
    return [Entry(*record) for record in records]


def prune(db: sqlite3.Connection, now: float) -> None:
    """Delete entries that are too old, or too many."""
    db.execute(
        "DELETE FROM journal WHERE number <= (SELECT MAX(number) - ? FROM journal)", [MAX_ENTRIES]
    )
    db.execute(  # the entries are in the order of time, so that this reads the old ones alone
        "DELETE FROM journal WHERE number < COALESCE((SELECT number FROM journal WHERE time >= ? "
        "ORDER BY number LIMIT 1), (SELECT MAX(number) + 1 FROM journal))",
        [now - MAX_SECONDS],
    )
