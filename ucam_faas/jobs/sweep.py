"""The sweep: looks at the rows that are due for it, and does the next thing with each.

It wakes jobs whose time has come or whose process was lost, ends those that expired, publishes
events that are due, and removes the jobs whose retention has ended. Repeating it is harmless, as is
another process's sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ucam_faas.jobs import members
from ucam_faas.jobs.limits import wake_after
from ucam_faas.jobs.rows import Change, Key, Row, Wake
from ucam_faas.jobs.states import ENDED, WAITING, State
from ucam_faas.jobs.stores import JobStore

AGAIN_SECONDS, LONGEST_AGAIN_SECONDS = 60.0, 3600.0
"""A job that was woken and has not started by then is woken again: after 60 s, and then each time
after as long as it has waited so far. Most of the jobs in a long queue have their wakes still."""
RETENTION_SECONDS = 7 * 24 * 3600.0
"""How long an ended job is kept, if nothing else is said."""
BATCH = 500


def sweep(
    store: JobStore,
    app: str,
    wake: Callable[[Sequence[Wake]], object],
    on_expired: Callable[[Key], object] = bool,
    publish: Callable[[Sequence[Row]], bool] | None = None,
) -> int:
    """Look at the overdue rows, and return how many there were.

    Args:
        store: has the rows.
        app: the application whose rows they are. Those of another may have other inboxes.
        wake: publishes wakes.
        on_expired: gets each job that has expired.
        publish: publishes the events of ended jobs, and returns False if they are still due; None:
            there is no topic for events.
    """
    count = 0
    while rows := store.overdue(app, BATCH):
        _look_at(rows, store, wake, on_expired, publish)
        count += len(rows)
        if len(rows) < BATCH:
            break
    return count


def _look_at(
    rows: Sequence[Row],
    store: JobStore,
    wake: Callable[[Sequence[Wake]], object],
    on_expired: Callable[[Key], object],
    publish: Callable[[Sequence[Row]], bool] | None,
) -> None:
    now = store.now()
    waiting: list[Row] = []
    with_events: list[Row] = []
    kept: list[Row] = []
    awaited = members.awaited_batches(store, rows)
    for row in rows:
        if row.event_due:
            whole = store.get(row.key)
            with_events += [whole] if whole is not None and whole.event_due else []
        elif row.state.is_completed:
            if row.batch in awaited:
                kept.append(row)
            else:
                store.delete(row.key, states=ENDED)
        elif row.is_waiting_callback:
            members.start_callback(store, row.key, wake)
            store.visit([row.key], [members.LOOK_SECONDS])
        elif row.state in WAITING and row.expires is not None and row.expires <= now:
            expired = store.change(row.key, _expiry(row, publish), states=WAITING)
            if expired is not None:
                wake_after(store, expired, wake)
                members.after_end(store, expired, wake)
                on_expired(row.key)
                with_events += [expired] * expired.event_due
        else:
            waiting.append(row)
    if with_events:
        _publish(with_events, store, now, publish)
    if kept:
        store.visit([row.key for row in kept], [LONGEST_AGAIN_SECONDS] * len(kept))
    if waiting:
        wake(_wakes(waiting, store))
        store.visit([row.key for row in waiting], [again_seconds(row, now) for row in waiting])


def _wakes(rows: Sequence[Row], store: JobStore) -> list[Wake]:
    """Return the wakes of jobs, but for those of paused lanes: the end of the pause wakes them."""
    rows = [row for row in rows if row.state is not State.PAUSED]
    paused = store.paused_lanes(rows[0].key.app) if rows else frozenset()
    return [row.wake for row in rows if (row.key.task, row.lane) not in paused]


def _expiry(row: Row, publish: object) -> Change:
    """Return the end of a job whose time to live has passed."""
    if publish is None or row.options.get("events") == "none":
        return Change(state=State.EXPIRED, cause="expired", visit=retention(row))
    return Change(state=State.EXPIRED, cause="expired", visit=AGAIN_SECONDS, event_due=True)


def _publish(
    rows: Sequence[Row],
    store: JobStore,
    now: float,
    publish: Callable[[Sequence[Row]], bool] | None,
) -> None:
    """Publish events, and remove the jobs whose retention ends before that succeeds."""
    if publish is None:
        note_published(rows, store)
    elif not publish(rows):
        store.visit([row.key for row in rows], [AGAIN_SECONDS] * len(rows))
        for row in rows:
            if row.history[-1].time + retention(row) <= now:
                store.delete(row.key, states=ENDED)


def note_published(rows: Sequence[Row], store: JobStore) -> None:
    """Note that the events of these jobs are published."""
    fences = [row.fence for row in rows]
    store.visit([row.key for row in rows], [retention(row) for row in rows], published=fences)


def again_seconds(row: Row, now: float) -> float:
    """Return the seconds until a job that waits is looked at again."""
    since = row.due if row.lease is None else row.lease
    seconds = min(max(AGAIN_SECONDS, now - since), LONGEST_AGAIN_SECONDS)
    if row.state not in WAITING or row.expires is None:
        return seconds
    return min(seconds, max(0.0, row.expires - now))


def retention(row: Row) -> float:
    """Return the seconds that a row is kept after its end."""
    return float(row.options.get("retention", RETENTION_SECONDS))
