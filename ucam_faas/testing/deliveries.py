"""Pushers, publishers and wrappers of tasks for each way of delivering."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.publishing import Draft, Publisher
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.testing.hostile import Hostile
from ucam_faas.testing.hostile_pusher import Meeting

MANY = 80
MEETING_SECONDS = 0.5
"""The longest wait for a copy that is on its way; it may be held up where this does not see it."""


class OneByOne(Pusher):
    """Pushes a message when the one before is answered."""

    def offer(self) -> None:
        """Send the next message, unless one is under way."""
        self._window = 1
        super().offer()


class OnceForEachMessage:
    """Publishes one dead letter for all hostile deliveries of a message.

    There may be several in the cloud; but no task could do anything about it.

    Args:
        publisher: publishes.
        hostile: knows which message is delivered.
    """

    def __init__(self, publisher: Publisher, hostile: Hostile) -> None:
        self._publisher = publisher
        self._hostile = hostile
        self._lock = threading.Lock()
        self._published: dict[tuple[str, str, int], str] = {}

    def publish(
        self, topic: str, data: bytes, attributes: Mapping[str, str], **options: Any
    ) -> str:
        """Publish, unless it was done for this message; return the id.

        Wakes of jobs are published each time: they are many, and harmless.
        """
        if JOB_ATTRIBUTE in attributes:
            return self._publisher.publish(topic, data, attributes, **options)
        with self._lock:
            sending = self._hostile.current
            key = (topic, *((sending.pusher.name, sending.ordinal) if sending else ("", 0)))
            if key not in self._published:
                self._published[key] = self._publisher.publish(topic, data, attributes, **options)
            return self._published[key]

    def publish_many(self, topic: str, drafts: Sequence[Draft], **options: Any) -> list[str]:
        """Publish."""
        return self._publisher.publish_many(topic, drafts, **options)


def at_once(task: Task, hostile: Hostile, threads: int) -> Task:
    """Return a task which begins to work when all copies of its message are there.

    Args:
        task: any.
        hostile: delivers.
        threads: that there are for sync tasks.
    """
    if task.kind is Kind.HTTP:
        return task
    room = task.policy.concurrency or MANY
    made = (
        _async(task, hostile, room) if task.is_async else _sync(task, hostile, min(room, threads))
    )
    return replace(task, function=functools.wraps(task.function)(made))


def _sync(task: Task, hostile: Hostile, room: int) -> Callable[[Any], Any]:
    def run(payload: Any) -> Any:
        meeting = _meeting(task, hostile)
        if meeting is not None:
            meeting.arrive(room)
            with suppress(TimeoutError):
                meeting.complete.result(MEETING_SECONDS)
        return task.function(payload)

    return run


def _async(task: Task, hostile: Hostile, room: int) -> Callable[[Any], Any]:
    async def run(payload: Any) -> Any:
        meeting = _meeting(task, hostile)
        if meeting is not None:
            meeting.arrive(room)
            await asyncio.wait([asyncio.wrap_future(meeting.complete)], timeout=MEETING_SECONDS)
        return await task.function(payload)

    return run


def _meeting(task: Task, hostile: Hostile) -> Meeting | None:
    sending = hostile.current
    return sending.meeting if sending is not None and sending.pusher.name == task.name else None
