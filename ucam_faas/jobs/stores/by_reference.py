"""A store whose large payloads and results are elsewhere: its rows have references to them.

The object is written before its row, and removed after it, so a row's object is there. A process
that ends in between leaves an object without a row: the bucket's lifecycle removes it by its age.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from ucam_faas.exceptions import JobLostError, JobStoreError, PayloadMissingError
from ucam_faas.jobs.payloads import PayloadStore
from ucam_faas.jobs.payloads.references import (
    BY_REFERENCE,
    Reference,
    of_payload,
    of_result,
    prefix_of,
    reference_to,
    references,
)
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.many import each
from ucam_faas.logs.problems import log_problem

MAX_INLINE_BYTES = 200_000
"""Of a payload or a result in a row: with the attributes, both fit in any store."""


class ByReference:
    """A store of jobs, and the store of payloads that are too large for its rows.

    Args:
        store: has the rows.
        payloads: has the objects.
        above: payloads and results of more bytes are objects.
        after_delete: takes the function that removes a deleted row's objects; None: it is called at
            once.
    """

    max_bytes = None

    def __init__(
        self,
        store: JobStore,
        payloads: PayloadStore,
        above: int,
        after_delete: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        self._store = store
        self._payloads = payloads
        self._above = min(above, MAX_INLINE_BYTES)
        self._after_delete = after_delete

    def __getattr__(self, name: str) -> Any:
        """Return a method of the store."""
        return getattr(self._store, name)

    def insert(
        self, rows: Sequence[Row], *, wait: Sequence[float], parent: Row | None = None
    ) -> list[Row]:
        """Write large payloads, and insert the rows."""
        large = [row for row in rows if len(row.payload) > self._above]
        if not large:
            return self._store.insert(rows, wait=wait, parent=parent)
        made = {row.owner: row for row in each(self._outside, large)}
        new = [made.get(row.owner, row) for row in rows]
        try:
            kept = self._store.insert(new, wait=wait, parent=parent)
        except JobLostError:
            self._discard([ref for row in made.values() for ref in references(row)])
            raise
        owners = {row.owner for row in kept}
        unused = [row for owner, row in made.items() if owner not in owners]
        self._discard([ref for row in unused for ref in references(row)])
        return kept

    def change(
        self,
        key: Key,
        change: Change,
        *,
        fence: int | None = None,
        states: Collection[State] = LIVE,
    ) -> Row | None:
        """Write a large result, and change the row."""
        result = change.result
        if result is None or len(result) <= self._above:
            return self._store.change(key, change, fence=fence, states=states)
        digest = hashlib.sha256(result).hexdigest()[:16]  # one run may try to store two results
        reference = reference_to(f"{prefix_of(key)}result-{fence}-{digest}", result)
        self._payloads.put(reference.name, result)
        change = replace(change, result=reference.to_bytes())
        row = self._store.change(key, change, fence=fence, states=states)
        if row is None:
            there = self._store.get(key)
            if there is None or of_result(there) != reference:  # else by a try without an answer
                self._discard([reference])
        return row

    def delete(self, key: Key, *, states: Collection[State]) -> Row | None:
        """Remove a row, and then its objects."""
        row = self._store.delete(key, states=states)
        if row is None:
            return None
        discard = partial(self._discard, references(row))
        if self._after_delete is None:
            discard()
        else:
            self._after_delete(discard)
        return row

    def payload_of(self, row: Row) -> bytes:
        """Return the payload of a row."""
        reference = of_payload(row)
        return row.payload if reference is None else self._read(row, reference, "payload")

    def result_of(self, row: Row) -> bytes | None:
        """Return the result of a row."""
        reference = of_result(row)
        return row.result if reference is None else self._read(row, reference, "result")

    def _outside(self, row: Row) -> Row:
        """Write a payload, and return its row with the reference."""
        reference = reference_to(f"{prefix_of(row.key)}payload-{row.owner}", row.payload)
        self._payloads.put(reference.name, row.payload)
        options = {**row.options, BY_REFERENCE: "by reference"}
        return replace(row, payload=reference.to_bytes(), options=options)

    def _read(self, row: Row, reference: Reference, what: str) -> bytes:
        data = self._payloads.get(reference.name)
        if data is None or hashlib.sha256(data).hexdigest() != reference.sha256:
            state = "isn't in the payload store" if data is None else "has changed"
            raise PayloadMissingError(
                f"The {what} of the job {row.key.id!r} of {row.key.task!r} {state}: the object "
                f"{reference.name}. A lifecycle rule may have removed it, or UCAM_FAAS_PAYLOADS "
                "differs from the sender's."
            )
        return data

    def _discard(self, unused: Sequence[Reference]) -> None:
        """Remove objects without a row; if it fails, the bucket's lifecycle removes them."""
        try:
            if unused:
                self._payloads.remove([reference.name for reference in unused])
        except JobStoreError as error:
            log_problem("ucam_faas_payload_not_removed", error=error)


def rows_of(store: JobStore | ByReference) -> JobStore:
    """Return the store that has a store's rows: itself, if it has them."""
    return store._store if isinstance(store, ByReference) else store


def with_rows(
    store: JobStore | ByReference,
    rows: JobStore,
    after_commit: Callable[[Callable[[], object]], object],
) -> JobStore:
    """Return a store in a transaction of its rows.

    Args:
        rows: the store of the rows, over the transaction's connection.
        after_commit: takes an action, and calls it after the commit.
    """
    if not isinstance(store, ByReference):
        return rows
    bound = ByReference(rows, store._payloads, store._above, after_commit)
    return cast("JobStore", bound)  # its other methods are the rows'
