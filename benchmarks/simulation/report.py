"""The report on a day: counts, samples over time, latencies."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation.assumptions import HOUR

if TYPE_CHECKING:
    from simulation.world import World

PRECISION = 100
"""Latencies are counted in classes of a hundredth of their power of two."""


@dataclass(slots=True)
class Sample:
    """The state at a time: seconds from midnight, jobs, instances, and counts since midnight."""

    at: float
    unsent: int
    backlog: int
    running: int
    instances: int
    stored: int
    ended: int
    runs: int
    woken: int


@dataclass(slots=True)
class Day:
    """The outcome of a day."""

    sample_seconds: float = 60.0
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    instance_seconds: float = 0.0
    drained: float | None = None
    """Seconds from the end of the outage until no more jobs wait than are sent in a minute."""
    _latencies: defaultdict[int, Counter[float]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    @property
    def ended(self) -> int:
        """The jobs that have ended."""
        return self.counts["SUCCESS"] + self.counts["FAILURE"]

    def sample(self, world: World) -> None:
        """Note the state."""
        counts = self.counts
        self.samples.append(
            Sample(
                at=world.now,
                unsent=world.unsent,
                backlog=world.pending,
                running=world.running,
                instances=world.service.instances,
                stored=counts["stored"],
                ended=self.ended,
                runs=counts["runs"],
                woken=world.sweep.woken,
            )
        )

    def note_drain(self, world: World, now: float) -> None:
        """Note the end of the backlog that an outage left."""
        assumed = world.assumptions
        if self.drained is not None or assumed.outage is None or now < assumed.outage[1]:
            return
        if world.live <= max(60 * assumed.rate(now), 1.0):
            self.drained = now - assumed.outage[1]

    def note_latency(self, sent: float, seconds: float, count: int) -> None:
        """Note how long after their sending jobs ended, by the hour of the sending."""
        power = 0.25
        while seconds > power * 2:
            power *= 2
        step = power / PRECISION
        self._latencies[int(sent // HOUR)][round(seconds / step) * step] += count

    def latency(self, share: float, hours: range | None = None) -> float:
        """Return the latency that a share of the jobs of some hours stayed within."""
        total: Counter[float] = Counter()
        for hour, latencies in self._latencies.items():
            if hours is None or hour in hours:
                total.update(latencies)
        left = share * sum(total.values())
        for seconds in sorted(total):
            left -= total[seconds]
            if left <= 0:
                return seconds
        return 0.0
