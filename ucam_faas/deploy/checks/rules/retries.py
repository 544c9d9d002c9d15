"""Rules of retries: those that come too soon, and those that hold other messages back."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.tasks.policies import RetryPolicy, backoffs

_OUTAGE_SECONDS = 60
_MANY_ATTEMPTS = 10
_BLOCKED_SECONDS = 6 * 3600
_LONG_ENOUGH_SECONDS = 10
"""Between endless attempts."""


@rule(
    "retries-too-fast",
    why="A short outage of a service that the task needs uses up all attempts, and the attempts "
    "themselves keep it down.",
)
def too_fast(inputs: Inputs) -> Iterator[Finding]:
    """Retries at once, or ten and more within a minute."""
    for planned in inputs.retried:
        text = _haste(planned.task.policy.retry, planned.needs.max_attempts)
        if text:
            yield Finding(
                decorated(planned.task),
                f"The task {planned.name!r} has {text}.",
                "Wait for longer; min_backoff=timedelta(seconds=10) and "
                "max_backoff=timedelta(minutes=10) are the defaults.",
                planned.name,
            )


def _haste(retry: RetryPolicy, attempts: int | None) -> str:
    """Return what is too fast about retries; empty: nothing."""
    if attempts is None:
        longest = retry.max_backoff.total_seconds()
        at_once = retry.min_backoff.total_seconds() == 0 or longest < _LONG_ENOUGH_SECONDS
        return f"endless attempts, with waits of {longest:g} s at most" if at_once else ""
    waits = sum(backoffs(retry, attempts - 1))
    if waits < 1:
        return f"{attempts} attempts without a wait between them"
    hasty = attempts >= _MANY_ATTEMPTS and waits < _OUTAGE_SECONDS
    return f"{attempts} attempts within {waits:g} s" if hasty else ""


@rule(
    "ordered-blocked",
    why="A message that always fails holds back all later ones of its ordering key until it "
    "becomes a dead letter or expires.",
)
def ordered_blocked(inputs: Inputs) -> Iterator[Finding]:
    """Ordered messages without dead letters, or with retries that take more than six hours."""
    for planned in inputs.retried:
        attempts = planned.needs.max_attempts
        if not planned.needs.ordered:
            continue
        waits = 0.0 if attempts is None else sum(backoffs(planned.task.policy.retry, attempts - 1))
        if attempts is None or waits > _BLOCKED_SECONDS:
            text = (
                "no dead letters (max_attempts=None)"
                if attempts is None
                else f"{attempts} attempts, with waits of {waits / 3600:.0f} hours together"
            )
            yield Finding(
                decorated(planned.task),
                f"The task {planned.name!r} is ordered, and has {text}.",
                "Limit the attempts, retry=RetryPolicy(max_attempts=…), so that a message that "
                "fails makes way; or leave ordered=True out.",
                planned.name,
            )


RULES = (too_fast, ordered_blocked)
