"""Rows and their guarded writes: a change is computed here, and written on the condition that the
document has the version that was read.

So a change happens wholly or not at all, and none is lost. If the condition isn't met, another came
first, and the change is computed again.
"""

from __future__ import annotations

import os
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from ucam_faas.exceptions import JobConflictError, JobStoreError
from ucam_faas.jobs.rows import Key, Row, Step
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.firestore.documents import Document, Documents, UnmetError, Write
from ucam_faas.jobs.stores.firestore.rows import (
    CHANGING,
    JOBS,
    KEYS,
    SENT,
    document_id,
    fields_of,
    is_forgotten,
    key_id,
    row_of,
    step_fields,
    step_path,
    steps_of,
)
from ucam_faas.jobs.stores.firestore.values import Timestamp, seconds
from ucam_faas.jobs.stores.transitions import is_held

_MAX_HELD = 1000
"""Claims whose rows are kept in this process: an instance runs no more at a time."""
TRIES = 20
"""For a change: each time, another one came first."""
CROWDED_SECONDS = 0.05
"""The longest wait before a guarded change is tried again, for each try before."""


class Seen(NamedTuple):
    """A row, as it was read.

    Args:
        version: of its document.
        sent: when the server stored it, or gave it its place in the order of sending.
        is_removed_by_policy: a TTL policy may remove it: it has no references.
    """

    row: Row
    version: str
    sent: Timestamp
    is_removed_by_policy: bool = False


Guard = Callable[[Seen], AbstractContextManager[Sequence[Write] | None]]
"""Has the writes to make with a change, whose conditions guard it; None: it is refused."""


