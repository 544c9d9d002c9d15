"""The callback of a batch: sent after the members, with a message that names them.

Its id is made of the members' keys: the same jobs, sent again, have the same callback.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ucam_faas.exceptions import JobConflictError
from ucam_faas.jobs import members, transactions
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import ENDED, State
from ucam_faas.sending.batches import Batch, BatchEnded
from ucam_faas.sending.children import child_id
from ucam_faas.sending.drafts import Drafter, drafter
from ucam_faas.sending.sender import handle, target_of, wake


class Callback:
    """The callback of a batch that is being sent.

    Args:
        sending: makes the rows of the members.
        then: its task, or the name of its task.
        rows: of the members.

    Raises:
        TypeError, ValueError, TaskDefinitionError: it can't be sent to the task.
    """

    def __init__(self, sending: Drafter, then: Any, rows: Sequence[Row]) -> None:
        self._here, self._target = sending.here, target_of(then)
        name = self._target if isinstance(self._target, str) else self._target.name
        options = {"id": _id(sending, name, rows)}
        self._drafts = drafter(self._here, self._target, options, sending.parent)
        self._batch = members.batch_of(Key(self._here.settings.app, name, options["id"]))
        self._task = sending.name
        try:  # before anything is sent
            self._row([])
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"then={name!r}: expected a task that takes a BatchEnded. {error}"
            ) from error

    def member(self, row: Row) -> Row:
        """Return the row of a member, which names the callback."""
        return replace(row, batch=self._batch)

    def send(
        self, jobs: Sequence[Job[Any]], stored: Sequence[Row], *, has_new: bool, holder: Row | None
    ) -> Batch[Any]:
        """Send it, and start it if all members have ended.

        Args:
            jobs: the members, in the order of the payloads.
            stored: their rows.
            has_new: some of them are new.
            holder: the claimed job that sends them.

        Raises:
            JobConflictError: another job has its `unique` key.
            JobLostError: the holder's claim is void.
            JobStoreError: it isn't known whether it was sent.
        """
        row, message = self._row(stored)
        store = self._here.jobs_for("a batch can't be sent")
        store = transactions.within(store)
        insert = partial(store.insert, [row], wait=[0.0], parent=holder)
        (there,) = insert()
        if there.key != row.key:
            raise JobConflictError(
                f"The job {there.key.id!r} of {there.key.task!r} has the unique key of the "
                "callback, and hasn't ended: a callback needs a key of its own."
            )
        if has_new and there.state.is_completed:  # it ran for members that have been removed since
            store.delete(there.key, states=ENDED)
            insert()
        members.start_callback(store, row.key, partial(wake, self._here))
        return Batch(tuple(jobs), handle(self._here, self._target, row.key.id), message)

    def _row(self, stored: Sequence[Row]) -> tuple[Row, BatchEnded]:
        existing = {row.key.id for row in stored if row.batch != self._batch}
        message = BatchEnded(
            batch=self._batch,
            task=self._task,
            total=len({row.key for row in stored}),
            existing=tuple(sorted(existing)),
        )
        row = self._drafts.row(message)
        return replace(row, state=State.PAUSED, visit=members.LOOK_SECONDS), message


def _id(sending: Drafter, name: str, rows: Sequence[Row]) -> str:
    if not rows:  # one that no other empty batch has
        return child_id(sending.parent, sending.here.settings.app, name, b"", {})
    text = json.dumps([name, sorted({row.key for row in rows})])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
