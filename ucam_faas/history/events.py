"""The values that go into a history: events of the emulator of a session, and lines of a log.

Names of topics and subscriptions are short, times are in epoch seconds, and message ids are text,
as the API has them.
"""

from __future__ import annotations

import marshal
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


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


class Pulled(NamedTuple):
    """A subscriber acknowledged a message that it had pulled, maybe not for the first time."""

    time: float
    subscription: str
    message_id: str


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


class End(NamedTuple):
    """How an execution ended, as its line says."""

    outcome: str
    reason: str
    error_type: str
    duration_seconds: float
    is_failure: bool


class Logged(NamedTuple):
    """A line of a log; texts that it doesn't have are empty.

    Args:
        time: of the line.
        severity: as in Cloud Logging.
        message: without its fields.
        task: whose execution logged it.
        execution_id: of that execution.
        message_id: of the message that it handles.
        subscription: by which the message came.
        job_id: of the job that it runs.
        attempt: 1 for the first; 0: not known.
        fields: their JSON; "": none.
        traceback: of an exception.
        end: the line is about the end of the execution.
    """

    time: float
    severity: str
    message: str
    task: str = ""
    execution_id: str = ""
    message_id: str = ""
    subscription: str = ""
    job_id: str = ""
    attempt: int = 0
    fields: str = ""
    traceback: str = ""
    end: End | None = None

    @property
    def began(self) -> float:
        """When the execution began; or a time at which it ran."""
        return self.time - (self.end.duration_seconds if self.end else 0.0)


class Dropped(NamedTuple):
    """So many events came faster than they could be written, and are lost."""

    number: int


Event = (
    Published
    | Delivered
    | Answered
    | Pulled
    | Cancelled
    | DeadLettered
    | Scheduled
    | Logged
    | Dropped
)
_KINDS: tuple[type[Event], ...] = (
    *(Published, Delivered, Answered, Pulled, Cancelled, DeadLettered, Scheduled),
    *(Logged, Dropped),
)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
PUBLISHED, DELIVERED, ANSWERED, LOGGED = (
    _NUMBERS[kind] for kind in (Published, Delivered, Answered, Logged)
)
Row = tuple[Any, ...]
"""An event as a plain tuple: the number of its kind, its values, and those of its `End`.

The usual events are made as rows. A named tuple takes several times as long to make and to pack,
and the garbage collector follows it; a plain one of plain values it lets go.
"""


_HEAD = struct.Struct("!4sI")
"""Of a frame: the mark, and the length of its content."""
_MARK = b"\xf8\xf9\xfa\xfb"
"""Begins a frame; no text in UTF-8 has such bytes."""
_MOST_BYTES = 1 << 30
"""Of a frame: no process packs more at once."""
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")


def pack(events: Iterable[Event | Row]) -> bytes:
    """Return events as a frame, for another process of this machine."""
    rows = [event if type(event) is tuple else row_of(event) for event in events]  # type: ignore[arg-type]
    try:
        content = marshal.dumps(rows)
    except ValueError:  # such as a reason that is a member of a StrEnum
        content = marshal.dumps(_plain(rows))
    return frame(content)


def frame(content: bytes = b"") -> bytes:
    """Return a frame; one without content comes with a descriptor."""
    return _HEAD.pack(_MARK, len(content)) + content


def row_of(event: Event) -> Row:
    """Return an event as a row."""
    if isinstance(event, Logged) and event.end is not None:
        return (LOGGED, *event[:-1], tuple(event.end))
    return (_NUMBERS[type(event)], *event)


def unpack(frames: bytes | bytearray) -> tuple[list[Event], int]:
    """Return the events of whole frames, and how many bytes these have.

    A process that is killed in the middle of a frame may share its descriptor with others: what
    isn't a frame is skipped, up to the next mark.
    """
    events: list[Event] = []
    start, end = 0, len(frames)
    view = memoryview(frames)
    while end - start >= _HEAD.size:
        mark, length = _HEAD.unpack_from(view, start)
        is_frame = mark == _MARK and length <= _MOST_BYTES
        if is_frame and end - start - _HEAD.size < length:
            break
        if is_frame:
            content = view[start + _HEAD.size : start + _HEAD.size + length]
            try:
                events += _events(content)
            except (ValueError, EOFError, TypeError, IndexError):
                is_frame = False
            content.release()
        start = start + _HEAD.size + length if is_frame else _next_mark(frames, start)
    view.release()
    return events, start


def _events(content: memoryview) -> list[Event]:
    if not content:
        return []
    rows = marshal.loads(content)
    if _SURROGATE.search(content):
        rows = _plain(rows)
    return [_event(*row) for row in rows]


def _next_mark(frames: bytes | bytearray, start: int) -> int:
    """Return where the next frame may begin."""
    place = frames.find(_MARK, start + 1)
    return place if place >= 0 else max(start + 1, len(frames) - len(_MARK) + 1)


def _plain(value: Any) -> Any:
    """Return a value of Python's own types, whose texts are Unicode.

    JSON, the names of files and so the texts of errors may hold halves of characters (surrogates),
    which no file of text can.
    """
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case bool() | bytes():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return {_plain(key): _plain(each) for key, each in value.items()}
        case tuple() | list():
            return tuple(map(_plain, value))
    return None if value is None else _plain(str(value))


def _event(number: int, *values: Any) -> Event:
    kind = _KINDS[number]
    if kind is Logged and values[-1] is not None:
        values = (*values[:-1], End(*values[-1]))
    return kind(*values)
