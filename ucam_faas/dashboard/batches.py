"""The newest events of a history, for the live page and its stream."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.history.reader import History
from ucam_faas.history.rows import Event

MOST_ROWS = 100
"""In one event of a stream; more wouldn't be seen."""
MOST_READ = 2000
"""Events that are read for it: a filter leaves some out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The newest of some events.

    Args:
        events: the newest first.
        left_out: how many older ones aren't among them.
        last: the number of the last one, before any filter.
    """

    events: tuple[Event, ...]
    left_out: int
    last: int

    @property
    def count(self) -> int:
        """How many events it tells of."""
        return len(self.events) + self.left_out


def batch_of(history: History, after: int, *, task: str = "", kind: str = "") -> Batch:
    """Return the newest events after a number.

    Args:
        history: has them.
        after: the number of an event.
        task: only its events; none: all.
        kind: only events of it; none: all.
    """
    last = history.last_seq()
    first = max(after, last - MOST_READ)
    events = [
        event
        for event in history.stream(first, MOST_READ)
        if event.seq <= last and task in ("", event.task) and kind in ("", event.kind)
    ]
    unread = 0 if task or kind else first - after
    newest = tuple(events[: -MOST_ROWS - 1 : -1])
    return Batch(newest, len(events) - len(newest) + unread, last)
