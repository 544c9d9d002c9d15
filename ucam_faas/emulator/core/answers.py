"""How long publishers take to read the ids of their messages. Pure: it is told the time."""

from __future__ import annotations

from collections import deque

READ_SECONDS = 0.01
"""From handing an answer to its transport until the publisher has surely read it."""


class Answers:
    """The answers of the last moments.

    Args:
        last: the number of the last message before them.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._read_at: deque[tuple[int, float]] = deque()
        """Up to which number, and when; both ascend."""

    def note(self, last: int, now: float) -> None:
        """Messages up to a number are answered now, in steady seconds."""
        if last > self._last:
            self._last = last
            self._forget(now)
            self._read_at.append((last, now + READ_SECONDS))

    def unread_seconds(self, number: int, now: float) -> float:
        """Return how long the publisher of a message may still take to read its id."""
        self._forget(now)
        return next((at - now for last, at in self._read_at if number <= last), 0.0)

    def _forget(self, now: float) -> None:
        while self._read_at and self._read_at[0][1] <= now:
            self._read_at.popleft()
