"""The book: letters, what was done about them, their edits, and the journal, in one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters import journal, letter_table as table
from ucam_faas.dead_letters.book_lock import BookLock
from ucam_faas.dead_letters.database import Database
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.groups import Group, groups
from ucam_faas.dead_letters.journal import Entry
from ucam_faas.dead_letters.letters import Content, Letter, LetterState
from ucam_faas.exceptions import ConfigurationError

FILE = "dead-letters.sqlite3"
"""In the folder `.ucam-faas/`."""

PORTION_LETTERS, PORTION_BYTES = 200, 32_000_000
"""Letters whose data are read at once, unless one alone is larger."""


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
        self.lock = BookLock(self.database.path.with_suffix(".lock"), self.clock)

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
            return [table.letter_of_record(record) for record in records]

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
        with self.database.reading() as db:
            return groups(db, chosen, limit=limit)

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
            return [table.letter_of_record(record) for record in records]

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
                "SELECT id FROM letters WHERE id = :id OR message_id = :id OR original_id = :id "
                "OR (job <> '' AND job = :id) "
                "ORDER BY id = :id DESC, time DESC LIMIT 20",
                {"id": text},
            )
            return [str(record["id"]) for record in records]

    def content(self, letter: Letter) -> Content:
        """Return what a replay of a letter sends, with its edits."""
        if not letter.edited:
            return letter.content
        with self.database.reading() as db:
            return table.edited_content(db, letter)

    def edit(self, letter: Letter, content: Content | None, *, by: str, detail: str = "") -> None:
        """Keep what a replay of a letter sends; None: what the task had."""
        with self.database.writing() as db:
            changed = table.keep_edit(db, letter, content)
            what = "edited" if changed else "unedited"
            journal.note(db, [Entry(self.now(), by, what, letter=letter.id, detail=detail)])

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
                [now, by, what or state.value, plan, journal.cut(note), *values],
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
                state = table.keep(db, letter, mirror=mirror, now=self.now())
                new += state is None
                if state in DONE:
                    done.append(letter.id)
        return Put(new, tuple(done))

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
            return journal.entries(db, letter=letter, plan=plan, limit=limit)

    def hold(self, until: float) -> None:
        """Note until when this book's processes may hold letters, in epoch seconds."""
        with self.database.writing() as db:
            db.execute("INSERT OR REPLACE INTO holds (one, until) VALUES (1, ?)", [until])

    def held_until(self) -> float:
        """Return until when a process of this book that was killed may hold letters."""
        with self.database.reading() as db:
            record = db.execute("SELECT until FROM holds").fetchone()
            return float(record["until"]) if record else 0.0

    def close(self) -> None:
        """Close the file."""
        self.database.close()


def no_letter(id: str) -> ConfigurationError:
    """Return the error for an id that no letter has."""
    return ConfigurationError(
        f"There is no dead letter {id!r} in .ucam-faas/. `ucam-faas dlq list` lists them; it may "
        "have come after the last mirror."
    )
