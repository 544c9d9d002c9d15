"""The values that come out of a history. Times are in epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    """How far a message is with one of its readers."""

    UNREAD = "unread"
    """No subscription takes it."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """The last attempt failed: it waits for another one, or Pub/Sub has given it up."""
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message with one of its readers, in a list.

    Args:
        id: of the message.
        time: of its publication.
        topic: that it is on.
        task: that reads it; None: none does.
        state: how far it is there.
        attempts: deliveries so far.
        reason: why the last attempt failed, or the message is dead-lettered.
        size: of its data, in bytes.
        key: of the row, for `before=`.
        letter_id: of the dead letter that it has become.
        subscription: of the reader; None: none.
    """

    id: str
    time: float
    topic: str
    task: str | None
    state: MessageState
    attempts: int
    reason: str
    size: int
    key: int
    letter_id: str | None = None
    subscription: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published; `key` is its ordering key."""

    id: str
    time: float
    topic: str
    key: str
    attributes: Mapping[str, str]
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """An attempt: one execution of a task, or a delivery that no task answered.

    Args:
        execution_id: as in the log; "": not known, as when no task was reached.
        task: its name.
        subscription: that delivered; "": none.
        message_id: of its message; "": none, as of an HTTP request.
        job_id: of its job; "": none.
        attempt: 1 for the first; 0: not known.
        began: the time.
        ended: the time; None: it runs.
        outcome: as in the log; "": not known, or it runs.
        reason: of the outcome.
        status: of the HTTP response, or why there is none; "": not known.
        error_type: of the exception; "": none, or not known.
        failed: it ended without success.
        key: of the row, for `before=`.
    """

    execution_id: str
    task: str
    subscription: str
    message_id: str
    job_id: str
    attempt: int
    began: float
    ended: float | None
    outcome: str
    reason: str
    status: str
    error_type: str
    failed: bool
    key: int


@dataclass(frozen=True, slots=True)
class Line:
    """A log line of an execution; `key` is for `after=`."""

    key: int
    time: float
    severity: str
    message: str
    fields: Mapping[str, Any]
    traceback: str


class StepKind(StrEnum):
    """The kinds of steps in a timeline."""

    PUBLISHED = "published"
    ATTEMPT = "attempt"
    DEAD_LETTERED = "dead_lettered"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Step:
    """A step in a message's life.

    Args:
        time: when it happened, or began.
        kind: what it is.
        subscription: with which reader; "": none.
        task: of that reader; "": none.
        text: a reason, or the topic.
        run: of an attempt.
        lines: of that attempt: the first of them.
        message_id: the dead letter, or the message that is the replay; "": none.
    """

    time: float
    kind: StepKind
    subscription: str = ""
    task: str = ""
    text: str = ""
    run: Run | None = None
    lines: tuple[Line, ...] = ()
    message_id: str = ""


class EventKind(StrEnum):
    """The kinds of events in the stream."""

    PUBLISHED = "published"
    DELIVERED = "delivered"
    DONE = "done"
    FAILED = "failed"
    DEAD_LETTERED = "dead_lettered"
    SCHEDULED = "scheduled"
    LOGGED = "logged"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; `seq` rises. Empty texts are unknown."""

    seq: int
    time: float
    kind: EventKind
    task: str
    message_id: str
    job_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts of a task, the oldest bucket first."""

    published: tuple[int, ...]
    done: tuple[int, ...]
    failed: tuple[int, ...]
    dead_lettered: tuple[int, ...]
