"""The changes of a row, for stores whose database can't compute them: rows in, rows out.

SQL stores have the same in their statements; the contract of all stores keeps the two alike.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from ucam_faas.jobs.rows import MAX_HISTORY, Change, Row
from ucam_faas.jobs.states import State

_FIRST_ENTRIES = 10
MAX_LOG_BYTES = 100_000
"""Of a history, which has fewer entries if their messages are long."""


def claimed(row: Row, lease: float, instance: str, now: float) -> Row | None:
    """Return a row as its new holder has it; None: it can't be taken now.

    Args:
        lease: seconds until another may take it.
        instance: the process that takes it.
        now: in epoch seconds.
    """
    is_lost = row.state is State.STARTED and row.lease is not None and row.lease <= now
    is_alive = row.expires is None or row.expires > now
    if not (is_lost or (row.state is State.PENDING and row.due <= now and is_alive)):
        return None
    new = replace(
        row,
        state=State.STARTED,
        fence=row.fence + 1,
        attempts=row.attempts + is_lost,
        lease=now + lease,
        visit=now + lease,
    )
    cause = "claimed after a lost process" if is_lost else "claimed"
    return replace(new, log=_log(new, now, cause, instance, ""))


def changed(
    row: Row, change: Change, fence: int | None, states: Collection[State], now: float
) -> Row | None:
    """Return a row after a change; None: it isn't in these states, or the claim is void.

    Args:
        fence: the claim's; None: no claim is needed.
        states: in which the job may be.
        now: in epoch seconds.
    """
    if row.state not in states or not (fence is None or is_held(row, fence)):
        return None
    new = replace(
        row,
        state=change.state,
        due=row.due if change.wait is None else now + change.wait,
        visit=now + change.visit,
        lease=None,
        attempts=(0 if change.afresh else row.attempts) + change.failed,
        interruptions=(0 if change.afresh else row.interruptions) + change.interrupted,
        expires=None if change.afresh else row.expires,
        cancel_requested=row.cancel_requested and not change.afresh,
        event_due=change.event_due,
        result=change.result,
        error=row.error if change.error is None else change.error,
    )
    return replace(new, log=_log(new, now, change.cause, change.instance, change.message))


def is_held(row: Row, fence: int) -> bool:
    """Return True if a claim is the present one."""
    return row.state is State.STARTED and row.fence == fence


def _log(row: Row, now: float, cause: str, instance: str, message: str) -> str:
    entries = json.loads(row.log)
    if len(entries) >= MAX_HISTORY:
        del entries[_FIRST_ENTRIES]
    entries.append([now, row.state, cause, row.fence, instance, message])
    while len(text := json.dumps(entries, ensure_ascii=False).encode()) > MAX_LOG_BYTES:
        if len(entries) <= _FIRST_ENTRIES + 1:
            break
        del entries[_FIRST_ENTRIES]
    return text.decode()
