"""Cloud Tasks' queues and tasks: rates, retries, state. Pure. Times are epoch seconds.

Sources: Google's pages "Queue", "RateLimits", "RetryConfig" and "Task" of Cloud Tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import ceil
from typing import Any

from ucam_faas.emulator.targets.target import Backoffs, HttpTarget

RETENTION_SECONDS = 31 * 86400.0
"""A task lives no longer than this, dispatched or not."""


class QueueState(StrEnum):
    """A queue's state; a paused one takes tasks and dispatches none."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig(Backoffs):
    """The retries of failed attempts ("RetryConfig"). Durations are seconds.

    Args:
        max_attempts: with the first; -1: no limit.
        max_retry_duration: time for retries, from the first attempt; 0: no limit of its own. With
            both limits, retries end when both are reached.
    """

    min_backoff: float = 0.1
    max_backoff: float = 3600.0
    max_doublings: int = 16
    max_attempts: int = 100
    max_retry_duration: float = 0.0

    def allows(self, attempts: int, elapsed: float) -> bool:
        """Return True if a task may be tried again.

        Args:
            attempts: made so far.
            elapsed: seconds from the first attempt to the next.
        """
        if 0 <= attempts < self.max_attempts:
            return True
        if self.max_retry_duration > 0:
            return elapsed <= self.max_retry_duration
        return self.max_attempts < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue: its configuration and its state ("Queue").

    Args:
        name: `projects/P/locations/L/queues/ID`.
        max_dispatches_per_second: at most 500.
        max_concurrent_dispatches: at most 5000.
        retry: when failed attempts are repeated.
        state: changed by pausing and resuming only.
        purge_time: of the last purge; None: there was none.
        sampling_ratio: of the logs that Google would write; kept only.
    """

    name: str
    max_dispatches_per_second: float = 500.0
    max_concurrent_dispatches: int = 1000
    retry: RetryConfig = RetryConfig()
    state: QueueState = QueueState.RUNNING
    purge_time: float | None = None
    sampling_ratio: float | None = None

    @property
    def max_burst_size(self) -> int:
        """The size of the token bucket."""
        return max(1, ceil(self.max_dispatches_per_second))

    def to_dict(self) -> dict[str, Any]:
        """Return the queue as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Queue:
        """Return the queue that `to_dict` was called on."""
        retry, state = RetryConfig(**stored["retry"]), QueueState(stored["state"])
        return cls(**{**stored, "retry": retry, "state": state})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The last attempt of a task ("Attempt"); without a response time, it runs."""

    schedule_time: float
    dispatch_time: float
    response_time: float | None = None
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task: its request and its status ("Task").

    Args:
        name: `QUEUE/tasks/ID`.
        target: the request to send.
        create_time: when it was created.
        schedule_time: of the next attempt.
        named: the user chose the id, which then stays taken after the task's end.
        dispatch_deadline: seconds that the target may take to answer, 15-1800.
        retry: replaces the queue's; None: the queue's.
        dispatch_count: attempts, with those that run.
        response_count: attempts that were answered.
        execution_count: answers other than 5xx: the attempts that the handler itself refused.
        first_dispatch_time: of the first attempt; None: there was none.
        last_attempt: None: there was none.
        previous_status: of the last answer; None: there was none.
    """

    name: str
    target: HttpTarget
    create_time: float
    schedule_time: float
    named: bool = True
    dispatch_deadline: float = 600.0
    retry: RetryConfig | None = None
    dispatch_count: int = 0
    response_count: int = 0
    execution_count: int = 0
    first_dispatch_time: float | None = None
    last_attempt: Attempt | None = None
    previous_status: int | None = None

    @property
    def queue(self) -> str:
        """The full name of its queue."""
        return self.name.rpartition("/tasks/")[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the task as JSON-able values."""
        return asdict(self) | {"target": self.target.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Task:
        """Return the task that `to_dict` was called on."""
        fields = {**stored, "target": HttpTarget.from_dict(stored["target"])}
        if fields["retry"]:
            fields["retry"] = RetryConfig(**fields["retry"])
        if fields["last_attempt"]:
            fields["last_attempt"] = Attempt(**fields["last_attempt"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One attempt to send a task's request now.

    Args:
        task: as it was when the attempt started.
        id: unique among this emulator's attempts.
        forced: a user asked for it, rather than the schedule time.
    """

    task: Task
    id: int
    forced: bool = False
