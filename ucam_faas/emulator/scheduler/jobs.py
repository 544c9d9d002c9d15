"""Cloud Scheduler's jobs: targets, retries, state. Pure. Times are epoch seconds.

Sources: Google's pages "Job", "RetryConfig" and "Retry jobs" of Cloud Scheduler.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ucam_faas.emulator.targets.target import Backoffs, HttpTarget


class JobState(StrEnum):
    """A job's state. DISABLED: its stored schedule can no longer be read; an update repairs it."""

    ENABLED = "ENABLED"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PubsubTarget:
    """A message to publish ("PubsubTarget").

    Args:
        topic: `projects/P/topics/T`.
        data: of the message; it or the attributes are not empty.
        attributes: of the message.
    """

    topic: str
    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON-able values."""
        return asdict(self) | {"data": base64.b64encode(self.data).decode()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> PubsubTarget:
        """Return the target that `to_dict` was called on."""
        return cls(**{**stored, "data": base64.b64decode(stored["data"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig(Backoffs):
    """The retries of failed attempts ("RetryConfig", "Retry jobs"). Durations are seconds.

    Args:
        retry_count: retries of an execution, 0-5.
        max_retry_duration: time for retries, from the execution's first attempt; 0: no limit.
            With both limits, retries end when both are reached; with neither, there are none.
    """

    min_backoff: float = 5.0
    max_backoff: float = 3600.0
    max_doublings: int = 5
    retry_count: int = 0
    max_retry_duration: float = 0.0

    def allows(self, retry: int, elapsed: float) -> bool:
        """Return True if a retry may start `elapsed` seconds after the first attempt did."""
        if retry <= self.retry_count:
            return True
        return self.max_retry_duration > 0 and elapsed <= self.max_retry_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: its configuration and its status ("Job"). Times are epoch seconds.

    Args:
        name: `projects/P/locations/L/jobs/ID`.
        schedule, time_zone: see `Cron`.
        target: the message or request that a run sends.
        description: at most 500 characters.
        retry: when failed attempts are repeated.
        attempt_deadline: seconds that an HTTP target may take to answer, 15-1800.
        state: paused jobs run by force only.
        user_update_time: when the user created or last updated it.
        schedule_time: the next run or retry; None: there is none.
        last_attempt_time: when the last attempt started; None: there was none.
        status_code: of google.rpc, of the last attempt that ended; None: none ended.
        status_message: says more about the code.
    """

    name: str
    schedule: str
    target: PubsubTarget | HttpTarget
    time_zone: str = "UTC"
    description: str = ""
    retry: RetryConfig = RetryConfig()
    attempt_deadline: float = 180.0
    state: JobState = JobState.ENABLED
    user_update_time: float = 0.0
    schedule_time: float | None = None
    last_attempt_time: float | None = None
    status_code: int | None = None
    status_message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the job as JSON-able values."""
        return asdict(self) | {"target": self.target.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Job:
        """Return the job that `to_dict` was called on."""
        kind = PubsubTarget if "topic" in stored["target"] else HttpTarget
        read = kind.from_dict(stored["target"])
        state, retry = JobState(stored["state"]), RetryConfig(**stored["retry"])
        return cls(**{**stored, "target": read, "retry": retry, "state": state})


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One attempt to send a job's target now. Times are epoch seconds.

    Args:
        job: as it was when the attempt started.
        id: unique among this scheduler's attempts.
        attempt: 1 for the first of an execution, then its retries.
        scheduled_time: when the execution was due.
        first_attempt_time: when the execution's first attempt started.
        forced: the user asked for the execution, rather than the schedule.
    """

    job: Job
    id: int
    attempt: int = 1
    scheduled_time: float
    first_attempt_time: float
    forced: bool = False
