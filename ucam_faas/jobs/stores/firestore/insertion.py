"""The insertion of rows: all that are new in one commit, and those that are there are read then.

The documents of a batch are usually new, so nothing is read before. The rows that a running job
sends are inserted in a transaction, which reads that job: it has to be held still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ucam_faas.jobs.rows import Row, lost
from ucam_faas.jobs.stores.firestore.documents import Document, Documents, UnmetError, Write
from ucam_faas.jobs.stores.firestore.guarded import TRIES, GuardedRows, crowded
from ucam_faas.jobs.stores.transitions import is_held

ByName = Mapping[str, Document]


class Insertion:
    """An insertion of rows.

    Args:
        documents: of the database.
        rows: reads and writes rows.
        parent: the claimed job that sends them.
    """

    def __init__(self, documents: Documents, rows: GuardedRows, parent: Row | None) -> None:
        self._documents = documents
        self._rows = rows
        self._parent = parent

    def insert(self, new: Sequence[Row]) -> list[Row]:
        """Insert rows, at most half as many as a commit has writes; return those that are there.

        Raises:
            JobLostError: the parent's claim is void.
        """
        names = [name for row in new for name in self._names(row)]
        there: ByName = {}
        for number in range(TRIES):
            transaction = None
            try:
                if self._parent is not None:
                    transaction, there = self._documents.begin(
                        [self._rows.name(self._parent.key), *(names if number else [])]
                    )
                    self._check_held(self._parent, there)
                elif number:
                    there = self._documents.get(names)
                kept, writes = self._kept(new, there)
                if writes:
                    self._documents.commit(writes, transaction)
                    transaction = None
                return kept
            except UnmetError:
                continue
            finally:
                if transaction is not None:
                    self._documents.roll_back(transaction)
        raise crowded()

    def existing(self, rows: Sequence[Row]) -> list[Row | None]:
        """Return the stored row in whose place each of these would be inserted, if any."""
        there = self._documents.get([name for row in rows for name in self._names(row)])
        holders: list[Row | None] = []
        for row in rows:
            name, *unique = self._names(row)
            holder = self._rows.row(there.get(name))
            for key in unique:
                holder = holder or self._holder(row, there.get(key))
            holders.append(holder)
        return holders

    def _check_held(self, parent: Row, there: ByName) -> None:
        """Refuse an insertion by a job that is another execution's by now."""
        row = self._rows.row(there.get(self._rows.name(parent.key)))
        if row is None or not is_held(row, parent.fence):
            raise lost(parent.key)

    def _kept(self, new: Sequence[Row], there: ByName) -> tuple[list[Row], list[Write]]:
        """Return the rows that are there after the insertion, and the writes that it takes."""
        kept: list[Row] = []
        writes: list[Write] = []
        holders: dict[str, Row] = {}
        for row in new:
            name, *unique = self._names(row)
            holder = holders.get(name) or self._rows.row(there.get(name))
            for key in unique:
                holder = holder or holders.get(key) or self._holder(row, there.get(key))
            if holder is None:
                holder = row
                writes.append(self._rows.write(row, _version(there, name)))
                writes += [Write(key, {"job": row.key.id}, _version(there, key)) for key in unique]
                holders |= dict.fromkeys((name, *unique), row)
            kept.append(holder)
        return kept, writes

    def _holder(self, row: Row, unique: Document | None) -> Row | None:
        """Return the live job that a unique key's document names."""
        if unique is None:
            return None
        seen = self._rows.read(row.key._replace(id=unique.fields["job"]))
        return None if seen is None or seen.row.state.is_completed else seen.row

    def _names(self, row: Row) -> list[str]:
        """Return the names of the documents of a row: the job's, and its unique key's."""
        name = self._rows.name(row.key)
        return [name] if row.unique is None else [name, self._rows.key_name(row)]


def _version(there: ByName, name: str) -> str | None:
    document = there.get(name)
    return None if document is None else document.version
