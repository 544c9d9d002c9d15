"""Letters and their edits in the tables of the book, in a transaction under way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields

from ucam_faas.dead_letters.journal import Entry, note
from ucam_faas.dead_letters.letters import Content, Kind, Letter, LetterState

REPLACED = "it may have been sent: another message has its id now"
_NOT_STORED = frozenset({"data", "attributes", "state", "note", "by", "changed", "edited"})
_FOUND = [field.name for field in fields(Letter) if field.name not in _NOT_STORED]
"""The columns of a letter as it was found, but for its attributes."""


def letter_of_record(record: sqlite3.Row) -> Letter:
    """Return a letter as the table has it."""
    values = {name: record[name] for name in _FOUND}
    return Letter(
        **{
            **values,
            "kind": Kind(record["kind"]),
            "attributes": json.loads(record["attributes"]),
            "data": bytes(record["data"]) if "data" in record.keys() else b"",  # noqa: SIM118
            "state": LetterState(record["state"]),
            "note": record["note"],
            "by": record["by"],
            "changed": record["changed"],
            "edited": bool(record["edited"]),
        }
    )


def keep(db: sqlite3.Connection, letter: Letter, *, mirror: int, now: float) -> LetterState | None:
    """Keep a letter as it was found, and return its state; None: it wasn't there.

    One that is there already keeps its state, unless it was gone, or another message has its id by
    now.

    Args:
        db: gets it.
        letter: with its data.
        mirror: the number of the mirror that found it.
        now: in epoch seconds.
    """
    there = db.execute(
        "SELECT number, state, hash, sent FROM letters WHERE id = ?", [letter.id]
    ).fetchone()
    if there is not None and (there["hash"], there["sent"]) == (letter.hash, letter.sent):
        state = LetterState(there["state"])
        if state is LetterState.GONE:
            state = LetterState.NEW
            note(db, [Entry(now, "", "back", letter=letter.id)])
            values = [state, there["number"]]
            db.execute("UPDATE letters SET state = ? WHERE number = ?", values)
        db.execute("UPDATE letters SET seen = ? WHERE number = ?", [mirror, there["number"]])
        return state
    if there is not None:  # a job failed again, or a local cloud counts from 1 again
        db.execute("DELETE FROM letters WHERE number = ?", [there["number"]])
        over = "UPDATE rows SET state = 'ACKED' WHERE letter = ? AND state = 'SENT'"
        db.execute(over, [letter.id])
        over = (  # without a hash: the letter that is there now is another one
            "UPDATE rows SET state = 'UNCERTAIN', hash = '', reason = ? "
            "WHERE letter = ? AND state IN ('SENDING', 'UNCERTAIN')"
        )
        db.execute(over, [REPLACED, letter.id])
    values = [getattr(letter, name) for name in _FOUND]
    names = ", ".join([*_FOUND, "attributes", "state", "seen"])
    marks = ", ".join("?" * (len(_FOUND) + 3))
    cursor = db.execute(
        f"INSERT INTO letters ({names}) VALUES ({marks})",
        [*values, _json(letter.attributes), letter.state, mirror],
    )
    db.execute("INSERT INTO bodies (letter, data) VALUES (?, ?)", [cursor.lastrowid, letter.data])
    return None


def keep_edit(db: sqlite3.Connection, letter: Letter, content: Content | None) -> bool:
    """Keep what a replay of a letter sends, and return True if that isn't what the task had.

    Args:
        db: gets it.
        letter: with its data.
        content: None: what the task had.
    """
    own = letter.content
    number = "(SELECT number FROM letters WHERE id = ?)"
    db.execute(f"DELETE FROM edits WHERE letter = {number}", [letter.id])
    changed = content is not None and content != own
    if content is not None and changed:
        data = content.data if content.data != own.data else None
        attributes = None
        if content.attributes != own.attributes:
            attributes = _json(content.attributes)
        db.execute(
            f"INSERT INTO edits (letter, data, attributes) VALUES ({number}, ?, ?)",
            [letter.id, data, attributes],
        )
    db.execute("UPDATE letters SET edited = ? WHERE id = ?", [changed, letter.id])
    return changed


def edited_content(db: sqlite3.Connection, letter: Letter) -> Content:
    """Return what a replay of a letter sends, in a transaction under way."""
    own = letter.content
    if not letter.edited:
        return own
    edit = db.execute(
        "SELECT edits.data, edits.attributes FROM edits "
        "JOIN letters ON letters.number = edits.letter WHERE letters.id = ?",
        [letter.id],
    ).fetchone()
    if edit is None:
        return own
    data, attributes = edit["data"], edit["attributes"]
    return Content(
        own.data if data is None else bytes(data),
        own.attributes if attributes is None else json.loads(attributes),
        own.key,
    )


def _json(attributes: Mapping[str, str]) -> str:
    return json.dumps(dict(attributes), ensure_ascii=False)
