"""A mirror: all dead letters and failed jobs are copied into the book, and stay where they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ucam_faas.actions.jobs import Jobs
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.failed_jobs import data_of, failed_rows, letter_of_row
from ucam_faas.dead_letters.journal import Entry, note, prune
from ucam_faas.dead_letters.keepers import Keepers, expected, keepers
from ucam_faas.dead_letters.leases import Leases
from ucam_faas.dead_letters.letters import Letter, LetterState
from ucam_faas.dead_letters.run_log import given_up_entry
from ucam_faas.dead_letters.source import Source, SourceError
from ucam_faas.exceptions import JobError
from ucam_faas.tasks.needs import TaskNeeds

KEPT_SECONDS = 31 * 24 * 3600
"""The book forgets letters that are done after this time; the journal stays longer."""
GIVEN_UP = "it may have been sent; its dead letter is gone: it was acknowledged, or it expired"
JOBS = 200
"""Jobs that are kept in one transaction."""
_WAITING = f"state IN ('{LetterState.NEW}', '{LetterState.HANDLED}')"
_OVER = f"state NOT IN ('{LetterState.NEW}', '{LetterState.HANDLED}')"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The result of a mirror.

    Args:
        time: when it began, in epoch seconds.
        pulled: letters that are there.
        new: of these, those that the book didn't have.
        gone: letters of the book that aren't there any more.
        problems: sentences about letters that can't be seen.
    """

    time: float
    pulled: int
    new: int
    gone: int
    problems: tuple[str, ...] = ()


class Mirror:
    """One mirror.

    Args:
        book: gets the copies.
        by: who asked for it.
    """

    def __init__(self, book: Book, by: str) -> None:
        self._book, self._by = book, by
        self._time = book.now()
        self._pulled = self._new = self._gone = 0
        self._problems: list[str] = []
        with book.database.writing() as db:
            _forget(db, self._time - KEPT_SECONDS)
            prune(db, self._time)
            values = [self._time, by]
            cursor = db.execute("INSERT INTO mirrors (time, by) VALUES (?, ?)", values)
            self._number = cursor.lastrowid or 0

    def copy_messages(self, source: Source, tasks: Sequence[TaskNeeds]) -> None:
        """Copy the dead letters of a Pub/Sub."""
        kept, is_whole = self._keepers(source, tasks)
        self._problems += kept.problems
        failed: list[str] = []
        held_until = self._book.held_until()
        with Leases(source, self._book) as leases:
            for look in leases.rounds():
                for keeper in (name for name in kept.names if name not in failed):
                    try:
                        look.is_new |= self._copy(leases, keeper)
                    except SourceError as error:
                        failed.append(keeper)
                        if error.status != 404 or is_whole:
                            self._problems.append(f"{error}.")
        if held_until > self._book.now():
            left = round(held_until - self._book.now()) + 1
            self._problems.append(
                "A process that was killed may hold letters that aren't seen now: look again in "
                f"{left} s."
            )
        elif is_whole:
            left_out = json.dumps(failed)
            condition = "kind = 'message' AND keeper NOT IN (SELECT value FROM json_each(?))"
            self._mark_gone(condition, left_out)
        else:
            seen = json.dumps([name for name in kept.names if name not in failed])
            self._mark_gone("keeper IN (SELECT value FROM json_each(?))", seen)

    def _keepers(self, source: Source, tasks: Sequence[TaskNeeds]) -> tuple[Keepers, bool]:
        """Return the keepers, and True if all subscriptions could be seen."""
        try:
            return keepers(source.subscriptions(), tasks, source.project), True
        except SourceError as error:
            if error.status != 403 or not tasks:
                raise
            return expected(tasks, source.project), False  # may pull, and may not list

    def _copy(self, leases: Leases, keeper: str) -> bool:
        """Copy letters of a keeper, and return True if there was a new one."""
        is_new = False
        for page in leases.pages(keeper):
            put = self._book.put(page, mirror=self._number)
            leases.acknowledge(put.done)  # a run or a purge ended before its own did
            self._pulled += len(page) - len(put.done)
            self._new += put.new
            is_new = True
        return is_new

    def copy_jobs(self, jobs: Jobs) -> None:
        """Copy the failed jobs of a store; one whose message is a dead letter is that letter's."""
        try:
            self._copy_jobs(jobs)
        except JobError as error:
            self._problems.append(f"The failed jobs of {jobs.name} can't be read: {error}")
            return
        self._mark_gone("kind = 'job' AND ?", 1)

    def _copy_jobs(self, jobs: Jobs) -> None:
        database = self._book.database
        joined: list[str] = []
        rows = failed_rows(jobs)
        while some := list(islice(rows, JOBS)):
            letters = [(letter_of_row(row), row) for row in some]
            with database.writing() as db:
                of_messages = [_joined(db, letter) for letter, _ in letters]
            joined += [id for ids in of_messages for id in ids]
            letters = [each for each, ids in zip(letters, of_messages, strict=True) if not ids]
            known = self._book.hashes([letter.id for letter, _ in letters])
            put = self._book.put(
                [
                    letter if known.get(letter.id) == letter.hash else
                    replace(letter, data=(data := data_of(jobs, row)), size=len(data))
                    for letter, row in letters
                ],
                mirror=self._number,
            )  # fmt: skip
            self._pulled += len(letters) - len(put.done)
            self._new += put.new
        with database.writing() as db:
            db.execute(
                "UPDATE letters SET job = '' WHERE kind = 'message' AND job <> '' "
                "AND id NOT IN (SELECT value FROM json_each(?))",
                [json.dumps(joined)],
            )

    def _mark_gone(self, condition: str, value: object) -> None:
        condition = f"{_WAITING} AND seen < ? AND {condition}"
        now, values = self._book.now(), [self._number, value]
        with self._book.database.writing() as db:
            db.execute(
                "INSERT INTO journal (time, by, what, letter) "
                f"SELECT ?, '', 'gone', id FROM letters WHERE {condition}",
                [now, *values],
            )
            cursor = db.execute(
                f"UPDATE letters SET state = '{LetterState.GONE}', by = '', note = '', changed = ? "
                f"WHERE {condition}",
                [now, *values],
            )
            self._gone += cursor.rowcount

    def end(self) -> Mirrored:
        """Write the result to the book, and return it."""
        counts = [self._pulled, self._new, self._gone, json.dumps(self._problems)]
        with self._book.database.writing() as db:
            self._give_up(db)
            db.execute(
                "UPDATE mirrors SET pulled = ?, new = ?, gone = ?, problems = ?, done = 1 "
                "WHERE number = ?",
                [*counts, self._number],
            )
            if self._new or self._gone:  # a look alone leaves no entry
                detail = f"{self._pulled} letters, {self._new} new, {self._gone} gone"
                note(db, [Entry(self._time, self._by, "mirrored", detail=detail)])
        return Mirrored(self._time, self._pulled, self._new, self._gone, tuple(self._problems))

    def _give_up(self, db: sqlite3.Connection) -> None:
        """End the rows that may have been sent, and whose letters are gone.

        Of a job the next run learns more: its store says if the job has run again.
        """
        rows = db.execute(
            "SELECT rows.plan, rows.position, rows.letter, plans.id FROM plans "
            "JOIN rows ON rows.plan = plans.number WHERE rows.state = 'SENDING' "
            "AND NOT EXISTS (SELECT 1 FROM letters "
            f"WHERE id = rows.letter AND (kind = 'job' OR {_WAITING}))"
        ).fetchall()
        db.executemany(
            "UPDATE rows SET state = 'UNCERTAIN', reason = ? WHERE plan = ? AND position = ?",
            [[GIVEN_UP, plan, position] for plan, position, _, _ in rows],
        )
        now = self._book.now()
        entries = [given_up_entry(now, letter, plan, GIVEN_UP) for _, _, letter, plan in rows]
        note(db, entries)


