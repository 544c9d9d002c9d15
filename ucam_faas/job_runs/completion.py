"""The end of a job by its task's own hand: in the transaction that has its effects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ucam_faas.job_runs import ends
from ucam_faas.job_runs.instance import instance
from ucam_faas.jobs import transactions
from ucam_faas.jobs.rows import Change, Row, lost


@dataclass(slots=True)
class Completion:
    """Whether a task has completed its job.

    Args:
        with_event: adds to the change of the row the event that it has.
        is_tried: the task has begun to: a lost connection leaves the end of the commit unknown.
        row: as it was committed; None: it wasn't, or that isn't known.
    """

    with_event: Callable[[Change], Change] = field(default=lambda change: change)
    is_tried: bool = False
    row: Row | None = None

    def add(self, row: Row, result: bytes) -> None:
        """Add the end of the job to the open transaction.

        Args:
            row: of the job, as it was claimed.
            result: as JSON.

        Raises:
            JobLostError: another process holds the job by now. The transaction is rolled back.
            RuntimeError: the job is completed already.
        """
        transaction = transactions.current()
        assert transaction is not None, "the caller is in its block"
        if self.row is not None or transaction.completed == row.key:
            raise RuntimeError(f"The job {row.key.id!r} is completed already.")
        self.is_tried = True
        end = self.with_event(ends.finished(row, result, instance()))
        stored = transaction.bound.change(row.key, end, fence=row.fence)
        if stored is None:
            transaction.refusal = lost(row.key)
            raise transaction.refusal
        transaction.completed = row.key
        transaction.on_commit.insert(0, partial(self._store, stored))

    def _store(self, row: Row) -> None:
        self.row = row


def block_of(connection: Any) -> Any:
    """Return the block that commits: the open one, or one around the call.

    Raises:
        TypeError: there is no transaction.
        ValueError: the connection isn't the open block's.
    """
    transaction = transactions.current()
    if transaction is None:
        from ucam_faas.sending.transaction import Block  # tasks may never need it

        if connection is None:
            raise TypeError(
                "complete(…) needs a transaction: call it in `with ucam_faas.transaction(…)`, "
                "or pass connection=. To end a job without one, return its result."
            )
        return Block(connection, joins=True)
    if connection not in (None, transaction.connection):
        raise ValueError("complete(…) got another connection than its block's: leave it out.")
    return nullcontext()
