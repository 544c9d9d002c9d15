"""A dead letter, or a failed job, as the workbench keeps it. Pure: no file, no network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.execution.dead_letters import (
    ADDED_ATTRIBUTES,
    ERROR_ATTRIBUTE,
    FINGERPRINT_ATTRIBUTE,
    FIRST_ATTEMPT_ATTRIBUTE,
    LAST_ATTEMPT_ATTRIBUTE,
    MESSAGE_ID_ATTRIBUTE,
    REASON_ATTRIBUTE,
    SUBSCRIPTION_ATTRIBUTE,
    TASK_ATTRIBUTE,
)
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE, REPLAYS_ATTRIBUTE
from ucam_faas.tasks.triggers import is_googles

FORWARDING = "CloudPubSubDeadLetter"
"""The beginning of the attributes that say from where Pub/Sub forwarded a message."""
ATTEMPTS_ATTRIBUTE = f"{FORWARDING}SourceDeliveryCount"
PUBLISH_TIME_ATTRIBUTE = f"{FORWARDING}SourceTopicPublishTime"

OF_THE_DEATH = frozenset({*ADDED_ATTRIBUTES, REPLAY_ID_ATTRIBUTE, REPLAYS_ATTRIBUTE})
"""Attributes of a dead letter that the task's own message didn't have."""

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Later times can't be written as dates in all zones."""

JOB = "job:"
"""The beginning of the id of a failed job's letter."""


class LetterState(StrEnum):
    """How far a letter has been dealt with."""

    NEW = "new"
    """Nothing: it waits."""
    HANDLED = "handled"
    """A person says that it needs nothing more; Pub/Sub keeps it."""
    REPLAYED = "replayed"
    """It was sent again, and acknowledged."""
    PURGED = "purged"
    """It was acknowledged, or the job deleted, without a replay."""
    GONE = "gone"
    """It isn't where it was: another process acknowledged it, or it expired."""


class Kind(StrEnum):
    """Where a letter was found."""

    MESSAGE = "message"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a message that its task gets."""

    data: bytes
    attributes: Mapping[str, str]
    key: str = ""

    @property
    def hash(self) -> str:
        """A text that differs for another content."""
        parts = json.dumps([sorted(self.attributes.items()), self.key]).encode()
        return hashlib.sha256(b"%d:%b%b" % (len(parts), parts, self.data)).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, or a failed job. Times are in epoch seconds.

    Args:
        id: `KEEPER/MESSAGE_ID`, or `job:TASK/ID` of a failed job.
        task: the task that it failed in; empty if that isn't known.
        subscription: from which the task had it, as a short name.
        keeper: the subscription that keeps it, as a short name; empty for a job.
        message_id: of the dead letter; empty for a job.
        original_id: of the message as the task had it; empty if that isn't known.
        job: `TASK/ID` of the failed job of the same message; empty if there is none.
        reason: why it failed; empty if Pub/Sub forwarded it.
        error: the exception and its place, such as `KeyError at shop.orders.price`.
        fingerprint: the same for failures with the same cause.
        first_attempt: None: it isn't known.
        last_attempt: None: it isn't known.
        time: of the last attempt, if it is known, else of its publishing as a dead letter.
        sent: when the message was published first: replays follow this order.
        attempts: how often it was delivered; 0: that isn't known.
        attributes: all that it has, with those of the death.
        key: its ordering key.
        data: empty in lists.
        size: of the data, in bytes.
        replays: how often it was sent again before this death.
        state: what has been done about it.
        note: of those who handled it.
        by: who changed its state.
        changed: when that was; None: its state is new.
        edited: a replay sends other data or attributes.
        hash: of its content as it died.
    """

    id: str
    kind: Kind
    task: str
    subscription: str = ""
    keeper: str = ""
    message_id: str = ""
    original_id: str = ""
    job: str = ""
    reason: str = ""
    error: str = ""
    fingerprint: str
    first_attempt: float | None = None
    last_attempt: float | None = None
    time: float
    sent: float
    attempts: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    data: bytes = b""
    size: int = 0
    replays: int = 0
    state: LetterState = LetterState.NEW
    note: str = ""
    by: str = ""
    changed: float | None = None
    edited: bool = False
    hash: str = ""

    @property
    def content(self) -> Content:
        """The content as the task had it."""
        return Content(self.data, own_attributes(self.attributes), self.key)


def letter_of(message: PubsubMessage, keeper: str, prefix: str = "") -> Letter:
    """Return the letter of a message.

    Args:
        message: as its keeper has it.
        keeper: the short name of that subscription.
        prefix: of the names of subscriptions, which that of the task lacks.
    """
    attributes = dict(message.attributes)
    published = message.publish_time.timestamp() if message.publish_time else 0.0
    last = _time(attributes.get(LAST_ATTEMPT_ATTRIBUTE))
    subscription = attributes.get(SUBSCRIPTION_ATTRIBUTE, "").rpartition("/")[2]
    task = attributes.get(TASK_ATTRIBUTE, "") or subscription.removeprefix(prefix)
    reason = attributes.get(REASON_ATTRIBUTE, "")
    return Letter(
        id=f"{keeper}/{message.message_id}",
        kind=Kind.MESSAGE,
        task=task,
        subscription=subscription,
        keeper=keeper,
        message_id=message.message_id or "",
        original_id=attributes.get(MESSAGE_ID_ATTRIBUTE, ""),
        reason=reason,
        error=attributes.get(ERROR_ATTRIBUTE, ""),
        fingerprint=attributes.get(FINGERPRINT_ATTRIBUTE) or fallback_fingerprint(task, reason),
        first_attempt=_time(attributes.get(FIRST_ATTEMPT_ATTRIBUTE)),
        last_attempt=last,
        time=last or published,
        sent=_time(attributes.get(PUBLISH_TIME_ATTRIBUTE)) or published,
        attempts=number(attributes.get(ATTEMPTS_ATTRIBUTE)),
        attributes=attributes,
        key=message.ordering_key or "",
        data=message.data,
        size=len(message.data),
        replays=number(attributes.get(REPLAYS_ATTRIBUTE)),
        hash=Content(message.data, attributes, message.ordering_key or "").hash,
    )


def own_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that a dead letter had before it died, and that may be published again.

    Those that name the schema of its topic are Pub/Sub's: publishers may not set them.

    >>> own_attributes({"order": "17", "ucam_faas_reason": "crashed"})
    {'order': '17'}
    """
    return {
        key: text
        for key, text in attributes.items()
        if not (key in OF_THE_DEATH or key.startswith(FORWARDING) or is_googles(key))
    }


def fallback_fingerprint(task: str, reason: str) -> str:
    """Return the fingerprint of a letter that carries none; version 0 is for these.

    >>> fallback_fingerprint("charge", "")
    '0:9597347fe0dc'
    """
    return f"0:{hashlib.sha256(f'{task}|{reason}'.encode()).hexdigest()[:12]}"


def number(text: str | None) -> int:
    """Return a count among attributes; 0 for any other text."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _time(text: str | None) -> float | None:
    """Return a time among attributes; None for one that can't be: any publisher writes them."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return time if 0 <= time < END_OF_TIME else None
