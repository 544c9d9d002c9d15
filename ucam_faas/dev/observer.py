"""The one observer of a session: shows the events of its Pub/Sub, and remembers deliveries.

A dead letter that a task publishes while its delivery runs is one event, `dead_lettered`, as if
Pub/Sub had forwarded it, instead of a message published and a delivery done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ucam_faas.dev.history import History
from ucam_faas.dev.job_news import JobNews, is_wake
from ucam_faas.dev.recorded import Recorded
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.observer import Observer
from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import MESSAGE_ID_ATTRIBUTE, SUBSCRIPTION_ATTRIBUTE

_Key = tuple[str, str]
"""A subscription's short name and a message id."""


class SessionObserver(Observer):
    """Passes the events of the emulator, and of an external Pub/Sub, to the stream and history."""

    def __init__(self, stream: Stream, history: History) -> None:
        self._stream = stream
        self._history = history
        self._jobs: JobNews | None = None
        self._recorded: Recorded | None = None
        self._forward: Callable[[str, Message], None] | None = None
        self._running: dict[_Key, Message] = {}
        self._dead: set[_Key] = set()

    def forward(self, publish: Callable[[str, Message], None]) -> None:
        """Publish the emulator's messages to another Pub/Sub from now on."""
        self._forward = publish

    def record(self, recorded: Recorded) -> None:
        """Keep what happens from now on in a history."""
        self._recorded = recorded

    def follow_jobs(self, jobs: JobNews) -> None:
        """Tell of the jobs that wakes are for, instead of the wakes."""
        self._jobs = jobs

    def made(self, resource: str) -> None:
        """Note a topic or a subscription that was made in another Pub/Sub."""
        self._stream.line("made", "", resource)

    def not_published(self, error: Exception) -> None:
        """Note a message that another Pub/Sub didn't take."""
        self._stream.line("error", "", f"no message: {error}")

    def published(self, topic: str, messages: Sequence[Message]) -> None:
        """Show messages, or the dead letters that they are; or publish them elsewhere."""
        if self._recorded is not None:
            news = [message for message in messages if not is_wake(topic, message)]
            self._recorded.published(topic, news)
        for message in messages:
            key = _original(message)
            if self._forward is not None:
                self._forward(topic, message)
            elif self._jobs is not None and is_wake(topic, message):
                continue
            elif key in self._running:  # otherwise it is a dead letter that is published again
                self._dead.add(key)
                self.dead_lettered(key[0], self._running[key], topic, message)
            else:
                self._stream.published(topic, message)

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        """Show the beginning of a delivery."""
        if self._jobs is not None and is_wake(subscription, message):
            self._jobs.delivered(subscription, message)
            return
        self._running[_key(subscription, message)] = message
        self._stream.delivered(subscription, message, attempt)
        if self._recorded is not None:
            self._recorded.delivered(subscription, message, attempt)

    def acknowledged(
        self, subscription: str, message: Message, attempt: int, *, status: int | str
    ) -> None:
        """Show and remember a success."""
        if self._jobs is not None and is_wake(subscription, message):
            self._jobs.acknowledged(subscription, message)
            return
        if self._recorded is not None:
            self._recorded.acknowledged(subscription, message, attempt, status=status)
        if not self._end(subscription, message):
            self._stream.acknowledged(subscription, message, attempt)
            self._history.acknowledged(subscription, message, attempt)

    def failed(self, subscription: str, message: Message, attempt: int, **fields: Any) -> None:
        """Show and remember a failed attempt."""
        if self._jobs is not None and is_wake(subscription, message):
            self._jobs.failed(subscription, message, **fields)
            return
        self._end(subscription, message)
        self._stream.failed(subscription, message, attempt, **fields)
        self._history.failed(subscription, message, attempt, **fields)
        if self._recorded is not None:
            self._recorded.failed(subscription, message, attempt, **fields)

    def pulled(self, subscription: str, numbers: Sequence[int]) -> None:
        """Record messages that a subscriber acknowledged."""
        if self._recorded is not None:
            self._recorded.pulled(subscription, numbers)

    def cancelled(self, subscription: str, message: Message) -> None:
        """Forget the delivery."""
        self._end(subscription, message)
        if self._recorded is not None and not is_wake(subscription, message):
            self._recorded.cancelled(subscription, message)

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        """Show and remember a dead letter."""
        self._stream.dead_lettered(subscription, message, topic, letter)
        self._history.dead_lettered(subscription, message, topic, letter)
        if self._recorded is not None:
            self._recorded.dead_lettered(subscription, message, topic, letter)

    def scheduled(self, job: str, *, forced: bool) -> None:
        """Show a run of a schedule."""
        self._stream.scheduled(job, forced=forced)
        self._history.scheduled(job, None)
        if self._recorded is not None:
            self._recorded.scheduled(job, forced=forced)

    def schedule_published(self, job: str, message: Message) -> None:
        """Remember the message of a run."""
        self._history.scheduled(job, message)

    def task_failed(
        self, task: str, attempt: int, *, reason: str, retry_seconds: float | None
    ) -> None:
        """Show a request of Cloud Tasks that failed."""
        self._stream.task_failed(task, attempt, reason=reason, retry_seconds=retry_seconds)

    def _end(self, subscription: str, message: Message) -> bool:
        """Forget a delivery; return True if its task has published it as a dead letter."""
        key = _key(subscription, message)
        self._running.pop(key, None)
        is_dead = key in self._dead
        self._dead.discard(key)
        return is_dead


def _key(subscription: str, message: Message) -> _Key:
    return subscription.rpartition("/")[2], str(message.number)


def _original(message: Message) -> _Key:
    """Return the delivery that a message is the dead letter of, if it is one."""
    attributes = message.attributes
    return attributes.get(SUBSCRIPTION_ATTRIBUTE, ""), attributes.get(MESSAGE_ID_ATTRIBUTE, "")