def _forget(db: sqlite3.Connection, before: float) -> None:
    """Delete letters that were done before a time, and their data in the journal; and old plans."""
    over = f"{_OVER} AND changed < ?"
    db.execute(
        "UPDATE journal SET detail = '' WHERE what = 'edited' "
        f"AND letter IN (SELECT id FROM letters WHERE {over})",
        [before],
    )
    db.execute(f"DELETE FROM letters WHERE {over}", [before])
    db.execute("DELETE FROM mirrors WHERE time < ?", [before])
    db.execute(
        "DELETE FROM plans WHERE created < ? AND NOT active AND NOT EXISTS "
        "(SELECT 1 FROM rows WHERE plan = number AND state IN ('SENDING', 'SENT'))",
        [before],
    )


def _joined(db: sqlite3.Connection, failed: Letter) -> list[str]:
    """Give a failed job to the dead letters of its message, and return their ids.

    A letter that was dealt with after the job's end stands for the job, too.
    """
    records = db.execute(
        "SELECT id FROM letters WHERE original_id = ? AND task = ? AND kind = 'message' "
        f"AND ({_WAITING} OR (state <> '{LetterState.GONE}' AND changed >= ?))",
        [failed.original_id, failed.task, failed.time],
    )
    ids = [str(record["id"]) for record in records]
    if ids:
        db.executemany("UPDATE letters SET job = ? WHERE id = ?", [[failed.job, id] for id in ids])
        db.execute("DELETE FROM letters WHERE kind = 'job' AND job = ?", [failed.job])
    return ids


def last_mirror(book: Book) -> Mirrored | None:
    """Return the result of the last mirror that came to its end; None: there was none."""
    with book.database.reading() as db:
        record = db.execute(
            "SELECT time, pulled, new, gone, problems FROM mirrors WHERE done "
            "ORDER BY number DESC LIMIT 1"
        ).fetchone()
    if record is None:
        return None
    time, pulled, new, gone, problems = record
    return Mirrored(time, pulled, new, gone, tuple(json.loads(problems)))
