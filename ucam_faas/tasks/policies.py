"""How a task is run and retried: frozen objects, decided when the task is decorated.

Sources of the limits: Google's pages "Handle message failures", "Dead-letter topics" and
"Pub/Sub resource names".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ucam_faas.events.messages import TOPIC_PATH
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import MAX_ACK_DEADLINE_SECONDS, MIN_ACK_DEADLINE_SECONDS, backoff_seconds
from ucam_faas.tasks.backoffs import Backoff

DEFAULT_TIMEOUT = timedelta(minutes=5)
MIN_ATTEMPTS, MAX_ATTEMPTS = 5, 100
MAX_BACKOFF = timedelta(seconds=600)
MAX_JOB_ATTEMPTS = 11
"""The first, and Cloud Run's 10 retries at most."""
MAX_CONCURRENCY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a task's subscription delivers a message again.

    By default, for 20 minutes and 30 s: longer than a change of IAM takes to reach Cloud Run, until
    which it refuses pushes (Google's page "Access change propagation": 2 to 7 minutes, or more).

    Args:
        max_attempts: deliveries before the message goes to the dead-letter topic, 1 to 100; None:
            no dead letters, it is delivered until it expires. Pub/Sub enforces 5 and more;
            the task enforces less. Of a job: its runs. Of a Cloud Run job: its runs, 1 to 11.
        min_backoff: the wait before the second delivery, 0 to 600 s; it grows with each one.
        max_backoff: the longest wait, 0 to 600 s.
        backoff: of jobs, which Pub/Sub's limits don't concern: a function from the number of
            failures to the wait, in seconds or as a timedelta, such as `exponential()`.

    Raises:
        TaskDefinitionError: a value is outside Pub/Sub's limits.

    >>> RetryPolicy(max_attempts=20, min_backoff=timedelta(seconds=1)).max_backoff
    datetime.timedelta(seconds=600)
    """

    max_attempts: int | None = 8
    min_backoff: timedelta = timedelta(seconds=10)
    max_backoff: timedelta = MAX_BACKOFF
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        attempts = self.max_attempts
        if attempts is not None and not (type(attempts) is int and 1 <= attempts <= MAX_ATTEMPTS):
            raise TaskDefinitionError(
                f"max_attempts={attempts!r}: expected a whole number from 1 to {MAX_ATTEMPTS} "
                f"(Pub/Sub's limit), or None for no dead letters; for a Cloud Run job, 1 to "
                f"{MAX_JOB_ATTEMPTS}."
            )
        for name in ("min_backoff", "max_backoff"):
            backoff = getattr(self, name)
            if not isinstance(backoff, timedelta) or not timedelta(0) <= backoff <= MAX_BACKOFF:
                raise TaskDefinitionError(
                    f"{name}={backoff!r}: expected a timedelta from 0 to 600 seconds (Pub/Sub's "
                    f"limits), such as {name}=timedelta(seconds=30)."
                )
        if self.min_backoff > self.max_backoff:
            raise TaskDefinitionError(
                f"min_backoff={self.min_backoff!r} is longer than max_backoff="
                f"{self.max_backoff!r}: expected at most as long."
            )
        if self.backoff is not None and not callable(self.backoff):
            raise TaskDefinitionError(
                f"backoff={self.backoff!r}: expected a function from the number of failures to "
                "seconds or a timedelta, such as backoff=ucam_faas.exponential()."
            )


JOB_RETRY = RetryPolicy(max_attempts=4)
"""Of a Cloud Run job without a policy: Cloud Run's own 3 retries, at once. More help little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A task's policy.

    Args:
        timeout: from arrival to answer; None: 5 minutes when served, no limit when run once.
        concurrency: executions at a time in one process; None: as many as there are threads
            (sync tasks) or Cloud Run's 80 requests (async tasks).
        retry: how the task's subscription delivers again, unless another owner has made it; and
            how jobs are tried again.
        dead_letter_topic: overrides UCAM_FAAS_DEAD_LETTER_TOPIC.

    Raises:
        TaskDefinitionError: a value can never work.
    """

    timeout: timedelta | None = None
    concurrency: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    dead_letter_topic: str | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and (
            not isinstance(self.timeout, timedelta) or self.timeout <= timedelta(0)
        ):
            raise TaskDefinitionError(
                f"timeout={self.timeout!r}: expected a positive timedelta, "
                "such as timeout=timedelta(seconds=30)."
            )
        if self.concurrency is not None and (
            type(self.concurrency) is not int or not 1 <= self.concurrency <= MAX_CONCURRENCY
        ):
            raise TaskDefinitionError(
                f"concurrency={self.concurrency!r}: expected a whole number from 1 to "
                f"{MAX_CONCURRENCY} (Cloud Run's limit)."
            )
        if not isinstance(self.retry, RetryPolicy):
            raise TaskDefinitionError(
                f"retry={self.retry!r}: expected RetryPolicy(…), such as "
                "retry=RetryPolicy(max_attempts=10)."
            )
        if self.dead_letter_topic is not None:
            check_topic(self.dead_letter_topic)

    @property
    def served_timeout_seconds(self) -> float:
        """The timeout in force while serving, in seconds."""
        return (self.timeout or DEFAULT_TIMEOUT).total_seconds()

    @property
    def ack_deadline_seconds(self) -> int:
        """How long Pub/Sub waits for the answer to a push, within its limits."""
        seconds = math.ceil(self.served_timeout_seconds)
        return min(max(seconds, MIN_ACK_DEADLINE_SECONDS), MAX_ACK_DEADLINE_SECONDS)


def backoffs(retry: RetryPolicy, count: int) -> list[float]:
    """Return the waits in seconds before the second delivery and those after it.

    >>> backoffs(RetryPolicy(max_backoff=timedelta(seconds=60)), 4)
    [10.0, 20.0, 40.0, 60.0]
    """
    least, most = retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds()
    return [backoff_seconds(least, most, failures) for failures in range(1, count + 1)]


def wait_seconds(retry: RetryPolicy, failures: int) -> float:
    """Return the wait after a number of failures of a job.

    Raises:
        ValueError: the policy's function returned no wait.
        Exception: the function raised it.
    """
    if retry.backoff is None:
        return backoffs(retry, failures)[-1]
    wait: Any = retry.backoff(failures)
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if isinstance(seconds, int | float) and 0 <= seconds < math.inf:
        return float(seconds)
    raise ValueError(
        f"backoff({failures}) returned {wait!r}: expected seconds or a timedelta, of 0 or more."
    )


def check_topic(topic: str) -> None:
    """Refuse a name that is neither `projects/P/topics/T` nor a short `T`.

    Raises:
        TaskDefinitionError: with both forms and the rules in the message.
    """
    path = TOPIC_PATH.fullmatch(topic) if isinstance(topic, str) else None
    # A topic that exists elsewhere may be one of Google's own.
    if not (re.fullmatch(_NAME, path["topic"]) if path else is_topic_name(topic)):
        raise TaskDefinitionError(
            f"{topic!r} is not a topic: expected projects/PROJECT/topics/TOPIC or TOPIC, with "
            f"TOPIC of {TOPIC_RULES}."
        )


def is_topic_name(name: str) -> bool:
    """Return True if Pub/Sub lets us make a topic of this name.

    >>> is_topic_name("orders"), is_topic_name("_orders"), is_topic_name("googly")
    (True, False, False)
    """
    return isinstance(name, str) and bool(re.fullmatch(_NAME, name)) and not name.startswith("goog")


_NAME = r"[A-Za-z][A-Za-z0-9_.~+%-]{2,254}"  # compiled when it is first needed
TOPIC_RULES = (
    "3 to 255 characters, the first a letter, all of them A-Z a-z 0-9 - _ . ~ + or %, and not "
    "beginning with goog (Pub/Sub's rules)"
)
