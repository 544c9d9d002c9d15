"""Plans: which letters a run sends, to where, and which it leaves out. A plan is the dry run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.targets import Target, To
from ucam_faas.exceptions import ConfigurationError


class RowState(StrEnum):
    """How far the replay of a letter is.

          ┌──── resumed ────┐
          ▼                 │
    PLANNED ► SENDING ► SENT ► ACKED
                 ├──► FAILED
                 └──► UNCERTAIN
    """

    PLANNED = "PLANNED"
    SENDING = "SENDING"
    """It is being sent; after the end of the process it isn't known whether it was."""
    SENT = "SENT"
    """It was sent, and its dead letter isn't acknowledged yet."""
    ACKED = "ACKED"
    FAILED = "FAILED"
    """It was refused, or is no longer there; the next run tries it again."""
    UNCERTAIN = "UNCERTAIN"
    """It may have been sent: that isn't known, and its dead letter is gone. Should the letter come
    back, a run sends it, with the same replay id."""


LEFT = frozenset(RowState) - {RowState.ACKED, RowState.UNCERTAIN}
"""The states of rows that a run still has to send or to acknowledge."""


@dataclass(frozen=True, slots=True)
class Row:
    """A letter of a plan.

    Args:
        position: in the plan, from 1: rows are sent in this order.
        lane: rows with the same one go one after the other; empty: in any order.
        hash: of the content that is sent.
        message_id: of the replay, when it is sent.
        reason: why it failed.
    """

    position: int
    letter: str
    task: str
    target: Target
    lane: str
    hash: str
    edited: bool
    replay_id: str
    state: RowState
    message_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A letter that a plan leaves out, and why."""

    letter: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Letters frozen by their ids and hashes, and their targets.

    Args:
        created: in epoch seconds.
        text: how its letters were chosen.
        counts: of its rows, by state; `Workbench.rows` has the rows.
        excluded: how many letters are left out; `Workbench.exclusions` has them.
        reasons: for leaving letters out, with their numbers.
        targets: for each task, what goes to where, for people.
        edited: how many rows are edited.
        is_cancelled: a run stops before its next letters.
        problem: why the last run stopped.
    """

    id: str
    created: float
    by: str
    text: str
    counts: Mapping[RowState, int]
    excluded: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    edited: int = 0
    is_cancelled: bool = False
    problem: str = ""

    @property
    def total(self) -> int:
        """The number of its rows."""
        return sum(self.counts.values())

    @property
    def uncertain(self) -> int:
        """The number of rows that may have been sent, and whose dead letters are gone."""
        return self.counts.get(RowState.UNCERTAIN, 0)

    @property
    def left(self) -> int:
        """The number of rows that aren't done."""
        return sum(self.counts.get(state, 0) for state in LEFT)


class Others(NamedTuple):
    """Letters that other plans are sending, may have sent, or have sent and not acknowledged yet.

    Args:
        letters: their ids, each with the id of its plan.
        lanes: the same of the lanes of those that have a key.
    """

    letters: Mapping[str, str]
    lanes: Mapping[str, str]

    def refusal(self, letter: str, lane: str) -> str:
        """Return why a letter isn't sent by one more plan; nothing if it can be."""
        if letter in self.letters:
            return f"the plan {self.letters[letter]} sends it: run that one to its end"
        if lane in self.lanes:
            return f"the plan {self.lanes[lane]} sends a letter of its key: run that one to its end"
        return ""


class NoPlanError(ConfigurationError):
    """There is no plan of this id."""

    error_code = "plan-unknown"


def plans(book: Book, *, id: str | None = None, limit: int = 50) -> list[Plan]:
    """Return plans, the latest first.

    Args:
        book: has them.
        id: of one; None: any.
        limit: the most plans.
    """
    with book.database.reading() as db:
        records = db.execute(
            "SELECT * FROM plans WHERE :id IS NULL OR id = :id ORDER BY number DESC LIMIT :limit",
            {"id": id, "limit": limit},
        ).fetchall()
        return [_plan(db, record) for record in records]


def plan_of(book: Book, id: str) -> Plan:
    """Return a plan.

    Raises:
        NoPlanError: there is none of this id.
    """
    matching = plans(book, id=id)
    if not matching:
        raise NoPlanError(
            f"There is no plan {id!r}. `ucam-faas dlq plans` lists them, and `ucam-faas dlq plan` "
            "makes one."
        )
    return matching[0]


def sending(book: Book, *, but: str = "") -> Others:
    """Return the letters that plans are sending.

    Args:
        book: has the plans.
        but: the id of a plan that isn't looked at.
    """
    with book.database.reading() as db:
        records = db.execute(
            "SELECT letter, lane, state, plans.id FROM plans JOIN rows ON rows.plan = plans.number "
            "WHERE (state IN ('SENDING', 'SENT') OR (state = 'UNCERTAIN' AND hash <> '')) "
            "AND plans.id <> ?",
            [but],
        ).fetchall()
    return Others(
        {letter: plan for letter, _, _, plan in records},
        {lane: plan for _, lane, state, plan in records if lane and state != RowState.UNCERTAIN},
    )


