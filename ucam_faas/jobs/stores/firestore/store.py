"""The store of jobs in Firestore: each method is a few requests, and at most one write of a row."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.jobs.rows import Change, Key, Place, Row, Step, Wake, size_of
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores import transitions
from ucam_faas.jobs.stores.columns import inserted
from ucam_faas.jobs.stores.firestore import indexes, queries
from ucam_faas.jobs.stores.firestore.documents import (
    MAX_WRITES,
    Document,
    Documents,
    UnmetError,
    Write,
)
from ucam_faas.jobs.stores.firestore.guarded import GuardedRows
from ucam_faas.jobs.stores.firestore.insertion import Insertion
from ucam_faas.jobs.stores.firestore.limits import Limits
from ucam_faas.jobs.stores.firestore.rows import (
    JOBS,
    LANES,
    VISIT,
    batch_id,
    document_id,
    parent_id,
)
from ucam_faas.jobs.stores.firestore.server_time import ServerTime
from ucam_faas.jobs.stores.many import batches, each
from ucam_faas.jobs.waiting import WaitingStore
from ucam_faas.net.rest import Api

LOOK_SECONDS = 0.5
"""Between two looks at the jobs whose ends are waited for."""
_MAX_MEMBERS = 1_000_000_000
"""Of a batch, as far as they are counted."""
_MAX_BATCH_BYTES = 5_000_000
"""Of the payloads and attributes of one request, which may have 10 MiB; base64 adds a third."""


class FirestoreStore(WaitingStore):
    """Keeps jobs in a database.

    Args:
        api: makes the requests.
        project: of Google Cloud.
        database: of the project.
        clock: tells the time of all rows; None: Google's does.
    """

    max_bytes = 750_000
    """A document may have 1 MiB: the rest is for the history and an error."""
    max_steps_bytes = 350_000
    """Beside a payload and a result that are in the row, though others are elsewhere."""

    def __init__(
        self, api: Api, project: str, database: str = "(default)", clock: Clock | None = None
    ) -> None:
        self._api = api
        self._project = project
        self._database = database
        self._clock = clock
        self._time = ServerTime(SystemClock())
        self._documents = Documents(api, project, database, self._time)
        self._rows = GuardedRows(self._documents, self.now)
        self._limits = Limits(self._documents, self.now)
        self._next_look = 0.0

    @property
    def name(self) -> str:
        """Its name in errors."""
        return f"the Firestore database {self._database} of {self._project}"

    def migrate(self) -> Sequence[str]:
        """Return the commands that make the indexes; the database makes collections by itself."""
        self._sync()
        return list(indexes.commands(self._project, self._database))

    def insert(
        self, rows: Sequence[Row], *, wait: Sequence[float], parent: Row | None = None
    ) -> list[Row]:
        """Insert rows, and return those that are there."""
        now = self.now()
        new = [
            _numbered(inserted(row, seconds, now), number)
            for number, (row, seconds) in enumerate(zip(rows, wait, strict=True))
        ]
        insertion = Insertion(self._documents, self._rows, parent)
        there: list[Row] = []
        for batch in batches(new, MAX_WRITES // 2, _MAX_BATCH_BYTES, size_of):
            there += insertion.insert(batch)
        return there

    def existing(self, rows: Sequence[Row]) -> list[Row | None]:
        """Return the stored row in whose place each of these would be inserted, if any."""
        insertion = Insertion(self._documents, self._rows, None)
        return [
            row for batch in batches(rows, MAX_WRITES // 2) for row in insertion.existing(batch)
        ]

    def claim(
        self, key: Key, *, lease: float, instance: str, limit: int | None = None
    ) -> Row | None:
        """Take a job that may start, or whose claim has ended."""

        def claimed(row: Row) -> Row | None:
            return transitions.claimed(row, lease, instance, self.now())

        return self._rows.change(key, claimed, guard=lambda seen: self._limits.guard(seen, limit))

    def set_limit_key(self, key: Key, limit_key: str) -> Row | None:
        """Give a live job its limit's key, if it has none."""

        def with_key(row: Row) -> Row | None:
            is_free = row.limit_key is None and row.state in LIVE
            return replace(row, limit_key=limit_key) if is_free else None

        return self._rows.change(key, with_key)

    def next_of(self, row: Row, limit: int | None) -> Wake | None:
        """Return the wake of the first job of a row's limit key that may start now."""
        return self._limits.next_of(row, limit)

    def change(
        self,
        key: Key,
        change: Change,
        *,
        fence: int | None = None,
        states: Collection[State] = LIVE,
    ) -> Row | None:
        """Change a row, and return it."""

        def changed(row: Row) -> Row | None:
            return transitions.changed(row, change, fence, states, self.now())

        return self._rows.change(key, changed)

    def report(self, key: Key, progress: Any, *, fence: int) -> Row | None:
        """Keep a claimed job's progress, and return the row."""

        def reported(row: Row) -> Row | None:
            return replace(row, progress=progress) if transitions.is_held(row, fence) else None

        return self._rows.change(key, reported)

    def put_step(self, key: Key, name: str, value: bytes, *, fence: int) -> bool | None:
        """Keep a step of a claimed job, in its document; return True if its end was asked for."""
        return self._rows.put_step(key, Step(name, value, self.now()), fence)

    def steps(self, key: Key) -> list[Step]:
        """Return the steps of a job, the earliest first."""
        return self._rows.steps(key)

    def request_cancel(self, key: Key) -> Row | None:
        """Ask the holder of a started job to end it."""

        def asked(row: Row) -> Row | None:
            return replace(row, cancel_requested=True) if row.state is State.STARTED else None

        return self._rows.change(key, asked)

    def get(self, key: Key) -> Row | None:
        """Return a row."""
        seen = self._rows.read(key)
        return None if seen is None else seen.row

    def find(
        self,
        app: str,
        *,
        task: str | None = None,
        id: str | None = None,
        states: Collection[State] = (),
        since: float | None = None,
        until: float | None = None,
        after: Place | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """Return rows, the latest first."""
        if id is None:
            return list(islice(self._latest(app, task, states, since, until, after, limit), limit))
        rows = self._present(self._documents.query(queries.with_id(id)))
        return _latest_first(
            row
            for row in rows
            if row.key.app == app
            and task in (None, row.key.task)
            and (not states or row.state in states)
            and (since is None or row.created >= since)
            and (until is None or row.created < until)
        )[:limit]

    def _latest(
        self,
        app: str,
        task: str | None,
        states: Collection[State],
        since: float | None,
        until: float | None,
        after: Place | None,
        limit: int,
    ) -> Iterator[Row]:
        """Yield rows, also past those that are to be removed."""
        last = None if after is None else (after.created, self._rows.name(after.key))
        while True:
            query = queries.latest(app, task, states, since, until, last, limit)
            documents = list(self._documents.query(query))
            yield from self._present(documents)
            if len(documents) < limit:
                return
            last = (documents[-1].fields["created"], documents[-1].name)

    def pending(self, app: str, task: str, *, limit: int) -> int:
        """Return the number of a task's jobs that are PENDING, counted up to a limit."""
        return self._documents.count(queries.pending(app, task), limit)

    def waiting(
        self, app: str, task: str, lane: str, *, limit: int
    ) -> tuple[int, float | None] | None:
        """Return None: there is no index of lanes."""
        return None

    def has_live_members(self, app: str, batch: str) -> bool:
        """Return True if a member of a batch hasn't ended."""
        return self._documents.count(queries.live_members(batch_id(app, batch)), 1) > 0

    def count_members(self, app: str, batch: str) -> dict[State, int]:
        """Return the number of a batch's members in each state."""
        id, states = batch_id(app, batch), list(State)
        counts = each(
            lambda state: self._documents.count(queries.members_in(id, state), _MAX_MEMBERS), states
        )
        return {state: count for state, count in zip(states, counts, strict=True) if count}

    def members(self, app: str, batch: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return members of a batch, by their documents' names."""
        query = queries.members(batch_id(app, batch), self._name_of(after), limit)
        return self._present(self._documents.query(query))

    def children(self, app: str, parent: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return the jobs that a job sent, by their documents' names."""
        query = queries.children(parent_id(app, parent), self._name_of(after), limit)
        return self._present(self._documents.query(query))

    def _name_of(self, key: Key | None) -> str | None:
        return None if key is None else self._rows.name(key)

    def overdue(self, app: str, limit: int) -> list[Row]:
        """Return the rows that an application's sweep has to look at, without payloads."""
        documents = self._documents.query(queries.overdue(app, self.now(), limit))
        return [seen.row for seen in self._rows.keep_swept(documents)]

    def visit(
        self,
        keys: Sequence[Key],
        seconds: Sequence[float],
        *,
        published: Sequence[int] | None = None,
    ) -> None:
        """Let the sweep look at overdue rows again, each so many seconds from now."""
        fences = [None] * len(keys) if published is None else published
        # A row that the sweep saw has no references, with which no policy may remove it.
        read = self._rows.swept if published is None else self._rows.read
        now, rows = self.now(), each(read, keys)
        writes = [
            self._rows.write(new, seen.version, VISIT)
            for seen, wait, fence in zip(rows, seconds, fences, strict=True)
            if seen is not None and (new := _visited(seen.row, now, wait, fence)) is not None
        ]
        for batch in batches(writes, MAX_WRITES):
            self._documents.write_each(batch)

    def pause_lane(self, app: str, task: str, lane: str) -> bool:
        """Note that no job of a lane may start."""
        name, owner = self._lane(app, task, lane), os.urandom(16).hex()
        fields = {"app": app, "task": task, "lane": lane, "owner": owner}
        try:
            self._documents.commit([Write(name, fields)])
        except UnmetError:  # it is paused, perhaps by our write, whose answer was lost
            paused = self._documents.get([name]).get(name)
            return paused is not None and paused.fields["owner"] == owner
        return True

    def resume_lane(self, app: str, task: str, lane: str) -> bool:
        """Let the jobs of a lane start again."""
        name = self._lane(app, task, lane)
        was_paused = name in self._documents.get([name])
        self._documents.commit([Write(name, None)])
        return was_paused

    def paused_lanes(self, app: str) -> frozenset[tuple[str, str]]:
        """Return the paused lanes of an application, each with its task before it."""
        documents = self._documents.query(queries.paused_lanes(app))
        return frozenset((each.fields["task"], each.fields["lane"]) for each in documents)

    def _lane(self, app: str, task: str, lane: str) -> str:
        return self._documents.name(LANES, document_id(app, task, lane))

    def delete(self, key: Key, *, states: Collection[State]) -> Row | None:
        """Remove a row in one of these states, and return it."""
        return self._rows.delete(key, states)

    def watch(self, keys: Sequence[Key]) -> None:
        """Have `changed` notice the ends of these jobs: it has all jobs looked at."""

    def ended(self, keys: Sequence[Key]) -> dict[Key, Row | None]:
        """Return those of these jobs that have ended, and None for those that aren't there."""
        by_id = {document_id(*key): key for key in keys}
        rows: dict[Key, Row | None] = {}
        for part in each(self._ended, list(batches(by_id, queries.MAX_IN))):
            rows |= {by_id[id]: row for id, row in part.items()}
        return rows

    def changed(self, seconds: float) -> bool:
        """Wait until it is time to look at the jobs again, and return True."""
        pause = self._next_look - time.monotonic()
        threading.Event().wait(min(max(pause, 0.0), seconds))
        if pause > seconds:
            return False
        self._next_look = time.monotonic() + LOOK_SECONDS
        return True

    def now(self) -> float:
        """Return the store's time, in epoch seconds."""
        if self._clock is not None:
            return self._clock.now().timestamp()
        now = self._time.now()
        if now is None:
            self._sync()
            now = self._time.now()
        assert now is not None, "it was just answered"
        return now

    def close(self) -> None:
        """Close its connections."""
        self._api.close()

    def _sync(self) -> None:
        self._documents.get([self._documents.name(JOBS, "time")])  # there is none

    def _ended(self, ids: Sequence[str]) -> dict[str, Row | None]:
        """Return those of at most MAX_IN jobs that have ended or aren't there, by document id.

        A look at jobs that haven't ended costs one read.
        """
        live = self._documents.count(queries.live(ids), len(ids))
        if live == len(ids):
            return {}
        documents = self._documents.query(queries.ended(ids))
        rows = {document.fields["ended"]: self._rows.row(document) for document in documents}
        rest = {self._documents.name(JOBS, id): id for id in ids if id not in rows}
        if live < len(rest):
            there = self._documents.get(list(rest), ["state"])
            rows |= {id: None for name, id in rest.items() if name not in there}
        return rows

    def _present(self, documents: Iterable[Document]) -> list[Row]:
        rows = (self._rows.row(document) for document in documents)
        return [row for row in rows if row is not None]


def _numbered(row: Row, number: int) -> Row:
    """Return a row with its place among those that are sent with it, for the order of its key."""
    return row if row.limit_key is None else replace(row, created=row.created + number * 1e-6)


def _visited(row: Row, now: float, wait: float, published: int | None) -> Row | None:
    """Return a row after a visit; None: it stays as it is."""
    if published is None:
        return replace(row, visit=now + wait) if row.visit <= now else None
    if not row.event_due or row.fence != published:
        return None
    return replace(row, visit=now + wait, event_due=False)


def _latest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.created, row.key.id, row.key.task))
