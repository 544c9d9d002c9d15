"""The load, the settings and the behaviour that the simulation assumes, each with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ucam_faas.job_runs.claims import MARGIN_SECONDS
from ucam_faas.tasks.policies import RetryPolicy

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """A day of jobs of one task. Times are seconds from its midnight.

    Args:
        jobs: sent in the day.
        day: its length.
        peak: when most jobs are sent.
        swing: the load at the peak is `1 + swing` times the mean, at the other end `1 - swing`.
        burst: the share of the jobs that comes at once, in a minute.
        burst_at: when.
        run_seconds: how long attempts take, from the push to the answer: pairs of share and length.
        without_effect: how long a wake takes whose job runs already, or has ended.
        failing: the share of attempts that fail.
        lost_wakes: the share of sends whose process ends before the wake is published.
        lost_runs: the share of attempts whose process ends in the middle.
        timeout: the task's.
        retry: the task's. The senders repeat a refused `send` by it, too, as tasks would.
        queue_per_second: dispatches of UCAM_FAAS_DELAY_QUEUE, Google's limit; 0: there is no queue.
        max_instances: of the service; 20 is what the plan sets with a new project's quota.
        concurrency: of an instance; 4 is the number of threads for one CPU.
        cold_start: of an instance.
        target: the share of the concurrency that Cloud Run aims at, over `average_over`.
        average_over: see `target`.
        idle: how long Cloud Run keeps an instance that it doesn't need.
        pending: how long a request waits for an instance before its answer is 429.
        push_window: the most pushes under way. The emulator's is 100; Google's isn't known to us.
        outage: when the store doesn't answer, from and to; None: it always does.
        refusal: how long a claim takes to fail in the outage: a timeout of the connection.
        sweep_period: 0: no sweep runs.
        sweep_timeout: of one pass.
        wakes_per_second: of the sweep. Measured.
        removals_per_second: of the sweep, of jobs whose retention has ended. Measured. 0: the store
            removes them itself, as Firestore does.
        tick: the length of a step.
        seed: of the random numbers.
    """

    jobs: int = 10_000_000
    day: float = DAY
    peak: float = 14 * HOUR
    swing: float = 0.6
    burst: float = 0.03
    burst_at: float = 10 * HOUR
    run_seconds: tuple[tuple[float, float], ...] = ((0.9, 0.25), (0.1, 2.75))
    without_effect: float = 0.02
    failing: float = 0.02
    lost_wakes: float = 0.0001
    lost_runs: float = 0.00001
    timeout: float = 300.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    queue_per_second: float = 500.0
    max_instances: int = 20
    concurrency: int = 4
    cold_start: float = 3.0
    target: float = 0.6
    average_over: float = 60.0
    idle: float = 900.0
    pending: float = 10.0
    push_window: int = 3000
    outage: tuple[float, float] | None = (14 * HOUR, 15 * HOUR)
    refusal: float = 10.0
    sweep_period: float = 60.0
    sweep_timeout: float = 600.0
    wakes_per_second: float = 5000.0
    removals_per_second: float = 1000.0
    tick: float = 0.25
    seed: int = 1

    @property
    def lease(self) -> float:
        """How long a claim holds."""
        return self.timeout + MARGIN_SECONDS

    @property
    def mean_run(self) -> float:
        """The mean length of an attempt."""
        return sum(share * seconds for share, seconds in self.run_seconds)

    def rate(self, at: float) -> float:
        """Return the jobs sent per second at a time, without the burst."""
        mean = self.jobs * (1 - self.burst) / self.day
        return mean * (1 + self.swing * math.cos(2 * math.pi * (at - self.peak) / self.day))

    def is_down(self, at: float) -> bool:
        """Return True if the store doesn't answer."""
        return self.outage is not None and self.outage[0] <= at < self.outage[1]
