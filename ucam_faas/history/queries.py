"""The one query with many filters: a page of messages.

Words and attributes, where they are asked for, give the candidates, the newest first; otherwise an
index of deliveries does. The indexes are named: without statistics SQLite may choose another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ucam_faas.history.database import PLACES
from ucam_faas.history.rows import MessageState
from ucam_faas.history.search import LONGEST_PREFIX, matching, pair_of, place_word, query_of

ROW = (
    "d.id, d.time, d.topic, d.task, d.state, d.attempts, d.reason, d.size, d.seq, d.letter, "
    "d.subscription"
)
_END = 2**62
LOOKS = (100, 300)
"""Messages that are looked at, before a beginning of a word is looked up among all."""


class Selection:
    """A page of deliveries.

    Args:
        limit: how many, at most.
        text: whose words they have.
        attribute: that they have.
    """

    def __init__(self, limit: int, *, text: str | None, attribute: str | None) -> None:
        self._limit = limit
        self._text = text
        self._pair = None if attribute is None else pair_of(attribute)
        self._first, self._end = 0, _END
        self._equal: dict[str, str] = {}
        self._state: MessageState | None = None

    def where(self, **columns: str | None) -> None:
        """Take only those with these values; None: any."""
        self._equal |= {name: value for name, value in columns.items() if value is not None}

    def in_state(self, state: MessageState) -> None:
        """Take only those in a state."""
        self._state = state

    def below(self, key: int) -> None:
        """Take only rows with smaller keys."""
        self._end = min(self._end, key)

    def since(self, key: int) -> None:
        """Take only rows with this key, or larger ones."""
        self._first = max(self._first, key)

    def rows(self, database: sqlite3.Connection) -> list[Any]:
        """Return the rows, the newest first."""
        places = [place_word(kind, name) for kind, name in self._equal.items()]
        query = None if self._text is None else query_of(self._text, places)
        if self._text is not None and query is None:  # no word, as in "?!"
            return []
        if query is None and self._pair is None:
            statement, values = self._statement(self._index())
            bounds = (self._first, self._end, self._limit)
            return database.execute(statement, (*values, *bounds)).fetchall()
        messages = self._candidates(database, query, self._rough(places))
        statement, values = self._statement("NOT INDEXED")
        rows: list[Any] = []
        for message in messages:
            first = max(self._first, message * PLACES)
            end = min(self._end, (message + 1) * PLACES)
            left = self._limit - len(rows)
            rows += database.execute(statement, (*values, first, end, left))
            if len(rows) >= self._limit:
                break
        return rows

    def _common(self, database: sqlite3.Connection, messages: Iterator[int]) -> Iterator[int]:
        """Go through those of the messages that an index of deliveries has, too.

        Both come in the same order: either may be far longer than the other.
        """
        statement, values = self._statement(self._index(), "d.seq")
        bounds = (self._first, self._end, _END)
        deliveries = database.execute(statement, (*values, *bounds))
        seq = next(deliveries, None)
        for message in messages:
            while seq is not None and seq[0] >= (message + 1) * PLACES:
                seq = next(deliveries, None)
            if seq is None:
                return
            if seq[0] >= message * PLACES:
                yield message

    def _statement(self, index: str, columns: str = ROW) -> tuple[str, tuple[str, ...]]:
        conditions = [f"d.{name} = ?" for name in self._equal]
        if self._state is not None:  # written out: SQLite then knows that partial indexes have it
            conditions.append(f"d.state = '{self._state}'")
            if self._state is not MessageState.DONE:
                conditions.append("d.state <> 'done'")
        conditions += ["d.seq >= ?", "d.seq < ?"]
        where = " AND ".join(conditions)
        text = (
            f"SELECT {columns} FROM deliveries d {index} WHERE {where} ORDER BY d.seq DESC LIMIT ?"
        )
        return text, tuple(self._equal.values())

    def _index(self) -> str:
        is_partial = self._state is not None and self._state is not MessageState.DONE
        if "task" in self._equal:
            return f"INDEXED BY deliveries_by_task{'_state' * is_partial}"
        if is_partial:
            return "INDEXED BY deliveries_by_state"
        return "INDEXED BY deliveries_by_topic" if "topic" in self._equal else "NOT INDEXED"

    def _rough(self, places: list[str]) -> str | None:
        """Return the query for the words with a shorter beginning of the last, if it is long."""
        if self._text is None or self._pair is not None:
            return None
        rough = query_of(self._text, places, longest=LONGEST_PREFIX)
        return None if rough == query_of(self._text, places) else rough

    def _candidates(
        self, database: sqlite3.Connection, query: str | None, rough: str | None
    ) -> Iterator[int]:
        """Go through the numbers of messages that have the words and the attribute.

        Args:
            database: of the history.
            query: for the words; None: there are none.
            rough: one that an index answers at once, and that finds more. The first messages that
                it finds are looked at: a beginning that many have is among them. Of one that few
                have, the query is fast.
        """
        end = -(-self._end // PLACES)
        if query is not None and rough is not None:
            for many in LOOKS:
                messages = list(islice(self._messages(database, rough, end), many))
                has_it = matching(database, messages, query)
                yield from (message for message in messages if message in has_it)
                if len(messages) < many:
                    return
                end = messages[-1] - 1
        yield from self._messages(database, query, end)

    def _messages(self, database: sqlite3.Connection, query: str | None, end: int) -> Iterator[int]:
        """Go through those up to a number that have the words, and that few deliveries have."""
        messages = self._found(database, query, end)
        is_narrow = self._state not in (None, MessageState.DONE)
        if is_narrow or (query is None and self._equal):
            return self._common(database, messages)
        return messages

    def _found(self, database: sqlite3.Connection, query: str | None, end: int) -> Iterator[int]:
        """Go through those up to a number; see `_candidates`."""
        bounds = (self._first // PLACES, end)
        if query is None:
            statement = (
                "SELECT message FROM attributes WHERE pair = ? AND message BETWEEN ? AND ? "
                "ORDER BY message DESC"
            )
            values: tuple[Any, ...] = (self._pair, *bounds)
        else:
            statement = "SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ?"
            values = (query, *bounds)
            if self._pair is not None:
                statement += (
                    " AND EXISTS (SELECT 1 FROM attributes WHERE pair = ? AND message = "
                    "words.rowid)"
                )
                values = (*values, self._pair)
            statement += " ORDER BY rowid DESC"
        for (message,) in database.execute(statement, values):
            yield message
