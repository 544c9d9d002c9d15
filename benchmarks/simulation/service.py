"""The Cloud Run service: requests that run or wait for an instance, and the number of instances.

Source: Google's page "About instance autoscaling in Cloud Run services".
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator

from simulation.assumptions import Assumptions
from simulation.cohorts import Wakes


class Service:
    """Instances, and the requests that they have.

    Args:
        assumptions: its limits.
    """

    def __init__(self, assumptions: Assumptions) -> None:
        self._limits = assumptions
        self.instances = 0
        self.running = 0
        self.pending = 0
        self._waiting: deque[tuple[float, Wakes, int]] = deque()
        self._starting: list[float] = []
        self._ends: list[tuple[float, int, int, object]] = []
        self._numbers = itertools.count()
        self._requests: deque[int] = deque(maxlen=max(1, round(assumptions.average_over)))
        self._wanted: deque[int] = deque(maxlen=max(1, round(assumptions.idle)))

    @property
    def free(self) -> int:
        """How many more requests may run."""
        return max(0, self.instances * self._limits.concurrency - self.running)

    def receive(self, wakes: Wakes, burst: int, now: float) -> None:
        """Let requests wait for an instance."""
        self.pending += wakes.count
        self._waiting.append((now, wakes, burst))

    def too_late(self, now: float) -> Iterator[tuple[Wakes, int]]:
        """Take the requests that have waited too long: their answer is 429."""
        longest = max(self._limits.pending, self._limits.cold_start)
        while self._waiting and self._waiting[0][0] + longest <= now:
            _, wakes, burst = self._waiting.popleft()
            self.pending -= wakes.count
            yield wakes, burst

    def next(self) -> tuple[Wakes, int] | None:
        """Take requests of one cohort that can run now; None: there are none, or no room."""
        if not self._waiting or not (free := self.free):
            return None
        since, wakes, burst = self._waiting.popleft()
        if wakes.count > free:
            self._waiting.appendleft((since, wakes, burst))
            wakes = wakes.split(free)
        self.pending -= wakes.count
        return wakes, burst

    def run(self, count: int, until: float, event: object) -> None:
        """Let requests run until a time."""
        self.running += count
        heapq.heappush(self._ends, (until, next(self._numbers), count, event))

    def ended(self, now: float) -> Iterator[object]:
        """Take the requests whose time has come."""
        while self._ends and self._ends[0][0] <= now:
            _, _, count, event = heapq.heappop(self._ends)
            self.running -= count
            yield event

    def start_instances(self, now: float) -> None:
        """Count the instances that are ready, and start those that waiting requests need."""
        while self._starting and self._starting[0] <= now:
            self._starting.pop(0)
            self.instances += 1
        if self.pending:
            self._grow(math.ceil((self.running + self.pending) / self._limits.concurrency), now)

    def scale(self, now: float) -> None:
        """Aim at a share of the concurrency over the last minute; call it each second."""
        limits = self._limits
        self._requests.append(self.running + self.pending)
        average = sum(self._requests) / len(self._requests)
        wanted = math.ceil(average / (limits.target * limits.concurrency))
        self._wanted.append(min(wanted, limits.max_instances))
        self._grow(wanted, now)
        busy = math.ceil(self.running / limits.concurrency)
        self.instances = min(self.instances, max(max(self._wanted), busy))

    def _grow(self, wanted: int, now: float) -> None:
        more = min(wanted, self._limits.max_instances) - self.instances - len(self._starting)
        self._starting += [now + self._limits.cold_start] * max(0, more)
