"""The book: letters, what was done about them, their edits, and the journal, in one SQLite file."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters.database import Database
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Content, Kind, Letter, LetterState
from ucam_faas.exceptions import ConfigurationError

FILE = "dead-letters.sqlite3"
"""In the folder `.ucam-faas/`."""

REPLACED = "it may have been sent: another message has its id now"
LOCK_TRIES = 3
PORTION_LETTERS, PORTION_BYTES = 200, 32_000_000
"""Letters whose data are read at once, unless one alone is larger."""

_NOT_STORED = frozenset({"data", "attributes", "state", "note", "by", "changed", "edited"})
_FOUND = [field.name for field in fields(Letter) if field.name not in _NOT_STORED]
"""The columns of a letter as it was found, but for its attributes."""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was done: who, when, what. The time is in epoch seconds."""

    time: float
    by: str
    what: str
    letter: str = ""
    plan: str = ""
    detail: str = ""


class BookBusyError(ConfigurationError):
    """Another process, or another thread, holds the book's letters."""

    def __init__(self) -> None:
        super().__init__(
            "These dead letters are being copied, replayed or purged now. Try again after that; a "
            "run can be cancelled."
        )


class Put(NamedTuple):
    """The result of keeping letters that were found.

    Args:
        new: how many weren't known.
        done: the ids of those that were replayed or purged, and so should be gone.
    """

    new: int
    done: tuple[str, ...]


DONE = frozenset({LetterState.REPLAYED, LetterState.PURGED})