def active(book: Book) -> str | None:
    """Return the id of the plan whose run began last, if it hasn't ended, or was killed."""
    with book.database.reading() as db:
        record = db.execute("SELECT id FROM plans WHERE active").fetchone()
        return record and str(record["id"])


def _plan(db: sqlite3.Connection, record: sqlite3.Row) -> Plan:
    number = [record["number"]]
    counts = db.execute("SELECT state, COUNT(*) FROM rows WHERE plan = ? GROUP BY state", number)
    by_state = {RowState(state): int(count) for state, count in counts}
    reasons = dict(
        db.execute(
            "SELECT reason, COUNT(*) FROM exclusions WHERE plan = ? GROUP BY reason "
            "ORDER BY 2 DESC LIMIT 20",
            number,
        ).fetchall()
    )
    targets: dict[str, tuple[str, ...]] = {}
    for task, to, place, count in db.execute(
        "SELECT task, \"to\", CASE WHEN \"to\" = 'job' THEN '' ELSE place END AS at, COUNT(*) "
        'FROM rows WHERE plan = ? GROUP BY task, "to", at ORDER BY task, at',
        number,
    ):
        targets[task] = (*targets.get(task, ()), _sends(To(to), place, count))
    excluded, edited = db.execute(
        "SELECT (SELECT COUNT(*) FROM exclusions WHERE plan = :plan), "
        "(SELECT COUNT(*) FROM rows WHERE plan = :plan AND edited)",
        {"plan": record["number"]},
    ).fetchone()
    return Plan(
        id=record["id"],
        created=record["created"],
        by=record["by"],
        text=record["text"],
        counts=by_state,
        excluded=excluded,
        reasons=reasons,
        targets=targets,
        edited=edited,
        is_cancelled=bool(record["cancelled"]),
        problem=record["problem"],
    )


def _sends(to: To, place: str, count: int) -> str:
    """Return where a number of letters go, for people."""
    if to is To.JOB:
        return "1 job runs again" if count == 1 else f"{count:,} jobs run again"
    messages = "1 message goes" if count == 1 else f"{count:,} messages go"
    return f"{messages} to {place.rpartition('/topics/')[2]}"


_ROWS = "SELECT rows.* FROM rows JOIN plans ON plans.number = rows.plan WHERE plans.id = ?"


def rows(
    book: Book, id: str, *, state: RowState | None = None, after: int = 0, limit: int = 50
) -> list[Row]:
    """Return rows of a plan, in its order.

    Args:
        book: has them.
        id: of the plan.
        state: of the rows; None: any.
        after: the position of the last row of the page before.
        limit: the most rows.
    """
    with book.database.reading() as db:
        records = db.execute(
            f"{_ROWS} AND position > ? AND rows.state IN (SELECT value FROM json_each(?)) "
            "ORDER BY position LIMIT ?",
            [id, after, json.dumps([state] if state else list(RowState)), limit],
        )
        return [row_of_record(record) for record in records]


def left(book: Book, id: str) -> Iterator[Row]:
    """Yield the rows of a plan that aren't done, in its order.

    Those that may have been sent are among them if their letters are back.
    """
    with book.database.reading() as db:
        query = (
            f"{_ROWS} AND rows.state <> 'ACKED' AND (rows.state <> 'UNCERTAIN' OR rows.letter IN "
            "(SELECT id FROM letters WHERE state IN ('new', 'handled'))) ORDER BY position"
        )
        records = db.execute(query, [id]).fetchall()
    return map(row_of_record, records)


def exclusions(book: Book, id: str, *, after: int = 0, limit: int = 50) -> list[Excluded]:
    """Return letters that a plan leaves out.

    Args:
        book: has them.
        id: of the plan.
        after: how many to skip.
        limit: the most letters.
    """
    with book.database.reading() as db:
        records = db.execute(
            "SELECT letter, reason FROM exclusions JOIN plans ON plans.number = exclusions.plan "
            "WHERE plans.id = ? AND position > ? ORDER BY position LIMIT ?",
            [id, after, limit],
        )
        return [Excluded(letter, reason) for letter, reason in records]


def row_of_record(record: sqlite3.Row) -> Row:
    """Return a row as the table has it."""
    return Row(
        position=record["position"],
        letter=record["letter"],
        task=record["task"],
        target=Target(
            To(record["to"]), record["place"], record["subscription"], bool(record["wrapped"])
        ),
        lane=record["lane"],
        hash=record["hash"],
        edited=bool(record["edited"]),
        replay_id=record["replay_id"],
        state=RowState(record["state"]),
        message_id=record["message_id"],
        reason=record["reason"],
    )
