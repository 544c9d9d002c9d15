"""The rows of a plan in the order of sending. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ucam_faas.dead_letters.plans import Row

AHEAD = 10
"""For each row of a batch, how many rows are looked at, at most: others may wait for their key."""


class RowQueue:
    """Rows, of which those with one lane go one after the other, the earliest first.

    Args:
        rows: in the order of their plan.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = deque(rows)
        self._blocked: set[str] = set()
        self.held_back: list[Row] = []
        """Rows that aren't sent, because an earlier one of their lane wasn't."""

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, most: int) -> list[Row]:
        """Return the next rows, at most one of each lane; none: there are no more."""
        taken: list[Row] = []
        later: list[Row] = []
        lanes: set[str] = set()
        while self._rows and len(taken) < most and len(later) < most * AHEAD:
            row = self._rows.popleft()
            if row.lane in self._blocked:
                self.held_back.append(row)
            elif row.lane in lanes:
                later.append(row)
            else:
                taken.append(row)
                if row.lane:
                    lanes.add(row.lane)
        self._rows.extendleft(reversed(later))
        return taken

    def block(self, row: Row) -> None:
        """Hold back the rows that come after one in its lane."""
        if row.lane:
            self._blocked.add(row.lane)
