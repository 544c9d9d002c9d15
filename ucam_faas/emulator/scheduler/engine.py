"""When Cloud Scheduler's jobs run: state, and time as epoch seconds. Pure.

The driver asks `next_due` when to come back, makes the attempts that `due` (or `run`) returns, and
reports the result of each to `finished`, by the job's attempt deadline at the latest. It is not
safe for threads: call it under one lock, or from one event loop.

Sources: Google's pages "Job", "jobs.run" and "Retry jobs" of Cloud Scheduler.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import floor
from typing import Any

from ucam_faas.emulator.errors import RpcError, already_exists, not_found
from ucam_faas.emulator.scheduler.jobs import Firing, Job, JobState
from ucam_faas.gcp.cron import Cron, ScheduleError

OK, UNKNOWN, INVALID_ARGUMENT = 0, 2, 3
"""Codes of google.rpc that a job's status takes here; the driver may give others."""
SPARE_ENTRIES = 64  # outdated ones that the heap may hold before it is cleaned


@dataclass(slots=True)
class _Track:
    """The status of a job that does not outlive the process."""

    cron: Cron | None
    regular: float | None = None
    """The next run by the schedule."""
    retry_at: float | None = None
    retry: Firing | None = None
    running: int | None = None
    """The attempt that the schedule or a retry started: there is one at a time."""
    forced: set[int] = field(default_factory=set)
    serial: int = 0
    """The serial number of the job's one valid entry in the heap."""

    def plan(self, now: float) -> None:
        self.stop()
        self.regular = self.run_after(now)

    def run_after(self, now: float) -> float | None:
        # Whole seconds: a float may round up to the very run that it is just before.
        after = self.cron and self.cron.after(datetime.fromtimestamp(floor(now), UTC))
        return after.timestamp() if after else None

    def stop(self) -> None:
        self.regular = self.retry_at = self.retry = None


