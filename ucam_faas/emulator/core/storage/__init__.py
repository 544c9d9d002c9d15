"""Where messages, progress and resources are kept: the port, and its two adapters.

Every write belongs to the transaction that `commit` ends. Committed data survives the end of
the process, whatever ends it (SQLite), or nothing does (memory).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A published message. `number` counts all messages of an emulator and makes the message id."""

    number: int
    time: float
    """Publish time, in epoch seconds."""
    key: str
    """The ordering key, or nothing."""
    attributes: Mapping[str, str]
    data: bytes

    @property
    def size(self) -> int:
        """The bytes that flow control counts."""
        attributes = self.attributes
        return len(self.data) + sum(
            len(k.encode()) + len(attributes[k].encode()) for k in attributes
        )


@dataclass(slots=True)
class Progress:
    """How far a queue is: all messages before `floor` are acknowledged, and those in `acked`."""

    floor: int = 0
    acked: set[int] = field(default_factory=set)
    failures: dict[int, int] = field(default_factory=dict)
    """Nacks and expiries of messages that are not acknowledged, by number."""


class Storage(Protocol):
    """Keeps everything that must outlive the process."""

    def resources(self, kind: str) -> dict[str, bytes]:
        """Return all resources of a kind, by name."""

    def put(self, kind: str, name: str, value: bytes | None) -> None:
        """Keep a resource; None: forget it."""

    def last_number(self) -> int:
        """Return the number of the last message that was ever appended."""

    def append(self, log: int, messages: Sequence[Message]) -> None:
        """Add messages to the end of a log."""

    def read(self, log: int, first: int) -> Iterator[Message]:
        """Go through the messages with numbers from `first` on, in order."""

    def first_since(self, log: int, time: float) -> int | None:
        """Return the number of the first message that was published at `time` or later."""

    def drop(self, log: int, before: int) -> None:
        """Forget the messages with numbers below `before`."""

    def progress(self, queue: int) -> Progress:
        """Return how far a queue is."""

    def advance(
        self, queue: int, floor: int, acked: Iterable[int], failures: Mapping[int, int]
    ) -> None:
        """Keep a queue's new floor, and the messages acknowledged or failed since the last call."""

    def restart(self, queue: int, progress: Progress) -> None:
        """Replace a queue's progress."""

    def remove_queue(self, queue: int) -> None:
        """Forget a queue's progress."""

    def commit(self) -> None:
        """Make all writes since the last commit durable."""

    def clear(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """Commit, and release the storage."""
