"""Sending to a task: a message to its topic, or a job by the rules of its code."""

from __future__ import annotations

from collections.abc import Mapping

from ucam_faas.backends.ports import Backends
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.publishing.messages import message_attributes
from ucam_faas.tasks.needs import TaskNeeds

NOTED_SECONDS, NOTED_PAUSE_SECONDS = 1.5, 0.05
"""How long to wait for the history to have a message, and between two looks at it."""


class NotPossibleError(UCAMFAASException):
    """A task gets no messages or jobs from here."""


def can_send(backends: Backends, needs: TaskNeeds) -> bool:
    """Return True if jobs can be sent to a task."""
    return backends.parser is not None and takes_jobs(backends, needs)


def takes_jobs(backends: Backends, needs: TaskNeeds) -> bool:
    """Return True if there is a store for a task's jobs."""
    return bool(backends.jobs is not None and needs.lanes and needs.gets_messages)


def can_publish(backends: Backends, needs: TaskNeeds) -> bool:
    """Return True if a message can be published to a task."""
    return bool(backends.publisher is not None and needs.topic)


def publish(
    backends: Backends, needs: TaskNeeds, data: bytes, attributes: Mapping[str, str], *, key: str
) -> tuple[str, str]:
    """Publish a message to a task's topic, and return its id, and the topic's full name.

    Raises:
        NotPossibleError: the task has no topic, or there is no Pub/Sub.
        PublishError: it wasn't taken.
    """
    if backends.publisher is None or needs.topic is None:
        raise NotPossibleError(f"Nothing can be published to {needs.name}.")
    topic = backends.publisher.full_name(needs.topic)
    id = backends.publisher.publish(topic, data, message_attributes(data, dict(attributes)), key)
    return id, topic


def is_noted(backends: Backends, message_id: str) -> bool:
    """Wait for a message in the history, which is written a moment later."""
    assert backends.history is not None, "the caller has checked it"
    end = backends.clock.monotonic() + NOTED_SECONDS
    while backends.history.message(message_id) is None:
        if backends.clock.monotonic() >= end:
            return False
        backends.clock.sleep(NOTED_PAUSE_SECONDS)
    return True


def send(
    backends: Backends,
    needs: TaskNeeds,
    data: bytes,
    attributes: Mapping[str, str],
    *,
    key: str = "",
    lane: str = "",
    id: str = "",
    delay_seconds: float = 0.0,
) -> tuple[str, Row | None]:
    """Send a job by the rules of the task's code; see `Parser.send` for the arguments and errors.

    Returns:
        Its id, and the job that has had it before; None: it's a new one.

    Raises:
        NotPossibleError: there is no store, or the task's code isn't known.
    """
    if backends.jobs is None or backends.parser is None or not takes_jobs(backends, needs):
        raise NotPossibleError(f"No jobs can be sent to {needs.name}.")
    store = backends.jobs.store
    before = store.now()
    id = backends.parser.send(
        needs.name,
        data,
        attributes,
        key=key,
        lane=lane,
        id=id,
        delay_seconds=delay_seconds,
    )
    row = store.get(Key(backends.jobs.app, needs.name, id))
    return id, row if row is not None and row.created < before else None