class GuardedRows:
    """The rows of jobs.

    The rows that this process claimed are kept with their versions: their next change needs no
    read. So are those that its sweep looks at, without payloads, to visit or delete them.

    Args:
        documents: of the database.
        now: returns the time of all rows, in epoch seconds.
    """

    def __init__(self, documents: Documents, now: Callable[[], float]) -> None:
        self._documents = documents
        self._now = now
        self._lock = threading.Lock()
        self._claimed: OrderedDict[Key, Seen] = OrderedDict()
        self._swept: dict[Key, Seen] = {}

    def read(self, key: Key) -> Seen | None:
        """Read a row."""
        document = self._document(key)
        row = self.row(document)
        return None if document is None or row is None else seen_of(row, document)

    def row(self, document: Document | None) -> Row | None:
        """Return the row of a document; None: there is none, or its retention has ended."""
        if document is None:
            return None
        row = row_of(document.fields)
        return None if is_forgotten(row, self._now()) else row

    def steps(self, key: Key) -> list[Step]:
        """Read the steps of a job, the earliest first."""
        document = self._document(key)
        if document is None or self.row(document) is None:
            return []
        return steps_of(document.fields)

    def put_step(self, key: Key, step: Step, fence: int) -> bool | None:
        """Write a step of a claimed job, and return True if its end was asked for; None: the claim
        is void.
        """

        def held(row: Row) -> Row | None:
            return row if is_held(row, fence) else None

        row = self.change(key, held, step=step)
        return None if row is None else row.cancel_requested

    def change(
        self,
        key: Key,
        changed: Callable[[Row], Row | None],
        *,
        step: Step | None = None,
        guard: Guard | None = None,
    ) -> Row | None:
        """Write a function's version of a row, and return it; None: the function refuses it.

        Args:
            key: of the job.
            changed: returns a new version of the row.
            step: is written in its place.
            guard: of the change, after the function; None: there is none.

        Raises:
            JobConflictError: a job that is to run again has the `unique` key of one that runs.
        """
        writer = os.urandom(8).hex()
        seen = self._claimed.get(key)
        if seen is not None and changed(seen.row) is None:
            seen = None  # it may have changed
        for number in range(TRIES):
            document = None if seen else self._document(key)
            row = self.row(document)
            if document is not None and row is not None:
                seen = seen_of(row, document)
                if document.fields["data"]["writer"] == writer:
                    return self._hold(seen)  # by a try that had no answer
            new = None if seen is None else changed(seen.row)
            if seen is None or new is None:
                return None
            with nullcontext(()) if guard is None else guard(seen) as guards:
                if guards is None:
                    return None
                writes = [*self._writes(seen, new, writer, step), *guards]
                try:
                    (version, *_) = self._documents.commit(writes)
                    return self._hold(Seen(new, version, seen.sent))
                except UnmetError:
                    self._claimed.pop(key, None)
            if guards:
                threading.Event().wait(random.uniform(0, CROWDED_SECONDS * number))
            self._check_unique(seen, new)
            seen = None
        raise crowded()

    def delete(self, key: Key, states: Collection[State]) -> Row | None:
        """Remove a row in one of these states, and return it."""
        seen, row = self._whole(key), None
        for _ in range(TRIES):
            seen = seen or self.read(key)
            if seen is None:
                return row  # removed by a try that had no answer
            row = seen.row
            if row.state not in states:
                return None
            writes = [Write(self.name(key), None, seen.version)]
            if seen.row.unique is not None and not seen.row.state.is_completed:
                writes.append(Write(self.key_name(seen.row), None))
            try:
                self._documents.commit(writes)
                return row
            except UnmetError:
                seen = None
        raise crowded()

    def write(
        self,
        row: Row,
        version: str | None,
        mask: Sequence[str] | None = None,
        writer: str | None = None,
    ) -> Write:
        """Return the write of a row."""
        fields = fields_of(row, writer or os.urandom(8).hex())
        stamp = SENT if mask is None and row.limit_key is not None else None
        return Write(self.name(row.key), fields, version, mask, stamp)

    def keep_swept(self, documents: Iterable[Document]) -> list[Seen]:
        """Keep the rows that the sweep looks at, in place of earlier ones, and return them."""
        rows = [seen_of(row_of(document.fields), document) for document in documents]
        with self._lock:
            self._swept = {seen.row.key: seen for seen in rows}
        return rows

    def swept(self, key: Key) -> Seen | None:
        """Return a row as the sweep saw it, or read it."""
        with self._lock:
            seen = self._swept.pop(key, None)
        return seen or self.read(key)

    def _whole(self, key: Key) -> Seen | None:
        """Return a row as the sweep saw it, but with its references, if it may have any."""
        with self._lock:
            seen = self._swept.pop(key, None)
        if seen is None or seen.is_removed_by_policy:
            return seen
        document = self._document(key)
        if document is None or document.version != seen.version:
            return None
        return seen_of(row_of(document.fields), document)

    def _hold(self, seen: Seen) -> Row:
        """Keep a row for its next change as long as it is claimed."""
        row = seen.row
        with self._lock:
            self._claimed.pop(row.key, None)
            if row.state is State.STARTED:
                self._claimed[row.key] = seen
                oldest, *_ = next(iter(self._claimed.values()))
                if len(self._claimed) > _MAX_HELD or (oldest.lease or 0) <= self._now():
                    self._claimed.popitem(last=False)  # its run was abandoned
        return row

    def _writes(self, seen: Seen, new: Row, writer: str, step: Step | None) -> list[Write]:
        """Return the writes of a change; a live job has the document of its unique key."""
        if step is not None:
            paths = [step_path(step.name), "data.writer"]
            return [Write(self.name(new.key), step_fields(step, writer), seen.version, paths)]
        write = self.write(new, seen.version, CHANGING, writer)
        if new.limit_key != seen.row.limit_key:
            with_key = {**(write.fields or {}), SENT: seen.sent}
            write = write._replace(fields=with_key, mask=(*CHANGING, SENT, "data.limit_key"))
        writes = [write]
        if new.unique is not None and seen.row.state.is_completed != new.state.is_completed:
            fields = None if new.state.is_completed else {"job": new.key.id}
            writes.append(Write(self.key_name(new), fields))
        return writes

    def _check_unique(self, seen: Seen, new: Row) -> None:
        """Refuse a job that is to run again while another has its unique key.

        Raises:
            JobConflictError: that is the condition that a write didn't meet.
        """
        if new.unique is None or not seen.row.state.is_completed:
            return
        name = self.key_name(new)
        unique = self._documents.get([name]).get(name)
        if unique is not None and unique.fields["job"] != new.key.id:
            raise JobConflictError("Another job of the unique key hasn't ended.")

    def _document(self, key: Key) -> Document | None:
        name = self.name(key)
        return self._documents.get([name]).get(name)

    def name(self, key: Key) -> str:
        """Return the full name of a job's document."""
        return self._documents.name(JOBS, document_id(*key))

    def key_name(self, row: Row) -> str:
        """Return the full name of the document of a row's unique key."""
        assert row.unique is not None, "asked by the caller"
        return self._documents.name(KEYS, key_id(row.key, row.unique))


def seen_of(row: Row, document: Document) -> Seen:
    """Return the row of a document with its version."""
    sent = document.fields.get(SENT) or Timestamp(seconds(document.created))
    return Seen(row, document.version, sent, "remove" in document.fields)


def crowded() -> JobStoreError:
    """Return the error of a write whose condition wasn't met at any try."""
    return JobStoreError(f"Firestore: others changed the job first, {TRIES} times.")
