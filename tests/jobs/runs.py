"""Runs of jobs in this process: a store that can be down, and the wakes of a test."""

from __future__ import annotations

from typing import Any

from tests.serving.harness import Exchange, exchange
from ucam_faas.exceptions import JobStoreError
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.serving.app import App
from ucam_faas.testing import ManualClock, make_message, make_push


class FaultyStore(SqliteStore):
    """A store in memory that fails when it is told to."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(":memory:", clock)
        self.claims_fail = False
        self.changes_that_fail = 0
        self.changes_without_answer = 0
        self.changes = 0
        self.on_change: Any = None

    def claim(
        self, key: Key, *, lease: float, instance: str, limit: int | None = None
    ) -> Row | None:
        if self.claims_fail:
            raise JobStoreError("down")
        return super().claim(key, lease=lease, instance=instance, limit=limit)

    def change(self, key: Key, change: Change, **options: Any) -> Row | None:
        self.changes += 1
        if self.on_change is not None:
            self.on_change()
        if self.changes_that_fail:
            self.changes_that_fail -= 1
            raise JobStoreError("down")
        row = super().change(key, change, **options)
        if self.changes_without_answer:
            self.changes_without_answer -= 1
            raise JobStoreError("no answer")
        return row


def add(store: SqliteStore, task: str = "task", id: str = "1", **values: Any) -> Key:
    """Insert a job of a task, and return its key."""
    key = Key("default", task, id)
    payload = values.pop("payload", b"")
    row = Row(key=key, payload=payload, owner="me", visit=60.0, **values)
    store.insert([row], wait=[0.0])
    return key


def row_of(store: SqliteStore, key: Key) -> Row:
    """Return the row of a job that is there."""
    row = store.get(key)
    assert row is not None
    return row


async def wake(app: App, task: str = "task", id: str = "1", **attributes: str) -> Exchange:
    """Deliver a wake."""
    push = make_push(make_message(b"", attributes={JOB_ATTRIBUTE: id, **attributes}))
    return await exchange(app, f"/{task}/inbox", [push.body], headers=push.headers)


def causes(store: SqliteStore, key: Key) -> list[str]:
    """Return the causes of a job's changes."""
    return [entry.cause for entry in row_of(store, key).history]
