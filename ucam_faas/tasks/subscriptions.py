"""The subscriptions of a task: that of its topic, and those of its inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ucam_faas.tasks.needs import TaskNeeds, full_topic
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
class TaskSubscription:
    """A subscription that pushes to a task, or that a worker pulls.

    Args:
        topic: short, or full.
        wrapped: pushes carry Pub/Sub's JSON; False: the data alone.
        path: at which the task gets the pushes.
        dead_letters: None: messages are delivered until they expire.
        existing: another owner has made it, and sets all but the path.
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
    existing: bool = False

    def resource(self, name: str, project: str) -> dict[str, Any]:
        """Return the subscription as Google's JSON has it, without the endpoint of its pushes."""
        resource: dict[str, Any] = {
            "name": f"projects/{project}/subscriptions/{name}",
            "topic": full_topic(self.topic, project),
            "ackDeadlineSeconds": self.ack_deadline_seconds,
            "enableMessageOrdering": self.ordered,
            "filter": self.filter or "",
            "retryPolicy": {
                "minimumBackoff": f"{self.min_backoff_seconds:.9f}s",
                "maximumBackoff": f"{self.max_backoff_seconds:.9f}s",
            },
        }
        if self.dead_letters is not None:
            resource["deadLetterPolicy"] = {
                "deadLetterTopic": full_topic(self.dead_letters.topic, project),
                "maxDeliveryAttempts": self.dead_letters.max_attempts,
            }
        return resource


def subscriptions_of(needs: TaskNeeds, lanes: Sequence[str]) -> dict[str, TaskSubscription]:
    """Return the subscriptions of a task that has a topic, by name.

    Args:
        lanes: those of its lanes that have an inbox.
    """
    inboxes = {inbox_of(needs.name, lane): _of_inbox(needs, lane) for lane in lanes}
    return {needs.subscription or needs.name: _of_topic(needs), **inboxes}


def _of_topic(needs: TaskNeeds) -> TaskSubscription:
    assert needs.topic is not None
    dead_letters = None
    if needs.max_attempts is not None and needs.dead_letter_topic is not None:
        dead_letters = DeadLetters(max_attempts=needs.max_attempts, topic=needs.dead_letter_topic)
    return TaskSubscription(
        topic=needs.topic,
        filter=needs.filter,
        ordered=needs.ordered,
        wrapped=needs.wrapped,
        path=needs.path,
        ack_deadline_seconds=needs.ack_deadline_seconds,
        min_backoff_seconds=needs.min_backoff_seconds,
        max_backoff_seconds=needs.max_backoff_seconds,
        dead_letters=dead_letters,
        existing=needs.subscription is not None,
    )


def _of_inbox(needs: TaskNeeds, lane: str) -> TaskSubscription:
    """Return the subscription of the inbox of a lane.

    It has no filter, because a job is for this task, and no dead letters: the attempts of a job are
    counted in its row.
    """
    return TaskSubscription(
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


def dead_letter_topics(needs: TaskNeeds) -> set[str]:
    """Return the topics of a task's dead letters."""
    topics = (needs.dead_letter_topic, needs.decided_dead_letter_topic)
    return {topic for topic in topics if topic}