class Scheduler:
    """All jobs.

    No two attempts of a job overlap, except those that users force: a run that comes due during
    another starts when that ends. However many runs were missed, one is made up for while the
    process lived (a laptop slept), none after a restart.

    A name that does not exist is an `RpcError` NOT_FOUND, a bad schedule or zone a `ScheduleError`;
    neither changes anything.

    Args:
        save: gets a job's name and the changed job, or None when it is deleted.
    """

    def __init__(self, save: Callable[[str, Job | None], None]) -> None:
        self._save = save
        self._jobs: dict[str, Job] = {}
        self._tracks: dict[str, _Track] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = itertools.count(1)

    def restore(self, jobs: Iterable[Job], now: float) -> None:
        """Take over the jobs of an earlier process; runs missed since then are not made up for."""
        for job in jobs:
            state, status = job.state, {}
            try:
                track = _Track(Cron(job.schedule, job.time_zone))
                state = JobState.ENABLED if state is JobState.DISABLED else state
            except ScheduleError as error:
                track, state = _Track(None), JobState.DISABLED
                status = {"status_code": INVALID_ARGUMENT, "status_message": str(error)}
            if state is JobState.ENABLED:
                track.plan(now)
            self._jobs[job.name], self._tracks[job.name] = job, track
            self._replace(job.name, saved=False, state=state, **status)

    def create(self, job: Job, now: float) -> Job:
        """Add a job, enabled, and return it as it is kept; a name twice is ALREADY_EXISTS."""
        if job.name in self._jobs:
            raise already_exists(job.name)
        track = _Track(Cron(job.schedule, job.time_zone))
        track.plan(now)
        self._jobs[job.name], self._tracks[job.name] = job, track
        return self._replace(job.name, state=JobState.ENABLED, user_update_time=now)

    def get(self, name: str) -> Job:
        """Return a job."""
        if name not in self._jobs:
            raise not_found(name)
        return self._jobs[name]

    def list(self, prefix: str = "") -> Sequence[Job]:
        """Return the jobs whose names begin with `prefix`, by name."""
        return [self._jobs[name] for name in sorted(self._jobs) if name.startswith(prefix)]

    def update(self, job: Job, now: float) -> Job:
        """Replace a job's configuration. Only a new schedule or zone changes the next run."""
        old, track = self.get(job.name), self._tracks[job.name]
        cron = Cron(job.schedule, job.time_zone)
        disabled = old.state is JobState.DISABLED
        state = JobState.ENABLED if disabled else old.state
        if disabled or (old.schedule, old.time_zone) != (job.schedule, job.time_zone):
            track.cron = cron
            if state is JobState.ENABLED:
                track.plan(now)
        last = old.last_attempt_time, old.status_code, old.status_message
        self._jobs[job.name] = replace(job, state=state, user_update_time=now)
        return self._replace(
            job.name, last_attempt_time=last[0], status_code=last[1], status_message=last[2]
        )

    def delete(self, name: str) -> None:
        """Remove a job; the results of its running attempts are ignored."""
        self.get(name)
        del self._jobs[name], self._tracks[name]
        self._save(name, None)

    def pause(self, name: str, now: float) -> Job:
        """Stop running a job, retries included; if it is not enabled, FAILED_PRECONDITION."""
        self._check_state(name, JobState.ENABLED, "paused")
        self._tracks[name].stop()
        return self._replace(name, state=JobState.PAUSED)

    def resume(self, name: str, now: float) -> Job:
        """Run a job from its next time on; if it is not paused, FAILED_PRECONDITION."""
        self._check_state(name, JobState.PAUSED, "resumed")
        self._tracks[name].plan(now)
        return self._replace(name, state=JobState.ENABLED)

    def _check_state(self, name: str, expected: JobState, done: str) -> None:
        state = self.get(name).state
        if state is not expected:
            text = f"{name} is {state}: only a job that is {expected} can be {done}."
            raise RpcError("FAILED_PRECONDITION", text)

    def run(self, name: str, now: float) -> Firing:
        """Return an attempt to make now, whatever the schedule says.

        "jobs.run" asks for no state, so a paused job runs too, though it is not retried; and it
        dispatches the job even if it is already running.
        """
        self.get(name)
        job, number = self._replace(name, last_attempt_time=now), next(self._numbers)
        self._tracks[name].forced.add(number)
        return Firing(job=job, id=number, scheduled_time=now, first_attempt_time=now, forced=True)

    def set_back(self, seconds: float, now: float) -> None:
        """Follow a wall clock that was set back: plan runs again, and keep retries as far away."""
        for name, track in self._tracks.items():
            if track.regular is not None and track.regular > now:
                track.regular = track.run_after(now)
            if track.retry_at is not None and track.retry is not None:
                started = track.retry.first_attempt_time - seconds
                track.retry_at -= seconds
                track.retry = replace(track.retry, first_attempt_time=started)
            self._replace(name)

    def next_due(self) -> float | None:
        """Return when the next attempt is due; None: there is none."""
        while self._heap and not self._is_valid(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Sequence[Firing]:
        """Return the attempts to make now; report each to `finished`."""
        firings = []
        while (at := self.next_due()) is not None and at <= now:
            firings.append(self._start(heapq.heappop(self._heap)[2], now))
        return firings

    def _start(self, name: str, now: float) -> Firing:
        track, number = self._tracks[name], next(self._numbers)
        regular, retry = track.regular, track.retry
        track.running = number
        if regular is not None and regular <= now:
            track.plan(now)
            job = self._replace(name, last_attempt_time=now)
            return Firing(job=job, id=number, scheduled_time=regular, first_attempt_time=now)
        assert retry is not None, "a due attempt is a run or a retry"
        track.retry_at = track.retry = None
        job = self._replace(name, last_attempt_time=now)
        return replace(retry, job=job, id=number, attempt=retry.attempt + 1)

    def finished(
        self, firing: Firing, ok: bool, now: float, message: str = "", code: int | None = None
    ) -> None:
        """Record the result of an attempt. A second result, or one of a deleted job, is ignored.

        After a failure the retry config decides; a run that comes before the retry replaces it.
        `message` and `code` (of google.rpc; None: OK or UNKNOWN) become the job's status.
        """
        track = self._tracks.get(firing.job.name)
        if track is None or firing.id not in (track.running, *track.forced):
            return
        by_schedule = firing.id == track.running
        track.forced.discard(firing.id)
        if by_schedule:
            track.running = None
        job = self._jobs[firing.job.name]
        if job.state is JobState.ENABLED:
            if by_schedule and track.cron and track.cron.counts_from_end:
                track.plan(now)
            if not ok and track.running is None and track.retry is None:
                at = now + job.retry.backoff(firing.attempt)
                if job.retry.allows(firing.attempt, at - firing.first_attempt_time):
                    track.retry_at, track.retry = at, firing
        if code is None:
            code = OK if ok else UNKNOWN
        self._replace(job.name, status_code=code, status_message=message)

    def _replace(self, name: str, *, saved: bool = True, **changes: Any) -> Job:
        """Change a job, bring its entry in the heap up to date, and save it."""
        track = self._tracks[name]
        times = [at for at in (track.regular, track.retry_at) if at is not None]
        at = min(times, default=None)
        job = self._jobs[name] = replace(self._jobs[name], schedule_time=at, **changes)
        track.serial = next(self._numbers)
        if at is not None and track.running is None:
            heapq.heappush(self._heap, (at, track.serial, name))
            if len(self._heap) > 2 * len(self._jobs) + SPARE_ENTRIES:
                self._heap = [entry for entry in self._heap if self._is_valid(entry)]
                heapq.heapify(self._heap)
        if saved:
            self._save(name, job)
        return job

    def _is_valid(self, entry: tuple[float, int, str]) -> bool:
        _, serial, name = entry
        return name in self._tracks and self._tracks[name].serial == serial
