"""The subscriptions of a task, as Google's JSON has them, without the endpoint of their pushes."""

from __future__ import annotations

from typing import Any

from ucam_faas.tasks.needs import TaskNeeds, full_topic
from ucam_faas.tasks.topics import MAX_INBOX_BACKOFF_SECONDS, MIN_INBOX_BACKOFF_SECONDS, inbox_of


def of_topic(needs: TaskNeeds, project: str) -> dict[str, Any]:
    """Return the subscription of a task to its topic."""
    subscription: dict[str, Any] = {
        "name": f"projects/{project}/subscriptions/{needs.name}",
        "topic": full_topic(needs.topic or "", project),
        "ackDeadlineSeconds": needs.ack_deadline_seconds,
        "enableMessageOrdering": needs.ordered,
        "filter": needs.filter or "",
        "retryPolicy": _retry_policy(needs.min_backoff_seconds, needs.max_backoff_seconds),
    }
    if needs.dead_letter_topic is not None and needs.max_attempts:
        subscription["deadLetterPolicy"] = {
            "deadLetterTopic": full_topic(needs.dead_letter_topic, project),
            "maxDeliveryAttempts": needs.max_attempts,
        }
    return subscription


def of_inbox(needs: TaskNeeds, lane: str, project: str) -> dict[str, Any]:
    """Return the subscription of the inbox of a lane: no filter, no dead letters."""
    name = inbox_of(needs.name, lane)
    return {
        "name": f"projects/{project}/subscriptions/{name}",
        "topic": full_topic(name, project),
        "ackDeadlineSeconds": needs.ack_deadline_seconds,
        "retryPolicy": _retry_policy(MIN_INBOX_BACKOFF_SECONDS, MAX_INBOX_BACKOFF_SECONDS),
    }


def _retry_policy(least: float, most: float) -> dict[str, str]:
    return {"minimumBackoff": f"{least:.9f}s", "maximumBackoff": f"{most:.9f}s"}


def dead_letter_topics(needs: TaskNeeds) -> set[str]:
    """Return the topics of a task's dead letters."""
    topics = (needs.dead_letter_topic, needs.decided_dead_letter_topic)
    return {topic for topic in topics if topic}
