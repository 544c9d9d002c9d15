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


def wake_after(store: JobStore, row: Row, wake: Callable[[Sequence[Wake]], object]) -> None:
    """Wake the next job of a row's key, after the row has ended or been removed without a run.

    The number of the task's limit isn't known here: while others of the key run, their ends wake
    the next.

    Args:
        wake: publishes wakes.
    """
    next_one = store.next_of(row, 1)
    if next_one is not None:
        wake([next_one])
