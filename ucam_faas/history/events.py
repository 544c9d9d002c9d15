"""The values that go into a history: what the emulator of a session tells, and lines of a log.

Names of topics and subscriptions are short, times are in epoch seconds, and message ids are text,
as the API has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Published(NamedTuple):
    """A message was published.

    Args:
        time: of its publication.
        message_id: its id.
        topic: that it is on.
        key: its ordering key, or nothing.
        attributes: all of them.
        data: its bytes.
        readers: the subscriptions that get it.
    """

    time: float
    message_id: str
    topic: str
    key: str
    attributes: Mapping[str, str]
    data: bytes
    readers: Sequence[str]


class Delivered(NamedTuple):
    """A delivery of a message began; `attempt` is 1 for the first."""

    time: float
    subscription: str
    message_id: str
    attempt: int


class Answered(NamedTuple):
    """A delivery ended.

    Args:
        time: of its end.
        subscription: that delivered.
        message_id: of its message.
        attempt: 1 for the first.
        is_success: it was acknowledged.
        status: of the response, or why there is none.
        retry_seconds: until the next attempt; None: there is none, or its time isn't known.
    """

    time: float
    subscription: str
    message_id: str
    attempt: int
    is_success: bool
    status: str
    retry_seconds: float | None = None


class Cancelled(NamedTuple):
    """A delivery was given up, without an answer."""

    time: float
    subscription: str
    message_id: str


class DeadLettered(NamedTuple):
    """A message is on a dead-letter topic now, as another message."""

    time: float
    subscription: str
    message_id: str
    topic: str
    letter_id: str


class Scheduled(NamedTuple):
    """A schedule ran, or a person ran it by hand."""

    time: float
    schedule: str
    is_forced: bool


class Logged(NamedTuple):
    """A line of a log, in Cloud Logging's form; see `logs.setup.JsonFormatter`."""

    line: bytes


Event = Published | Delivered | Answered | Cancelled | DeadLettered | Scheduled | Logged
KINDS: tuple[type[Event], ...] = (
    Published, Delivered, Answered, Cancelled, DeadLettered, Scheduled, Logged,
)  # fmt: skip
