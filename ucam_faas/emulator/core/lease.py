"""The state of one message that is not acknowledged yet, and its holder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from ucam_faas.emulator.core.storage import Message
from ucam_faas.gcp.limits import backoff_seconds

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
    """A subscriber that leases messages, and how much it holds.

    Args:
        ack_deadline: of its leases, in seconds; None: the subscription's.
        max_messages: the most that it wants to hold at a time.
        max_bytes: the most that it wants to hold at a time; the last message may go beyond.
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
        """When the lease or the backoff ends, in steady seconds."""
        self.holder: Holder | None = None


class AckId(NamedTuple):
    """Identifies one lease of one message."""

    queue: int
    number: int
    """The message's."""
    token: int
    """The lease's."""


class Lease(NamedTuple):
    """A message leased to a subscriber: one delivery."""

    message: Message
    ack_id: AckId
    attempt: int
    """1 for the first delivery."""
