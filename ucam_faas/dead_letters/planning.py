"""Making a plan: each letter gets its target, or the reason for which it is left out."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from array import array
from collections.abc import Iterable, Iterator

from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.journal import Entry, note
from ucam_faas.dead_letters.letter_table import letter_of_record
from ucam_faas.dead_letters.letters import Kind, Letter, LetterState, own_attributes
from ucam_faas.dead_letters.plans import Others, RowState, sending
from ucam_faas.dead_letters.targets import NoTargetError, Target, Targets, To
from ucam_faas.gcp.limits import MAX_ATTRIBUTES

_REASONS = {
    LetterState.REPLAYED: (
        "it was replayed already; to send it once more, publish its payload: `ucam-faas publish`"
    ),
    LetterState.PURGED: "it was purged",
    LetterState.GONE: "it isn't there any more: it was acknowledged, or it expired",
}
PORTION = 500
"""Letters that are planned at a time: memory doesn't hold them all."""
REPLAY_ATTRIBUTES = 2
"""Attributes that each replay has more than the task's message."""


def make(
    book: Book, targets: Targets, chosen: Filter, *, to: To | None, again: bool, by: str, text: str
) -> str:
    """Freeze a plan, and return its id.

    Args:
        book: has the letters, and gets the plan.
        targets: know where letters can be sent.
        chosen: all letters that match.
        to: the kind of target; None: the best of each task.
        again: also letters that died after a replay.
        by: who makes it.
        text: how its letters were chosen, for people.

    Raises:
        SourceError: Pub/Sub doesn't say which subscriptions there are.
    """
    targets.look()
    id, others = uuid.uuid4().hex[:12], sending(book)
    condition, values = chosen.condition()
    total = left_out = 0
    with book.database.writing() as db:
        cursor = db.execute(
            "INSERT INTO plans (id, created, by, text) VALUES (?, ?, ?, ?)",
            [id, book.now(), by, text],
        )
        plan = cursor.lastrowid
        records = db.execute(
            f"SELECT number FROM letters WHERE {condition} ORDER BY sent, length(message_id), "
            "message_id, number",
            values,
        )
        numbers = array("q", (number for (number,) in records))
        for start in range(0, len(numbers), PORTION):
            rows: list[list[object]] = []
            excluded: list[list[object]] = []
            for letter in _letters(db, numbers[start : start + PORTION]):
                target = _target(letter, targets, to, others, again=again)
                if isinstance(target, str):
                    left_out += 1
                    excluded.append([plan, left_out, letter.id, target])
                else:
                    total += 1
                    hash = frozen_hash(db, letter)
                    rows.append([plan, *_row(letter, target, hash, id, total)])
            db.executemany(_INSERT, rows)
            db.executemany("INSERT INTO exclusions VALUES (?, ?, ?, ?)", excluded)
        detail = f"{text}: {total} to send, {left_out} left out"
        note(db, [Entry(book.now(), by, "planned", plan=id, detail=detail)])
    return id


def _letters(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[Letter]:
    """Yield letters without their data, in the order of their numbers."""
    query = (
        "SELECT letters.* FROM json_each(?) AS wanted JOIN letters ON number = wanted.value "
        "ORDER BY wanted.key"
    )
    return map(letter_of_record, db.execute(query, [json.dumps(list(numbers))]).fetchall())


_INSERT = (
    'INSERT INTO rows (plan, position, letter, task, lane, "to", place, subscription, wrapped, '
    "hash, edited, replay_id, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _row(letter: Letter, target: Target, hash: str, plan: str, position: int) -> list[object]:
    """Return the values of a row, but for the number of its plan."""
    return [
        *(position, letter.id, letter.task, _lane(letter)),
        *(target.to, target.place, target.subscription, target.wrapped),
        *(hash, letter.edited, f"{plan}-{position}", RowState.PLANNED),
    ]


def _target(
    letter: Letter, targets: Targets, to: To | None, others: Others, *, again: bool
) -> Target | str:
    """Return the target of a letter, or why it isn't sent."""
    reason = _exclusion(letter, others, again=again)
    if reason:
        return reason
    try:
        return targets.of(letter, to)
    except NoTargetError as error:
        return str(error)


def _exclusion(letter: Letter, others: Others, *, again: bool) -> str:
    """Return why a letter isn't sent; nothing if it can be."""
    if letter.state is LetterState.REPLAYED and letter.kind is Kind.JOB:
        return "it was replayed already: its job ran again"
    if letter.state in _REASONS:
        return _REASONS[letter.state]
    if reason := others.refusal(letter.id, _lane(letter)):
        return reason
    if letter.replays and not again:
        times = "once" if letter.replays == 1 else f"{letter.replays} times"
        return f"it was replayed {times} before, and died again: --again sends it all the same"
    if len(own_attributes(letter.attributes)) > MAX_ATTRIBUTES - REPLAY_ATTRIBUTES:
        return f"its attributes leave no room for the {REPLAY_ATTRIBUTES} of a replay"
    return ""


def _lane(letter: Letter) -> str:
    """Return the name of the letters that go one after the other; empty for any order."""
    return json.dumps([letter.task, letter.key]) if letter.key else ""


def frozen_hash(db: sqlite3.Connection, letter: Letter) -> str:
    """Return a text that differs for another letter, and for another edit of it."""
    if not letter.edited:
        return letter.hash
    edit = db.execute(
        "SELECT data, edits.attributes FROM edits JOIN letters ON letters.number = edits.letter "
        "WHERE letters.id = ?",
        [letter.id],
    ).fetchone()
    if edit is None:  # it was taken back after the letter was read
        return letter.hash
    return hashlib.sha256(repr([letter.hash, *edit]).encode()).hexdigest()[:32]
