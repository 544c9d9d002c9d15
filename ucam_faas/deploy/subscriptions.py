"""The subscriptions of a task: that of its topic, and those of its inboxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.tasks.topics import (
    MAX_INBOX_BACKOFF_SECONDS,
    MIN_INBOX_BACKOFF_SECONDS,
    inbox_of,
    inbox_path,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Where Pub/Sub puts a message after its last attempt.

    Args:
        topic: short, or full.
    """

    max_attempts: int
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSubscription:
    """A subscription that pushes to a task, or that a worker pulls.

    Args:
        topic: short, or full.
        wrapped: pushes carry Pub/Sub's JSON; False: the data alone.
        path: at which the task gets the pushes.
        dead_letters: None: messages are delivered until they expire.
    """

    topic: str
    filter: str | None
    ordered: bool
    wrapped: bool
    path: str
    ack_deadline_seconds: int
    min_backoff_seconds: float
    max_backoff_seconds: float
    dead_letters: DeadLetters | None

    def to_json(self) -> dict[str, Any]:
        """Return the subscription as the Terraform module for one task takes it."""
        return {
            "topic": self.topic,
            "filter": self.filter,
            "ordered": self.ordered,
            "wrapped": self.wrapped,
            "path": self.path,
            "ack_deadline_seconds": self.ack_deadline_seconds,
            "retry": {
                "min_backoff_seconds": _number(self.min_backoff_seconds),
                "max_backoff_seconds": _number(self.max_backoff_seconds),
            },
            "dead_letter": self.dead_letters and asdict(self.dead_letters),
        }


def of_topic(needs: TaskNeeds) -> PlannedSubscription:
    """Return the subscription of the topic of a task that has one."""
    assert needs.topic is not None
    dead_letters = None
    if needs.max_attempts is not None and needs.dead_letter_topic is not None:
        dead_letters = DeadLetters(max_attempts=needs.max_attempts, topic=needs.dead_letter_topic)
    return PlannedSubscription(
        topic=needs.topic,
        filter=needs.filter,
        ordered=needs.ordered,
        wrapped=needs.wrapped,
        path=needs.path,
        ack_deadline_seconds=needs.ack_deadline_seconds,
        min_backoff_seconds=needs.min_backoff_seconds,
        max_backoff_seconds=needs.max_backoff_seconds,
        dead_letters=dead_letters,
    )


def of_inbox(needs: TaskNeeds, lane: str) -> PlannedSubscription:
    """Return the subscription of the inbox of a lane.

    It has no filter, because a job is for this task, and no dead letters: the attempts of a job are
    counted in its row.
    """
    return PlannedSubscription(
        topic=inbox_of(needs.name, lane),
        filter=None,
        ordered=False,
        wrapped=True,
        path=inbox_path(needs.path, lane),
        ack_deadline_seconds=needs.ack_deadline_seconds,
        min_backoff_seconds=MIN_INBOX_BACKOFF_SECONDS,
        max_backoff_seconds=MAX_INBOX_BACKOFF_SECONDS,
        dead_letters=None,
    )


def _number(seconds: float) -> float:
    """Return a whole number without a fraction: 10, not 10.0."""
    return int(seconds) if seconds == int(seconds) else seconds
