"""An observer of an emulator that keeps its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.emulator.core.observer import Observer
from ucam_faas.emulator.core.storage import Message


class Recorder(Observer):
    """Keeps the names and fields of all events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the fields of all events of a kind."""
        return [fields for name, fields in self.events if name == event]

    def published(self, topic: str, messages: Sequence[Message]) -> None:
        for message in messages:
            self._add("published", topic=topic, message=message)

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        self._add("delivered", subscription=subscription, message=message, attempt=attempt)

    def acknowledged(
        self, subscription: str, message: Message, attempt: int, **fields: Any
    ) -> None:
        self._add(
            "acknowledged", subscription=subscription, message=message, attempt=attempt, **fields
        )

    def pulled(self, subscription: str, numbers: Sequence[int]) -> None:
        self._add("pulled", subscription=subscription, numbers=list(numbers))

    def failed(self, subscription: str, message: Message, attempt: int, **fields: Any) -> None:
        self._add("failed", subscription=subscription, message=message, attempt=attempt, **fields)

    def cancelled(self, subscription: str, message: Message) -> None:
        self._add("cancelled", subscription=subscription, message=message)

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        fields = {"subscription": subscription, "message": message, "topic": topic}
        self._add("dead_lettered", **fields, letter=letter)

    def scheduled(self, job: str, *, forced: bool) -> None:
        self._add("scheduled", job=job, forced=forced)

    def task_failed(self, task: str, attempt: int, **fields: Any) -> None:
        self._add("task_failed", task=task, attempt=attempt, **fields)

    def _add(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))
