"""What a queue knows of one message that is not acknowledged yet, and of who holds it."""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from ucam_faas.emulator.storage import Message
from ucam_faas.limits import backoff_seconds

DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a subscription delivers. Durations are in seconds; the defaults are Pub/Sub's."""

    ack_deadline: float = 10.0
    retention: float = 7 * DAY
    retain_acked: bool = False
    ordered: bool = False
    exactly_once: bool = False
    pushes: bool = False
    accepts: Callable[[Mapping[str, str]], bool] | None = None
    """The filter."""
    min_backoff: float = 0.0
    max_backoff: float = 0.0
    """0: a failed message is delivered again at once."""
    dead_letter_topic: str = ""
    max_attempts: int = 0
    expires_after: float | None = 31 * DAY

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after so many failures of a message."""
        return backoff_seconds(self.min_backoff, self.max_backoff, failures)


@dataclass(slots=True, eq=False)
class Holder:
    """Who messages are leased to, and how much it holds.

    Args:
        ack_deadline: of its leases, in seconds; None: the subscription's.
        max_messages: that it wants to hold at a time.
        max_bytes: that it wants to hold at a time; the last message may go beyond.
    """

    ack_deadline: float | None = None
    max_messages: float = float("inf")
    max_bytes: float = float("inf")
    messages: int = 0
    bytes: int = 0

    def has_room(self) -> bool:
        """It wants one more message, of any size."""
        return self.messages < self.max_messages and self.bytes < self.max_bytes


class State(Enum):
    """Where a message is."""

    WAITING = auto()
    LEASED = auto()
    DELAYED = auto()
    """It failed, and waits for its backoff to end."""
    ACKED = auto()
    """Acknowledged, but one before it with the same ordering key is not."""


class Entry:
    """A message of a queue that is not acknowledged."""

    __slots__ = ("due", "failures", "holder", "key", "number", "size", "state", "token")

    def __init__(self, message: Message, failures: int) -> None:
        self.number = message.number
        self.key = message.key
        self.size = message.size
        self.failures = failures
        """Nacks and expiries so far."""
        self.state = State.WAITING
        self.token = 0
        """Changes with every lease: tells a late answer from the current one."""
        self.due = 0.0
        """When the lease or the backoff ends."""
        self.holder: Holder | None = None


class Timers:
    """The ends of a queue's leases and backoffs; one counts as long as its entry agrees.

    Args:
        entries: of the queue, by number.
    """

    def __init__(self, entries: Mapping[int, Entry]) -> None:
        self._entries = entries
        self._heap: list[tuple[float, int, int]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, entry: Entry) -> None:
        """Keep in mind when an entry is due."""
        heapq.heappush(self._heap, (entry.due, entry.number, entry.token))
        if len(self._heap) > 2 * len(self._entries) + 1000:  # most are of leases that are over
            self._heap = [timer for timer in self._heap if self._counts(timer)]
            heapq.heapify(self._heap)

    def next_due(self) -> float | None:
        """Return when the next entry is due, in epoch seconds."""
        while self._heap and not self._counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> Iterator[Entry]:
        """Return what is due by now; also what becomes so meanwhile."""
        while (due := self.next_due()) is not None and due <= now:
            yield self._entries[heapq.heappop(self._heap)[1]]

    def _counts(self, timer: tuple[float, int, int]) -> bool:
        due, number, token = timer
        entry = self._entries.get(number)
        return entry is not None and entry.token == token and entry.due == due


@dataclass(slots=True, eq=False)
class Line:
    """The messages of one ordering key that are not acknowledged, in publish order."""

    entries: deque[Entry]
    leased: int = 0
    holder: Holder | None = None
    """Who has the leased ones, and may have the next ones; nobody else may."""


class Delivery(NamedTuple):
    """A message on its way to a subscriber."""

    message: Message
    ack_id: str
    attempt: int
    """1 for the first delivery."""


class AckId(NamedTuple):
    """What an ack id says."""

    queue: int
    number: int
    token: int

    def __str__(self) -> str:
        return f"{self.queue}-{self.number}-{self.token}"


_ACK_ID = re.compile(r"(\d{1,12})-(\d{1,18})-(\d{1,18})", re.ASCII)


def parse_ack_id(ack_id: str) -> AckId:
    """Read an ack id.

    Raises:
        ValueError: it is none of ours.
    """
    found = _ACK_ID.fullmatch(ack_id)
    if found is None:
        raise ValueError(ack_id)
    return AckId(int(found[1]), int(found[2]), int(found[3]))
