"""`task.publish(…)`: a payload in, a message on the task's topic out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.execution import runtime
from ucam_faas.execution.hops import onward, with_hops
from ucam_faas.publishing.messages import check_message, message_attributes
from ucam_faas.publishing.payloads import serialise
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import topic_of

NO_PAYLOAD: Any = object()


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
        NotConfiguredError: no project, or no publisher.
        PublishError: it was not published, or it isn't known whether it was.
    """
    topic = topic_of(task)
    data, attributes = data_of(task, payload, attributes)
    attributes = with_hops(attributes, onward())
    check_message(data, attributes, ordering_key)
    here = runtime.current()
    return here.outgoing().publish(
        here.full_topic(topic, task.name), data, attributes, ordering_key=ordering_key
    )


def data_of(
    task: Task, payload: Any, attributes: Mapping[str, str] | None
) -> tuple[bytes, dict[str, str]]:
    """Return the data and the attributes of a message to a task.

    Raises:
        TypeError: the payload is missing, or can't be serialised for the task.
        ValueError: the task's parser rejects the payload.
    """
    if payload is NO_PAYLOAD:
        data = _nothing_for(task)
        return data, message_attributes(data, attributes or {})
    return serialise(task, payload), dict(attributes or {})


def _nothing_for(task: Task) -> bytes:
    """Return the data of a message without a payload, if the task takes one."""
    try:
        return serialise(task, b"")
    except ValueError:
        raise TypeError(
            f"{task.name!r} takes {task.takes}, and got no payload: give one as the first argument."
        ) from None
