"""A day of jobs: senders, the store's rows, the inbox, the service and the sweep.

Time is the test clock's. Jobs go through it in cohorts, by tick, because ten million of them would
take hours. All numbers of jobs are whole, so a lost job shows in the sums.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from simulation.assumptions import HOUR, Assumptions
from simulation.cohorts import Cohort, Dice, Wakes
from simulation.inbox import Inbox
from simulation.report import Day
from simulation.service import Service
from simulation.sweep import Sweep
from ucam_faas.gcp.limits import backoff_seconds
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.tasks.policies import wait_seconds
from ucam_faas.testing.clock import ManualClock


@dataclass(slots=True, eq=False)
class _Run:
    """Attempts of jobs of one cohort, and the messages that brought them.

    Args:
        wakes: the messages.
        burst: of their pushes.
        claimed: the jobs; the other messages had no effect.
        begun: when.
        refused: the store didn't answer the claim.
    """

    wakes: Wakes
    burst: int
    claimed: int
    begun: float
    refused: bool = False


class World:
    """Jobs of one task on Google Cloud.

    Args:
        assumptions: the load, the settings and the behaviour of the services.
    """

    def __init__(self, assumptions: Assumptions) -> None:
        self.assumptions = assumptions
        self.clock = ManualClock()
        self.day = Day()
        self.unsent = self.pending = self.running = 0
        self._dice = Dice(assumptions.seed)
        self._inbox = Inbox(assumptions.push_window)
        self.service = Service(assumptions)
        self.sweep = Sweep(assumptions, self._inbox.publish)
        self._numbers = itertools.count()
        self._refused: list[tuple[float, int, int, float, int]] = []
        self._delayed: list[tuple[float, int, Cohort, int]] = []
        self._sent = 0
        self._expected = 0.0
        self._tokens = 0.0

    @property
    def now(self) -> float:
        """Seconds from the midnight before the day."""
        return self.clock.monotonic()

    @property
    def live(self) -> int:
        """Jobs that haven't ended, with those whose `send` was refused so far."""
        return self.unsent + self.pending + self.running

    def add(self, count: int) -> None:
        """Send jobs at once, before the day begins."""
        self.unsent += count
        self._send(count, self.now, self.now, 0)

    def run(self, longest: float = 48 * HOUR) -> Day:
        """Let the day pass, and the time until no job is left."""
        self._every(self.assumptions.tick, self._tick)
        self._every(1.0, self._second)
        if self.assumptions.sweep_period:
            self._every(self.assumptions.sweep_period, lambda: self.sweep.begin(self.now))
        self._every(self.day.sample_seconds, lambda: self.day.sample(self))
        while self.now < longest and (self.now < self.assumptions.day or self.live):
            self.clock.advance(60.0)
        self.day.sample(self)
        return self.day

    def _every(self, seconds: float, action: Callable[[], object]) -> None:
        def act() -> None:
            action()
            self.clock.call_later(seconds, act)

        self.clock.call_later(seconds, act)

    # -- each tick --------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.now
        self._send_new(now)
        self._send_again(now)
        self._dispatch(now)
        for run in self.service.ended(now):
            self._end(run, now)
        for wakes, burst in self.service.too_late(now):
            self.day.counts["429"] += wakes.count
            self._inbox.refuse(wakes, burst, now)
        for wakes, burst in self._inbox.take(now):
            self.service.receive(wakes, burst, now)
        self.service.start_instances(now)
        while (request := self.service.next()) is not None:
            self._begin(*request, now)
        self.sweep.work(now)

    def _second(self) -> None:
        now = self.now
        self.service.scale(now)
        self.day.instance_seconds += self.service.instances
        self.day.note_drain(self, now)
        if self.assumptions.removals_per_second and now <= self.assumptions.day:
            self.sweep.remove(self._dice.round(self.assumptions.rate(now)), now)

    # -- senders ----------------------------------------------------------------------------

    def _send_new(self, now: float) -> None:
        assumed = self.assumptions
        if now > assumed.day + assumed.tick / 2:
            return
        expected = assumed.rate(now) * assumed.tick
        since_burst = now - assumed.burst_at
        if 0 <= since_burst < min(60.0, assumed.day):
            expected += assumed.jobs * assumed.burst * assumed.tick / min(60.0, assumed.day)
        behind = self._expected - self._sent
        self._expected += expected
        count = self._dice.poisson(max(0.0, expected + behind * assumed.tick / 60.0))
        if now > assumed.day - assumed.tick / 2:
            count = assumed.jobs - self._sent  # a few more or fewer
        count = max(0, min(count, assumed.jobs - self._sent))
        self._sent += count
        self.unsent += count
        if count:
            self._send(count, now, now, 0)

    def _send_again(self, now: float) -> None:
        while self._refused and self._refused[0][0] <= now:
            _, _, count, sent, tries = heapq.heappop(self._refused)
            self._send(count, sent, now, tries)

    def _send(self, count: int, sent: float, now: float, tries: int) -> None:
        if self.assumptions.is_down(now):
            self.day.counts["sends refused"] += count
            retry = self.assumptions.retry
            least, most = retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds()
            wait = backoff_seconds(least, most, tries + 1)
            heapq.heappush(self._refused, (now + wait, next(self._numbers), count, sent, tries + 1))
            return
        self.unsent -= count
        self.pending += count
        self.day.counts["stored"] += count
        cohort = Cohort(sent, now, 0, count)
        self.sweep.visit(cohort, now + AGAIN_SECONDS)
        lost = self._dice.round(count * self.assumptions.lost_wakes)
        self.day.counts["wakes lost"] += lost
        self._wake(cohort, count - lost)

    def _wake(self, cohort: Cohort, count: int) -> None:
        cohort.woken += count
        self._inbox.publish(Wakes(cohort, count))

    # -- runs -------------------------------------------------------------------------------

    def _begin(self, wakes: Wakes, burst: int, now: float) -> None:
        assumed, dice = self.assumptions, self._dice
        if assumed.is_down(now):
            run = _Run(wakes, burst, 0, now, refused=True)
            self.service.run(wakes.count, now + assumed.refusal, run)
            return
        claimed = wakes.claim(dice)
        self.pending -= claimed
        self.running += claimed
        self.day.counts["runs"] += claimed
        if idle := wakes.count - claimed:
            self.day.counts["wakes without effect"] += idle
            for some, ticks in self._lengths(idle, assumed.without_effect / assumed.tick):
                run = _Run(wakes.split(some), burst, 0, now)
                if ticks:
                    self.service.run(some, now + ticks * assumed.tick - 1e-9, run)
                else:  # most of them take much less than a tick
                    self._inbox.acknowledge(some)
        left = claimed
        for index, (share, seconds) in enumerate(assumed.run_seconds):
            last = index == len(assumed.run_seconds) - 1
            count = left if last else min(left, dice.round(claimed * share))
            left -= count
            for some, ticks in self._lengths(count, seconds / assumed.tick):
                run = _Run(wakes.split(some), burst, some, now)
                self.service.run(some, now + ticks * assumed.tick - 1e-9, run)

    def _lengths(self, count: int, ticks: float) -> list[tuple[int, int]]:
        """Return numbers of attempts that take whole ticks, with the right mean."""
        longer = self._dice.round(count * (ticks - math.floor(ticks)))
        lengths = [(count - longer, math.floor(ticks)), (longer, math.floor(ticks) + 1)]
        return [(some, length) for some, length in lengths if some]

    def _end(self, run: object, now: float) -> None:
        assert isinstance(run, _Run)
        if run.refused:
            self.day.counts["claims refused"] += run.wakes.count
            self._inbox.refuse(run.wakes, run.burst, now)
        elif not run.claimed:
            self._inbox.acknowledge(run.wakes.count)
        elif self.assumptions.is_down(now):
            self._end_without_store(run, now)
        else:
            self._store_ends(run, now)

    def _end_without_store(self, run: _Run, now: float) -> None:
        """Wait for the store until the lease ends; then the delivery is refused."""
        assumed = self.assumptions
        assert assumed.outage is not None
        lease_ends = run.begun + assumed.lease
        if now < lease_ends:
            until = min(lease_ends, assumed.outage[1])
            self.service.run(run.claimed, max(until, now + assumed.tick), run)
            return
        self.day.counts["ends not stored"] += run.claimed
        cohort = self._lost(run.wakes.cohort, run.claimed, lease_ends)
        cohort.woken = run.claimed
        run.wakes.cohort = cohort
        self._inbox.refuse(run.wakes, run.burst, now)

    def _store_ends(self, run: _Run, now: float) -> None:
        assumed, counts, cohort = self.assumptions, self.day.counts, run.wakes.cohort
        lost = self._dice.round(run.claimed * assumed.lost_runs)
        failed = self._dice.round((run.claimed - lost) * assumed.failing)
        self._inbox.acknowledge(run.claimed)
        if lost:  # the redelivered message is acknowledged, as another process has the job's lease
            counts["processes lost"] += lost
            self._lost(cohort, lost, run.begun + assumed.lease)
        if failed:
            counts["failed runs"] += failed
            self._retry(cohort, failed, now)
        self._ended("SUCCESS", cohort, run.claimed - lost - failed, now)

    def _lost(self, cohort: Cohort, count: int, lease_ends: float) -> Cohort:
        """Let jobs of lost processes wait for the end of their leases; each has lost an attempt."""
        again = Cohort(cohort.sent, lease_ends, cohort.failures + 1, count)
        self.running -= count
        self.pending += count
        self.sweep.visit(again, lease_ends)
        return again

    def _retry(self, cohort: Cohort, count: int, now: float) -> None:
        retry, failures = self.assumptions.retry, cohort.failures + 1
        if retry.max_attempts is not None and failures >= retry.max_attempts:
            self._ended("FAILURE", cohort, count, now)
            return
        self.running -= count
        self.pending += count
        again = Cohort(cohort.sent, now + wait_seconds(retry, failures), failures, count)
        self.sweep.visit(again, again.due)
        if self.assumptions.queue_per_second:
            heapq.heappush(self._delayed, (again.due, next(self._numbers), again, count))

    def _dispatch(self, now: float) -> None:
        """Publish wakes by Cloud Tasks, a task for each."""
        rate = self.assumptions.queue_per_second
        self._tokens = min(self._tokens + rate * self.assumptions.tick, rate)
        while self._delayed and self._delayed[0][0] <= now and self._tokens >= 1:
            due, number, cohort, count = heapq.heappop(self._delayed)
            some = min(count, int(self._tokens))
            self._tokens -= some
            self._wake(cohort, min(some, cohort.pending))
            if some < count:
                heapq.heappush(self._delayed, (due, number, cohort, count - some))

    def _ended(self, state: str, cohort: Cohort, count: int, now: float) -> None:
        self.running -= count
        self.day.counts[state] += count
        if count:
            self.day.note_latency(cohort.sent, now - cohort.sent, count)
