"""The members of a batch: its callback starts when all have ended.

A member's row names the callback, whose row is inserted after the members', and PAUSED: it exists
only if the whole batch was sent. After each end of a member the store is asked for a live one. If
there is none, one guarded change makes the callback PENDING: only one process can make it.

The sweep asks again each minute: for a process that was lost between a member's end and its
question, and for members that existed before, whose rows don't name the callback.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from ucam_faas.jobs.rows import Change, Key, Row, Wake, key_of, name_of
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.many import batches

LOOK_SECONDS = 60.0
"""Between two looks of the sweep at a callback that waits."""
_PAGE = 100
"""Rows that are read at a time: each has its payload and its result."""


def batch_of(callback: Key) -> str:
    """Return the name of a callback's batch, which its members have."""
    return name_of(callback)


def callback_of(app: str, batch: str) -> Key:
    """Return the callback of a batch.

    >>> callback_of("shop", "summarise/1f")
    Key(app='shop', task='summarise', id='1f')
    """
    return key_of(app, batch)


def after_end(store: JobStore, row: Row, wake: Callable[[Sequence[Wake]], object]) -> None:
    """Start the callback of a row that has ended or was removed, if it was the last live member.

    Args:
        wake: publishes wakes.
    """
    if row.batch is not None:
        start_callback(store, callback_of(row.key.app, row.batch), wake)


def start_callback(
    store: JobStore, callback: Key, wake: Callable[[Sequence[Wake]], object]
) -> None:
    """Let a callback start if all members of its batch have ended.

    Args:
        wake: publishes wakes.
    """
    if store.has_live_members(callback.app, batch_of(callback)):
        return
    row = store.get(callback)
    if row is None or not row.is_waiting_callback:
        return
    message = json.loads(store.payload_of(row))
    existing = existing_keys(callback.app, message["task"], message["existing"])
    if sum(1 for _ in ended_among(store, existing)) < len(existing):
        return
    change = Change(state=State.PENDING, cause="batch ended", visit=LOOK_SECONDS, wait=0)
    started = store.change(callback, change, states=frozenset({State.PAUSED}))
    if started is not None:
        wake([started.wake])


def awaited_batches(store: JobStore, rows: Iterable[Row]) -> frozenset[str | None]:
    """Return those batches of ended rows whose callbacks haven't ended: they read the outcomes."""
    apps = {row.batch: row.key.app for row in rows if row.state.is_completed and row.batch}
    live = ((batch, store.get(callback_of(app, batch))) for batch, app in apps.items())
    return frozenset(batch for batch, row in live if row and not row.state.is_completed)


def existing_keys(app: str, task: str, ids: Iterable[str]) -> list[Key]:
    """Return the keys of members that existed before their batch."""
    return [Key(app, task, id) for id in ids]


def ended_among(store: JobStore, keys: Sequence[Key]) -> Iterator[Row | None]:
    """Yield the rows of the jobs that have ended, and None for each that is missing."""
    for some in batches(keys, _PAGE):
        yield from store.ended(some).values()


def rows_of(store: JobStore, callback: Key) -> Iterator[Row]:
    """Yield the rows that name a callback."""
    last: Key | None = None
    while rows := store.members(callback.app, batch_of(callback), after=last, limit=_PAGE):
        yield from rows
        last = rows[-1].key
