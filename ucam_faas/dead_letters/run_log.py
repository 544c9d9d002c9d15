"""The book's side of a run: the states of its rows, each written before the run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ucam_faas.dead_letters import plans
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.journal import Entry, note
from ucam_faas.dead_letters.letters import LetterState
from ucam_faas.dead_letters.plans import Row, RowState


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is, counted over its plan.

    Args:
        total: rows of the plan, but for those that the run has left out.
        sent: rows that their targets have, from this run or an earlier one.
        acked: of these, those whose dead letters are acknowledged.
        failed: rows that were refused, or weren't there.
        uncertain: rows that were being sent when their target, or the process, fell silent.
        given_up: of these, those whose dead letters are gone: no run can make sure.
        left: rows that the next run has to send or to acknowledge.
        is_cancelled: it stopped because it was cancelled.
        problem: why it stopped before its end; empty: it didn't.
        waits: at most so many seconds more, for letters that a killed process holds.
        left_out: letters that no run of the plan can send any more: another plan has sent them, or
            they were purged.
    """

    plan: str
    total: int
    sent: int
    acked: int
    failed: int
    uncertain: int
    left: int
    is_cancelled: bool = False
    problem: str = ""
    waits: float = 0.0
    left_out: int = 0
    given_up: int = 0


class Change(NamedTuple):
    """A row's new state; a message id of None keeps that which it has."""

    row: Row
    state: RowState
    message_id: str | None = None
    reason: str = ""


class RunLog:
    """Writes the states of a plan's rows.

    Args:
        book: has the plan.
        plan: its id.
        by: who runs it.
    """

    def __init__(self, book: Book, plan: str, by: str) -> None:
        self._book, self._plan, self._by = book, plan, by
        self._counts: Counter[RowState] = Counter(plans.plan_of(book, plan).counts)
        self._states: dict[int, RowState] = {}
        self._left_out = 0

    def begin(self) -> None:
        """Note that the run began."""
        with self._book.database.writing() as db:
            db.execute("UPDATE plans SET active = 0 WHERE active")
            db.execute("UPDATE plans SET active = 1, problem = '' WHERE id = ?", [self._plan])
            entry = Entry(self._book.now(), self._by, "run began", plan=self._plan)
            note(db, [entry])

    def end(self, report: Report) -> None:
        """Note that the run ended."""
        detail = f"{report.acked} of {report.total} done, {report.failed} failed"
        detail += f", {report.left_out} left out" * bool(report.left_out)
        detail += f", {report.given_up} uncertain" * bool(report.given_up)
        detail += ", cancelled" * report.is_cancelled
        detail += f": {report.problem}" * bool(report.problem)
        with self._book.database.writing() as db:
            values = [report.problem, self._plan]
            db.execute("UPDATE plans SET active = 0, problem = ? WHERE id = ?", values)
            entry = Entry(self._book.now(), self._by, "run ended", plan=self._plan, detail=detail)
            note(db, [entry])

    def is_cancelled(self) -> bool:
        """Return True if a process has asked the run to stop."""
        with self._book.database.reading() as db:
            query = "SELECT cancelled FROM plans WHERE id = ?"
            return bool(db.execute(query, [self._plan]).fetchone()[0])

    def write(self, changes: Sequence[Change]) -> None:
        """Write the states of rows, and of the letters that are done, in one transaction."""
        if not changes:
            return
        now = self._book.now()
        done = [change.row for change in changes if change.state is RowState.ACKED]
        given_up = [
            change
            for change in changes
            if RowState.UNCERTAIN is change.state is not change.row.state
        ]
        with self._book.database.writing() as db:
            db.executemany(
                "UPDATE rows SET state = ?, message_id = COALESCE(?, message_id), reason = ? "
                "WHERE plan = (SELECT number FROM plans WHERE id = ?) AND position = ?",
                [
                    [change.state, change.message_id, change.reason, self._plan, row.position]
                    for change in changes
                    for row in [change.row]
                ],
            )
            db.executemany(
                "UPDATE letters SET state = ?, by = ?, note = '', changed = ? WHERE id = ?",
                [[LetterState.REPLAYED, self._by, now, row.letter] for row in done],
            )
            note(db, [self._entry(now, row) for row in done])
            note(
                db,
                [
                    given_up_entry(now, row.letter, self._plan, reason)
                    for row, _, _, reason in given_up
                ],
            )
        for row, state, _, _ in changes:
            self._counts[self._states.get(row.position, row.state)] -= 1
            self._counts[state] += 1
            self._states[row.position] = state

    def leave_out(self, reasons: Mapping[Row, str]) -> None:
        """Take rows out of the plan, each for a reason: it leaves out their letters from now on."""
        if not reasons:
            return
        with self._book.database.writing() as db:
            (plan,) = db.execute("SELECT number FROM plans WHERE id = ?", [self._plan]).fetchone()
            most = "SELECT COALESCE(MAX(position), 0) FROM exclusions WHERE plan = ?"
            (last,) = db.execute(most, [plan]).fetchone()
            for position, (row, reason) in enumerate(reasons.items(), last + 1):
                db.execute("DELETE FROM rows WHERE plan = ? AND position = ?", [plan, row.position])
                values = [plan, position, row.letter, reason]
                db.execute("INSERT INTO exclusions VALUES (?, ?, ?, ?)", values)
        for row in reasons:
            self._counts[self._states.get(row.position, row.state)] -= 1
        self._left_out += len(reasons)

    def _entry(self, now: float, row: Row) -> Entry:
        detail = f"{row.target}, replay {row.replay_id}{', edited' * row.edited}"
        return Entry(now, self._by, "replayed", row.letter, self._plan, detail)

    def report(self, problem: str = "", *, is_cancelled: bool = False) -> Report:
        """Return how far the run is."""
        counts = self._counts
        acked, given_up = counts[RowState.ACKED], counts[RowState.UNCERTAIN]
        return Report(
            plan=self._plan,
            total=counts.total(),
            sent=counts[RowState.SENT] + acked,
            acked=acked,
            failed=counts[RowState.FAILED],
            uncertain=counts[RowState.SENDING] + given_up,
            left=counts.total() - acked - given_up,
            is_cancelled=is_cancelled,
            problem=problem,
            left_out=self._left_out,
            given_up=given_up,
        )


def given_up_entry(now: float, letter: str, plan: str, reason: str) -> Entry:
    """Return the line of the journal for a row that becomes UNCERTAIN."""
    return Entry(now, "", "uncertain", letter, plan, reason)
