"""The limits of jobs: the key of a payload, and the wake of the next job of a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ucam_faas.jobs.rows import Row, Wake
from ucam_faas.jobs.send_options import key_text
from ucam_faas.jobs.stores import JobStore
from ucam_faas.tasks.limit import Limit


def key_of(limit: Limit, payload: Any) -> str:
    """Return the key of a payload.

    Raises:
        TypeError: the limit's function returned something else than a text, a number, a date or a
            UUID.
        Exception: the function raised it.
    """
    return limit.key if isinstance(limit.key, str) else key_text("limit", limit.key, payload)


def wake_next_in_order(store: JobStore, row: Row, wake: Callable[[Sequence[Wake]], object]) -> None:
    """Wake the job after one that was in order, and has ended without a run.

    Args:
        wake: publishes wakes.
    """
    next_one = store.next_of(row, None)
    if next_one is not None:
        wake([next_one])
