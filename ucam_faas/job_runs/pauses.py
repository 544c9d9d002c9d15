"""Paused lanes: their jobs aren't claimed. Wakes are acknowledged, and the jobs stay PENDING. The
sweep wakes none of them; the end of the pause does.

A process asks the store every few seconds at most, while jobs of tasks with lanes start in it. So a
pause holds within that time, and costs most claims nothing. Each wake in a paused lane asks again,
so the end of a pause is noticed at once.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ucam_faas.clock import Clock
from ucam_faas.execution.execution import Execution, Unclaimed
from ucam_faas.jobs import pages
from ucam_faas.jobs.rows import Key, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.outcomes import Ignore

FRESH_SECONDS = 5.0
"""A pause holds in every process after this."""
_Lanes = frozenset[tuple[str, str]]
_SEEN: WeakKeyDictionary[JobStore, dict[str, tuple[float, _Lanes]]] = WeakKeyDictionary()
"""By store and application: the paused lanes, and until when they are believed."""


def check(execution: Execution, store: JobStore, key: Key) -> None:
    """Leave a job of a paused lane as it is. A task without `lanes=` asks nothing.

    Raises:
        Unclaimed: its lane is paused.
        JobStoreError: the store doesn't answer.
    """
    task, lane, clock = execution.task, execution.lane, execution.runtime.clock
    if task.lanes and is_paused(store, key.app, task.name, lane, clock):
        raise Unclaimed(Ignore(f"the lane {lane!r} is paused"))


def is_paused(store: JobStore, app: str, task: str, lane: str, clock: Clock) -> bool:
    """Return True if a lane is paused.

    Raises:
        JobStoreError: the store doesn't answer.
    """
    by_app, now = _SEEN.setdefault(store, {}), clock.monotonic()
    until, lanes = by_app.get(app, (now, frozenset()))
    if now < until and (task, lane) not in lanes:
        return False
    lanes = store.paused_lanes(app)
    by_app[app] = now + FRESH_SECONDS, lanes
    return (task, lane) in lanes


def wakes(store: JobStore, app: str, task: str, lane: str) -> list[Wake]:
    """Return the wakes of a lane's jobs that may start now, the oldest first."""
    now = store.now()
    rows = pages.latest(store, app, task=task, states={State.PENDING})
    return [row.wake for row in rows if row.lane == lane and row.due <= now][::-1]
