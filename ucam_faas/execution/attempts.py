"""The times of messages' first attempts, as far as this process has seen them fail.

Pub/Sub counts the deliveries of a message, and keeps the time of none.
"""

from __future__ import annotations

import threading
from datetime import datetime

from ucam_faas.events.messages import MessagePublishedData

MAX_REMEMBERED = 10_000
"""Messages whose first attempt a process remembers: the latest."""


class FirstAttempts:
    """The messages that failed at their first attempt in this process, each with its time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str], datetime] = {}

    def note(self, published: MessagePublishedData, began: datetime) -> None:
        """Remember the failed first attempt at a message."""
        with self._lock:
            self._times[_key(published)] = began
            if len(self._times) > MAX_REMEMBERED:
                del self._times[next(iter(self._times))]

    def take(self, published: MessagePublishedData, began: datetime) -> datetime | None:
        """Return the time of a message's first attempt, and forget it; None: it isn't known.

        Another process may have had it; and without a dead-letter policy of the subscription
        Pub/Sub doesn't count.

        Args:
            published: the message.
            began: when the attempt under way began.
        """
        if published.delivery_attempt == 1:
            return began
        with self._lock:
            return self._times.pop(_key(published), None)


def _key(published: MessagePublishedData) -> tuple[str, str]:
    return published.subscription, published.message.message_id
