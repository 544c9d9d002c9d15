"""`task.publish(…)`: a payload in, a message on the task's topic out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.execution import runtime
from ucam_faas.gcp.limits import MAX_MESSAGE_BYTES, MAX_ORDERING_KEY_BYTES
from ucam_faas.publishing.payloads import serialise
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import topic_of
from ucam_faas.tasks.triggers import check_attributes

NO_PAYLOAD: Any = object()

PUBLISHED = {"ucam_faas_trigger": "publish"}
"""The attributes of a message that has nothing else: Pub/Sub takes no empty message."""


def publish(
    task: Task,
    payload: Any = NO_PAYLOAD,
    *,
    attributes: Mapping[str, str] | None = None,
    ordering_key: str = "",
) -> str:
    """Publish a message to a task's topic, and return its id.

    Raises:
        TaskDefinitionError: the task has no topic.
        TypeError: the payload is missing, or can't be serialised for the task.
        ValueError: the task's parser rejects the payload, or Pub/Sub would the message.
        ConfigurationError: no project, or no publisher.
        PublishError: it was not published, or it isn't known whether it was.
    """
    topic = topic_of(task)
    data = _nothing_for(task) if payload is NO_PAYLOAD else serialise(task, payload)
    attributes = dict(attributes or {})
    if payload is NO_PAYLOAD and not attributes:
        attributes = PUBLISHED
    _check_message(data, attributes, ordering_key)
    here = runtime.current()
    return here.outgoing().publish(
        here.full_topic(topic, task.name), data, attributes, ordering_key=ordering_key
    )


def _nothing_for(task: Task) -> bytes:
    """Return the data of a message without a payload, if the task takes one."""
    try:
        return serialise(task, b"")
    except ValueError:
        raise TypeError(
            f"{task.name!r} takes {task.takes}: give it one, as in {task.name}.publish(payload)."
        ) from None


def _check_message(data: bytes, attributes: Mapping[str, str], ordering_key: str) -> None:
    try:
        check_attributes(attributes)
    except TaskDefinitionError as error:
        raise ValueError(str(error)) from error
    if not isinstance(ordering_key, str):
        raise TypeError(f"ordering_key={ordering_key!r}: expected a text.")
    if not data and not attributes:
        raise ValueError(
            "Pub/Sub takes no message without data or an attribute: add attributes={…}."
        )
    size = len(data) + sum(len(text.encode()) for pair in attributes.items() for text in pair)
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"The message has {size} bytes: Pub/Sub takes at most {MAX_MESSAGE_BYTES}."
        )
    if len(ordering_key.encode()) > MAX_ORDERING_KEY_BYTES:
        raise ValueError(
            f"The ordering key has over {MAX_ORDERING_KEY_BYTES} bytes, Pub/Sub's limit."
        )
