"""Cloud Scheduler's jobs: targets, retries, state. Pure. Times are epoch seconds.

Sources: Google's pages "Job", "RetryConfig" and "Retry jobs" of Cloud Scheduler.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcToken:
    """A token to send as `Authorization: Bearer` ("OidcToken"); no audience: the target's URI."""

    service_account_email: str
    audience: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget:
    """A request to send ("HttpTarget"); a status of 200-299 is a success.

    Cloud Scheduler sends its own Host, Content-Length, `User-Agent: Google-Cloud-Scheduler`,
    `X-CloudScheduler: true`, `X-CloudScheduler-JobName` and `X-CloudScheduler-ScheduleTime` (RFC
    3339) in place of the user's, drops the user's `X-Google-*` and `X-AppEngine-*`, and says
    `application/octet-stream` of a body without a Content-Type.

    Args:
        uri: with http:// or https://.
        method: such as "POST".
        headers: the user's.
        body: with POST, PUT and PATCH only.
        oidc: the token to send, if any.
    """

    uri: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    oidc: OidcToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """The retries of failed attempts ("RetryConfig", "Retry jobs"). Durations are seconds.

    Args:
        retry_count: retries of an execution, 0-5.
        max_retry_duration: time for retries, from the execution's first attempt; 0: no limit.
            With both limits, retries end when both are reached; with neither, there are none.
        min_backoff: before the first retry.
        max_backoff: before any retry, at most.
        max_doublings: how often the backoff doubles; after that it grows by its last value.
    """

    retry_count: int = 0
    max_retry_duration: float = 0.0
    min_backoff: float = 5.0
    max_backoff: float = 3600.0
    max_doublings: int = 5

    def backoff(self, retry: int) -> float:
        """Return the seconds to wait before a retry; the first is number 1.

        >>> config = RetryConfig(min_backoff=10, max_backoff=300, max_doublings=3)
        >>> [config.backoff(retry) for retry in range(1, 9)]
        [10.0, 20.0, 40.0, 80.0, 160.0, 240.0, 300.0, 300.0]
        """
        doublings = min(retry - 1, self.max_doublings, 64)
        steps = retry - doublings
        return float(min(self.min_backoff * 2**doublings * steps, self.max_backoff))

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
        fields = asdict(self)
        binary = "data" if isinstance(self.target, PubsubTarget) else "body"
        fields["target"][binary] = base64.b64encode(fields["target"][binary]).decode()
        return fields

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Job:
        """Return the job that `to_dict` was called on."""
        target = dict(stored["target"])
        binary = "data" if "data" in target else "body"
        target[binary] = base64.b64decode(target[binary])
        if target.get("oidc"):
            target["oidc"] = OidcToken(**target["oidc"])
        read = PubsubTarget(**target) if binary == "data" else HttpTarget(**target)
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
