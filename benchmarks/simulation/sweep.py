"""The sweep: wakes the jobs that are due for it, and removes old ones, by tick."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from simulation.assumptions import Assumptions
from simulation.cohorts import Cohort, Wakes
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.sweep import again_seconds

_KEY = Key("app", "task", "job")


class Sweep:
    """The rows that it has to visit, and the pass under way.

    Args:
        assumptions: its speed.
        publish: publishes wakes.
    """

    def __init__(self, assumptions: Assumptions, publish: Callable[[Wakes], None]) -> None:
        self._assumptions = assumptions
        self._publish = publish
        self._visits: list[tuple[float, int, Cohort | None, int]] = []
        self._numbers = itertools.count()
        self._began: float | None = None
        self._budget = 0.0
        self.woken = self.removed = self.cut_short = 0
        self.longest = 0.0

    def visit(self, cohort: Cohort, at: float) -> None:
        """Look at jobs that wait, from a time on."""
        heapq.heappush(self._visits, (at, next(self._numbers), cohort, 0))

    def remove(self, count: int, at: float) -> None:
        """Remove jobs whose retention ends."""
        heapq.heappush(self._visits, (at, next(self._numbers), None, count))

    def begin(self, now: float) -> None:
        """Begin a pass, unless one is under way."""
        if self._began is None and not self._assumptions.is_down(now):
            self._began, self._budget = now, 0.0

    def work(self, now: float) -> None:
        """Go on with the pass for a tick."""
        if self._began is None:
            return
        took = now - self._began
        if self._assumptions.is_down(now) or took >= self._assumptions.sweep_timeout:
            self.cut_short += 1
            self._end(took)
            return
        self._budget += self._assumptions.tick
        while self._budget > 0:
            if not self._visits or self._visits[0][0] > now:
                self._end(took)
                return
            _, _, cohort, count = heapq.heappop(self._visits)
            if cohort is None:
                self._budget -= count / self._assumptions.removals_per_second
                self.removed += count
            elif cohort.pending:
                self._wake(cohort, now)

    def _wake(self, cohort: Cohort, now: float) -> None:
        self._budget -= cohort.pending / self._assumptions.wakes_per_second
        self.woken += cohort.pending
        self._publish(Wakes(cohort, cohort.pending, repeated_for=cohort.pending))
        row = Row(key=_KEY, payload=b"", due=cohort.due)
        self.visit(cohort, now + again_seconds(row, now))

    def _end(self, took: float) -> None:
        self.longest = max(self.longest, took)
        self._began = None
