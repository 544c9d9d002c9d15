"""The row of a job, and the changes that a store makes to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ucam_faas.exceptions import JobLostError
from ucam_faas.jobs.states import State
from ucam_faas.tasks.lanes import DEFAULT_LANE

MAX_HISTORY = 100
"""Entries that a row keeps: the first ten, and the last ones."""


class Key(NamedTuple):
    """The identity of a job."""

    app: str
    task: str
    id: str


class Place(NamedTuple):
    """The place of a job among those of its application, the latest first.

    Args:
        created: the time of its sending.
    """

    created: float
    key: Key


class Wake(NamedTuple):
    """A message to the inbox of a job's lane: it says which job to look at."""

    key: Key
    lane: str = DEFAULT_LANE


def name_of(key: Key) -> str:
    """Return the name of a job in its application, as a batch and children have it.

    >>> name_of(Key("shop", "charge", "17"))
    'charge/17'
    """
    return f"{key.task}/{key.id}"


def key_of(app: str, name: str) -> Key:
    """Return the job with a name.

    >>> key_of("shop", "charge/17")
    Key(app='shop', task='charge', id='17')
    """
    task, _, id = name.partition("/")
    return Key(app, task, id)


def value_of(payload: bytes) -> Any:
    """Return the value of a payload in JSON; other payloads as they are."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def lost(key: Key) -> JobLostError:
    """Return the error of an execution that doesn't hold its job any more."""
    return JobLostError(
        f"The job {key.id!r} of {key.task!r} isn't this execution's any more: its lease or its "
        "deadline has passed. It can report nothing, nor send, nor commit."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change in a job's history.

    Args:
        time: in epoch seconds, by the store's clock.
        cause: of the change, such as `sent`, `claimed`, `failed`, `crashed`, `cancelled`.
        execution: its number, from 1, as `Row.executions` counts; 0 before the first. A pause and
            a shutdown end an execution, and aren't a failed attempt.
        instance: the process that changed it.
        message: a reason without data of the payload.
    """

    time: float
    state: State
    cause: str
    execution: int = 0
    instance: str = ""
    message: str = ""

    def __repr__(self) -> str:
        time = datetime.fromtimestamp(self.time, UTC).isoformat(" ", "seconds")
        message = f": {self.message}" if self.message else ""
        return f"<{time} {self.state} {self.cause}{message}>"


class Step(NamedTuple):
    """A step that a job has done.

    Args:
        name: unique in the job.
        value: its result, as JSON.
        time: of its end, in epoch seconds, by the store's clock.
    """

    name: str
    value: bytes
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job as the store has it. Times are in epoch seconds, by the store's clock.

    Args:
        payload: its message's data.
        lane: the lane of its task whose inbox gets its wakes.
        options: of this job alone, as JSON has them: `timeout`, `retry`, `retention`, `hops`.
        due: when it may start.
        expires: when it may not start any more; None: never.
        visit: when the sweep has to look at it: to wake it, to end it, or to remove it.
        unique: a key that only one job of the task has at a time, until it has ended; None: none.
        limit_key: only so many jobs of the task with this key run at a time; None: no limit.
        in_order: one job of the key at a time, until its end, in the order of sending.
        batch: the task and the id of its batch's callback, as in `summarise/1f`; None: it isn't a
            member of a batch.
        parent: the task and the id of the job that sent it, as in `charge/17`; None: no job did,
            or a version that didn't keep it.
        owner: made by the sender, so that a repeated insert knows its own row.
        fence: rises with each claim. Only the claim with the present fence may change the row.
        attempts: failures that the task's limit counts.
        interruptions: claims that ended without a result: shutdown, overload, a lost process.
        lease: when the claim ends.
        result: as JSON.
        error: type, message and traceback, as JSON has them.
        progress: `done`, `total` and `note`.
        event_due: its end has an event that isn't published yet; `visit` is when to repeat that.
        log: the history as the store keeps it. It is read when it is asked for: most rows are
            claimed and finished without.
    """

    key: Key
    payload: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str = ""
    lane: str = DEFAULT_LANE
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    unique: str | None = None
    limit_key: str | None = None
    in_order: bool = False
    batch: str | None = None
    parent: str | None = None
    owner: str = ""
    state: State = State.PENDING
    created: float = 0.0
    due: float = 0.0
    expires: float | None = None
    visit: float = 0.0
    fence: int = 0
    attempts: int = 0
    interruptions: int = 0
    lease: float | None = None
    cancel_requested: bool = False
    result: bytes | None = None
    error: Mapping[str, Any] | None = None
    progress: Mapping[str, Any] | None = None
    event_due: bool = False
    log: str = "[]"

    @property
    def wake(self) -> Wake:
        """The message that lets its task look at it."""
        return Wake(self.key, self.lane)

    @property
    def place(self) -> Place:
        """Its place in a list of jobs."""
        return Place(self.created, self.key)

    @property
    def is_waiting_callback(self) -> bool:
        """Return True if it waits for its batch to end: no process has claimed it."""
        return self.state is State.PAUSED and not self.fence

    @property
    def history(self) -> tuple[Entry, ...]:
        """The changes of its state, the earliest first."""
        return tuple(
            Entry(
                time=time,
                state=State(state),
                cause=cause,
                execution=execution,
                instance=instance,
                message=message,
            )
            for time, state, cause, execution, instance, message in json.loads(self.log)
        )

    @property
    def executions(self) -> int:
        """How often it was claimed."""
        return self.fence


def size_of(row: Row) -> int:
    """Return the bytes of a row's payload and attributes."""
    texts = (*row.attributes, *row.attributes.values(), row.ordering_key)
    return len(row.payload) + sum(len(text.encode()) for text in texts)


def check_size(row: Row, max_bytes: int | None, result: bytes = b"", *, steps: int = 0) -> None:
    """Refuse a row that is too large for its store.

    Args:
        max_bytes: the store's limit; None: there is none.
        result: of the job.
        steps: their bytes, if the store has a limit for them.

    Raises:
        ValueError: it is.
    """
    if max_bytes is not None and (size := size_of(row) + len(result) + steps) > max_bytes:
        parts = (
            "payload, attributes, steps and result" if steps else "payload, attributes and result"
        )
        raise ValueError(
            f"The job has {size:,} bytes of {parts}, and its store takes "
            f"{max_bytes:,}. Set UCAM_FAAS_PAYLOADS, such as gs://BUCKET, which keeps large data."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The new values of a row; None leaves a value. Times are seconds from now.

    Args:
        wait: until it may start again.
        visit: until the sweep looks at it.
        failed: add one to the attempts.
        interrupted: add one to the interruptions.
        afresh: forget the attempts and the interruptions so far, and the expiry.
        event_due: the end has an event, which is to be published.
    """

    state: State
    cause: str
    visit: float
    instance: str = ""
    message: str = ""
    wait: float | None = None
    failed: bool = False
    interrupted: bool = False
    afresh: bool = False
    event_due: bool = False
    result: bytes | None = None
    error: Mapping[str, Any] | None = None
