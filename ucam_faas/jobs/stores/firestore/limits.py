"""The limits of keys: a job's claim depends on the other jobs of its key.

A claim reads the document that guards the key, then counts the other jobs, and writes the job and
the guard together, on the condition that the guard is as it was read. So the claims of a key happen
one after the other, and each sees those before it. Other changes only make room, or come later in
the order, and need no guard. The guard has no contents: the jobs themselves say which of them run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from ucam_faas.jobs.rows import Row, Wake
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores.firestore import queries
from ucam_faas.jobs.stores.firestore.documents import Document, Documents, Write
from ucam_faas.jobs.stores.firestore.guarded import Seen
from ucam_faas.jobs.stores.firestore.rows import JOBS, SENT, limit_id
from ucam_faas.jobs.stores.firestore.values import Timestamp
from ucam_faas.tasks.lanes import DEFAULT_LANE

GUARD_SECONDS = 24 * 3600.0
"""From the last claim of a key until the TTL policy may remove its guard."""

_TURNS = 64
"""Keys whose claims don't wait for each other in a process; more share a turn."""


class Limits:
    """The limits of keys.

    Args:
        documents: of the database.
        now: returns the time of all rows, in epoch seconds.
    """

    def __init__(self, documents: Documents, now: Callable[[], float]) -> None:
        self._documents = documents
        self._now = now
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    @contextmanager
    def guard(self, seen: Seen, limit: int | None) -> Iterator[Sequence[Write] | None]:
        """Have the writes that guard the claim of a job that may start; None: it has to wait.

        The threads of a process take turns: of two that read the same guard, one would fail.

        Args:
            limit: of the task; None: it has none.
        """
        limit_key, n = seen.row.limit_key, _number(seen.row, limit)
        if n is None:
            yield ()
        elif limit_key is None:
            yield None
        else:
            id = limit_id(seen.row.key, limit_key)
            with self._turns[int(id[:4], 16) % len(self._turns)]:
                yield self._admitted(seen, n, id)

    def _admitted(self, seen: Seen, n: int, id: str) -> Sequence[Write] | None:
        name = self._documents.name(JOBS, id)
        guard = self._documents.get([name]).get(name)
        now = self._now()
        room = n - self._held(id, n, now)
        if room <= 0 or not self._is_among_the_first(room, seen, id, now):
            return None
        version = None if guard is None else guard.version
        return [Write(name, {"remove": Timestamp(now + GUARD_SECONDS)}, version)]

    def next_of(self, row: Row, limit: int | None) -> Wake | None:
        """Return the wake of the first job of a row's limit key that may start now."""
        n = _number(row, limit)
        if row.limit_key is None or n is None:
            return None
        id, now = limit_id(row.key, row.limit_key), self._now()
        ready = self._first(1, id, (State.PENDING, State.STARTED), ("LESS_THAN_OR_EQUAL", now), now)
        if not ready or self._held(id, n, now) >= n:
            return None
        fields = ready[0].fields
        return Wake(row.key._replace(id=fields["id"]), fields["data"].get("lane", DEFAULT_LANE))

    def _held(self, id: str, most: int, now: float) -> int:
        """Count the jobs of a key that are held, up to a number."""
        held = queries.of_limit(id, (State.STARTED,), ("GREATER_THAN", now), most)
        return self._documents.count(held, most)

    def _is_among_the_first(self, room: int, seen: Seen, id: str, now: float) -> bool:
        """Return True if fewer others come before a job than may start."""
        if seen.row.in_order:
            first = self._first(room, id, LIVE, None, now)
        else:
            first = self._first(room, id, (State.PENDING,), ("LESS_THAN_OR_EQUAL", now), now)
        place = (seen.sent.seconds, seen.row.created)
        return sum(_place(document) < place for document in first) < room

    def _first(
        self,
        most: int,
        id: str,
        states: Collection[State],
        ready: tuple[str, float] | None,
        now: float,
    ) -> list[Document]:
        """Return the first jobs of a key, leaving out those that have expired."""
        limit = most
        while True:
            documents = self._documents.query(queries.of_limit(id, states, ready, limit))
            alive = [document for document in documents if not _has_expired(document, now)]
            if len(alive) >= most or len(documents) < limit:
                return alive[:most]
            limit *= 4


def _number(row: Row, limit: int | None) -> int | None:
    return 1 if row.in_order else limit


def _place(document: Document) -> tuple[float, float]:
    return document.fields[SENT].seconds, document.fields["created"]


def _has_expired(document: Document, now: float) -> bool:
    expires = document.fields["data"]["expires"]
    pending = document.fields["state"] == State.PENDING.value
    return pending and expires is not None and expires <= now
