"""Waiting until a local cloud is idle: messages are done, and time moves on over backoffs."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta

from ucam_faas.emulator.core.lease import State
from ucam_faas.tasks.policies import MAX_ATTEMPTS
from ucam_faas.testing.clock import ManualClock
from ucam_faas.testing.hostile import Hostile
from ucam_faas.testing.local_jobs import LocalJobs
from ucam_faas.testing.not_idle import NotIdleError
from ucam_faas.testing.pubsub import EmbeddedPubsub

IDLE_SECONDS = 30.0
POLL_SECONDS = 0.0005
ROUNDING_SECONDS = 1e-5
"""A datetime is rounded: a timer may need time to move on a little further."""


class Idle:
    """Waits in real time while something runs, and then moves the test's clock.

    Args:
        pubsub: pushes to the tasks.
        clock: the test's, by which `pubsub` goes.
        tasks: names of the tasks that are served, for messages of errors.
        hostile: decides the deliveries; None: they are as published.
        jobs: are swept whenever the clock is moved.
    """

    def __init__(
        self,
        pubsub: EmbeddedPubsub,
        clock: ManualClock,
        tasks: Collection[str],
        hostile: Hostile | None,
        jobs: LocalJobs,
    ) -> None:
        self._pubsub = pubsub
        self._clock = clock
        self._tasks = tasks
        self._hostile = hostile
        self._jobs = jobs

    def wait(self, timeout_seconds: float) -> None:
        """Return when all messages are done; see `EmbeddedCloud.wait_idle`."""
        until = time.monotonic() + timeout_seconds
        while (due := self._next(until, timeout_seconds)) is not None:
            endless = self._pubsub.call(self._pubsub.emulator.pushes.failing, MAX_ATTEMPTS)
            if endless:
                raise NotIdleError(
                    f"Messages of {', '.join(endless)} have failed more than {MAX_ATTEMPTS} times, "
                    "and have no max_attempts: they would never succeed."
                )
            self._advance_to(due)

    def _next(self, until: float, timeout_seconds: float) -> float | None:
        backoff = self._settle(until, timeout_seconds)
        lost = self._hostile.lost if self._hostile is not None else ()
        return _earliest(backoff, self._jobs.next_attempt(lost))

    def advance(self, by: timedelta) -> None:
        """Let time pass, and wait at each time that something is due at."""
        end = self._clock.now() + by
        while True:
            backoff = self._settle_at_a_time(end.timestamp())
            due = _earliest(backoff, *self._pubsub.call(self._next_dues), self._jobs.next_visit())
            if due is None or due > end.timestamp():
                break
            self._advance_to(due)
        self._clock.advance(max(timedelta(), end - self._clock.now()))
        self._jobs.sweep()
        self._settle_at_a_time(end.timestamp())

    def _next_dues(self) -> tuple[float | None, float | None]:
        emulator = self._pubsub.emulator
        return emulator.schedules.scheduler.next_due(), emulator.cloud_tasks.queues.next_due()

    def _advance_to(self, time: float) -> None:
        before = self._clock.now()
        seconds = max(0.0, time - before.timestamp())
        self._clock.advance(timedelta(seconds=seconds))
        if self._clock.now() == before:
            self._clock.advance(timedelta(seconds=ROUNDING_SECONDS))
        self._jobs.sweep()

    def _settle_at_a_time(self, horizon: float) -> float | None:
        return self._settle(time.monotonic() + IDLE_SECONDS, IDLE_SECONDS, horizon)

    def _settle(
        self, until: float, timeout_seconds: float, horizon: float = float("inf")
    ) -> float | None:
        """Wait, in real time, until nothing can happen before the clock moves.

        Args:
            until: when to give up, by the system's monotonic clock.
            timeout_seconds: for the message of the error.
            horizon: how far the clock will be moved, in epoch seconds.

        Returns:
            when the next backoff ends, in epoch seconds; None: no message waits for one.
        """
        while True:
            running, due = self._pubsub.call(self._look, horizon)
            if not running:
                return due
            if time.monotonic() > until:
                raise NotIdleError(
                    f"After {timeout_seconds:g} s of real time, something still runs: "
                    f"{', '.join(running)}. Let it end, or wait longer: "
                    "wait_idle(timeout_seconds=…)."
                )
            time.sleep(POLL_SECONDS)

    def _look(self, horizon: float) -> tuple[list[str], float | None]:
        """Return the running deliveries and the next backoff's end; on the emulator's thread."""
        pushes = self._pubsub.emulator.pushes
        due = None
        if not pushes.busy():
            due = pushes.next_due()
            if self._hostile is not None:
                self._hostile.play(pushes.pushers.values(), settled=due is None or due > horizon)
        running = [self._describe(name) for name in pushes.busy()]
        if self._pubsub.emulator.schedules.in_flight:
            running.append("the request of a schedule")
        if self._pubsub.emulator.cloud_tasks.in_flight:
            running.append("the request of a task of Cloud Tasks")
        return running, due

    def _describe(self, name: str) -> str:
        short = name.rpartition("/")[2]
        subscription = self._pubsub.emulator.resources.subscriptions.get(name)
        queue = subscription.queue if subscription is not None else None
        entries = queue.entries.values() if queue else ()
        leased = [str(entry.number) for entry in entries if entry.state is State.LEASED]
        kind = "task" if short in self._tasks else "subscription"
        return f"the {kind} {short!r} (message {', '.join(leased[:3]) or 'to come'})"


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
