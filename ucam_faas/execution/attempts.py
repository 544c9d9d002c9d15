"""The failures of messages, as far as this process has seen them.

Pub/Sub counts the deliveries of a message, but keeps the time of none. It doesn't count those of
a replay, because an inbox has no dead-letter policy.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import NamedTuple

from ucam_faas.events.messages import MessagePublishedData

MAX_REMEMBERED = 10_000
"""Messages that a process remembers: the latest."""


class Failures(NamedTuple):
    """The failures of a message that may be a dead letter later.

    Args:
        first: when the first attempt began; None: another process may have had it.
        total: how many there were, of a replay.
    """

    first: datetime | None = None
    total: int = 0


class Attempts:
    """The messages that failed in this process at their first attempt, and replays that failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], Failures] = {}

    def note(self, published: MessagePublishedData, began: datetime) -> None:
        """Remember a failed attempt: the first one, or one of a replay.

        Args:
            published: the message.
            began: when the attempt began.
        """
        key = _key(published)
        with self._lock:
            before = self._failures.pop(key, Failures())
            self._failures[key] = Failures(before.first or began, before.total + 1)
            if len(self._failures) > MAX_REMEMBERED:
                del self._failures[next(iter(self._failures))]

    def of(self, published: MessagePublishedData) -> Failures:
        """Return the failures of a message before the attempt under way."""
        return self._failures.get(_key(published), Failures())

    def forget(self, published: MessagePublishedData) -> None:
        """Forget a message that isn't delivered again."""
        with self._lock:
            self._failures.pop(_key(published), None)


def _key(published: MessagePublishedData) -> tuple[str, str]:
    return published.subscription, published.message.message_id