class Book:
    """The file of a project's dead letters.

    Args:
        path: of the file, in a folder that exists.
        clock: tells the time of changes.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.database = Database(path)
        self.clock = clock or SystemClock()

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return self.clock.now().timestamp()

    def letters(
        self, chosen: Filter, *, before: str | None = None, limit: int = 50
    ) -> list[Letter]:
        """Return letters without their data, the latest first.

        Args:
            chosen: chooses them.
            before: the id of the last letter of the page before; None: the first page.
            limit: the most letters.
        """
        condition, values = chosen.condition()
        if before is not None:
            condition += " AND (time, number) < (SELECT time, number FROM letters WHERE id = ?)"
            values = [*values, before]
        with self.database.reading() as db:
            records = db.execute(
                # The letters are read when they are sorted: an index has the order.
                "SELECT * FROM letters WHERE number IN (SELECT number FROM letters "
                f"WHERE {condition} ORDER BY time DESC, number DESC LIMIT ?) "
                "ORDER BY time DESC, number DESC",
                [*values, limit],
            )
            return [letter_of_record(record) for record in records]

    def each(self, chosen: Filter) -> Iterator[Letter]:
        """Yield letters with their data, oldest first by the time of their first publishing.

        The file isn't held open: letters that change meanwhile may be left out.
        """
        for ids in self.portions(self.ids(chosen)):
            yield from self.with_data(ids)

    def portions(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Yield ids in their order: so many at a time that memory holds their letters' data."""
        with self.database.reading() as db:
            query = "SELECT id, size FROM letters WHERE id IN (SELECT value FROM json_each(?))"
            sizes = dict(db.execute(query, [json.dumps(list(ids))]).fetchall())
        portion: list[str] = []
        size = 0
        for id in ids:
            size += sizes.get(id, 0)
            if portion and (size > PORTION_BYTES or len(portion) == PORTION_LETTERS):
                yield portion
                portion, size = [], sizes.get(id, 0)
            portion.append(id)
        if portion:
            yield portion

    def ids(self, chosen: Filter, *, among: Collection[LetterState] = ()) -> list[str]:
        """Return the ids of letters, the earliest first.

        Args:
            chosen: chooses them.
            among: of these, those in one of these states; none: in any.
        """
        condition, values = chosen.condition()
        states = json.dumps(list(among or LetterState))
        with self.database.reading() as db:
            records = db.execute(
                f"SELECT id FROM letters WHERE ({condition}) "
                "AND state IN (SELECT value FROM json_each(?)) ORDER BY sent, number",
                [*values, states],
            )
            return [str(record["id"]) for record in records]

    def count(self, chosen: Filter) -> int:
        """Return the number of letters."""
        condition, values = chosen.condition()
        with self.database.reading() as db:
            query = f"SELECT COUNT(*) FROM letters WHERE {condition}"
            return int(db.execute(query, values).fetchone()[0])

    def groups(self, chosen: Filter, *, limit: int = 200) -> list[Group]:
        """Return the causes, the one with the most letters first."""
        condition, values = chosen.condition()
        with self.database.reading() as db:
            records = db.execute(  # an index has these columns: the letters themselves aren't read
                "SELECT fingerprint, task, COUNT(*) AS count, MIN(time), MAX(time) AS last "
                f"FROM letters WHERE {condition} GROUP BY fingerprint, task "
                "ORDER BY count DESC, last DESC, fingerprint LIMIT ?",
                [*values, limit],
            ).fetchall()
            return [self._group(db, condition, values, *record) for record in records]

    def _group(
        self,
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

    def letter(self, id: str) -> Letter | None:
        """Return a letter with its data."""
        return next(iter(self.with_data([id])), None)

    def with_data(self, ids: Sequence[str]) -> list[Letter]:
        """Return letters with their data, in the order of the ids; missing ones are left out."""
        with self.database.reading() as db:
            records = db.execute(
                "SELECT letters.*, bodies.data FROM json_each(?) AS wanted "
                "JOIN letters ON letters.id = wanted.value "
                "JOIN bodies ON bodies.letter = letters.number ORDER BY wanted.key",
                [json.dumps(list(ids))],
            )
            return [letter_of_record(record) for record in records]

    def hashes(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the hashes of the letters that are there, by their ids."""
        with self.database.reading() as db:
            query = "SELECT id, hash FROM letters WHERE id IN (SELECT value FROM json_each(?))"
            return dict(db.execute(query, [json.dumps(list(ids))]).fetchall())

    def find(self, text: str) -> list[str]:
        """Return the ids of the letters that an id names: the letter's, its message's, or that of
        the message as the task had it, or of its job.
        """
        with self.database.reading() as db:
            records = db.execute(
                "SELECT id FROM letters WHERE id = ?1 OR message_id = ?1 OR original_id = ?1 "
                "OR (job <> '' AND job = ?1) "
                "ORDER BY id = ?1 DESC, time DESC LIMIT 20",
                [text],
            )
            return [str(record["id"]) for record in records]

    def content(self, letter: Letter) -> Content:
        """Return what a replay of a letter sends, with its edits."""
        if not letter.edited:
            return letter.content
        with self.database.reading() as db:
            return edited_content(db, letter)

    def edit(self, letter: Letter, content: Content | None, *, by: str, detail: str = "") -> None:
        """Keep what a replay of a letter sends; None: what the task had."""
        own = letter.content
        with self.database.writing() as db:
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
            what = "edited" if changed else "unedited"
            self.note(db, [Entry(self.now(), by, what, letter=letter.id, detail=detail)])

    def mark(
        self,
        chosen: Filter,
        state: LetterState,
        *,
        by: str,
        note: str = "",
        what: str | None = None,
        plan: str = "",
    ) -> int:
        """Note what was done about all letters that a filter chooses, and return their number.

        Letters in this state already aren't changed.
        """
        condition, values = chosen.condition()
        condition = f"({condition}) AND state <> ?"
        values = [*values, state]
        now = self.now()
        with self.database.writing() as db:
            db.execute(
                "INSERT INTO journal (time, by, what, letter, plan, detail) "
                f"SELECT ?, ?, ?, id, ?, ? FROM letters WHERE {condition}",
                [now, by, what or state.value, plan, note, *values],
            )
            cursor = db.execute(
                f"UPDATE letters SET state = ?, by = ?, note = ?, changed = ? WHERE {condition}",
                [state, by, note, now, *values],
            )
            return cursor.rowcount

    def put(self, letters: Iterable[Letter], *, mirror: int = 0) -> Put:
        """Keep letters as they were found.

        One that is there already keeps its state, unless it was gone, or another message has its
        id by now.
        """
        new, done = 0, []
        with self.database.writing() as db:
            for letter in letters:
                state = self._put(db, letter, mirror)
                new += state is None
                if state in DONE:
                    done.append(letter.id)
        return Put(new, tuple(done))

    def _put(self, db: sqlite3.Connection, letter: Letter, mirror: int) -> LetterState | None:
        """Keep a letter, and return its state; None: it wasn't there."""
        there = db.execute(
            "SELECT number, state, hash, sent FROM letters WHERE id = ?", [letter.id]
        ).fetchone()
        if there is not None and (there["hash"], there["sent"]) == (letter.hash, letter.sent):
            state = LetterState(there["state"])
            if state is LetterState.GONE:
                state = LetterState.NEW
                self.note(db, [Entry(self.now(), "", "back", letter=letter.id)])
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
        db.execute(
            "INSERT INTO bodies (letter, data) VALUES (?, ?)", [cursor.lastrowid, letter.data]
        )
        return None

    def note(self, db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
        """Write entries to the journal, in a transaction under way."""
        db.executemany(
            "INSERT INTO journal (time, by, what, letter, plan, detail) VALUES (?, ?, ?, ?, ?, ?)",
            [(e.time, e.by, e.what, e.letter, e.plan, e.detail) for e in entries],
        )

    def journal(
        self, *, letter: str | None = None, plan: str | None = None, limit: int = 1000
    ) -> list[Entry]:
        """Return what was done, the latest first.

        Args:
            letter: the id of a letter; None: of any.
            plan: the id of a plan; None: of any, or none.
            limit: the most entries.
        """
        with self.database.reading() as db:
            records = db.execute(
                "SELECT time, by, what, letter, plan, detail FROM journal "
                "WHERE (?1 IS NULL OR letter = ?1) AND (?2 IS NULL OR plan = ?2) "
                "ORDER BY number DESC LIMIT ?3",
                [letter, plan, limit],
            )
            return [Entry(*record) for record in records]

    def hold(self, until: float) -> None:
        """Note until when this book's processes may hold letters, in epoch seconds."""
        with self.database.writing() as db:
            db.execute("INSERT OR REPLACE INTO holds (one, until) VALUES (1, ?)", [until])

    def held_until(self) -> float:
        """Return until when a process of this book that was killed may hold letters."""
        with self.database.reading() as db:
            record = db.execute("SELECT until FROM holds").fetchone()
            return float(record["until"]) if record else 0.0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one of the book's processes that holds letters meanwhile, however this
        process ends.

        Raises:
            BookBusyError: another one holds them.
        """
        with self._lock() as descriptor:
            if not self._locks(descriptor):
                raise BookBusyError
            yield

    def is_busy(self) -> bool:
        """Return True if a process is alone with the book."""
        with self._lock() as descriptor:
            return not self._locks(descriptor)

    @contextmanager
    def _lock(self) -> Iterator[int]:
        path = self.database.path.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _locks(self, descriptor: int) -> bool:
        """Lock the book, and return False if another process has; `is_busy` has it at times."""
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.clock.sleep(0.02)
            else:
                return True
        return False

    def close(self) -> None:
        """Close the file."""
        self.database.close()


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


def _json(attributes: Mapping[str, str]) -> str:
    return json.dumps(dict(attributes), ensure_ascii=False)


def no_letter(id: str) -> ConfigurationError:
    """Return the error for an id that no letter has."""
    return ConfigurationError(
        f"There is no dead letter {id!r} in .ucam-faas/. `ucam-faas dlq list` lists them; it may "
        "have come after the last mirror."
    )
