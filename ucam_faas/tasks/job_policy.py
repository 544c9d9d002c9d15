"""A task's rules for its jobs: their identity, their number, and how long they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.limit import Limit

OnDuplicate = Literal["return", "raise"]
Events = Literal["failures", "all", "none"]
RETENTION = timedelta(days=7)
"""How long an ended job is kept, if the task doesn't decide it."""
LONGEST_DELIVERY = timedelta(days=7)
"""Pub/Sub delivers a message again for this long: the retention of the task's subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """A task's rules for its jobs.

    Args:
        retention: how long a job is kept after its end; None: 7 days.
        id: from a payload to the id of its job.
        unique: from a payload to a key: one job of a key at a time.
        on_duplicate: what sending a second job of a key does.
        max_pending: the most jobs that wait at a time; None: no limit.
        events: the ends of its jobs that are published to the events topic.
        idempotent: a message on the task's topic is a job, too; its id is the message's.
        limit: the number of jobs of a key that run at a time; None: no limit.

    Raises:
        TaskDefinitionError: a value can never work.
    """

    retention: timedelta | None = None
    id: Callable[[Any], object] | None = None
    unique: Callable[[Any], object] | None = None
    on_duplicate: OnDuplicate = "return"
    max_pending: int | None = None
    events: Events = "failures"
    idempotent: bool = False
    limit: Limit | None = None

    def __post_init__(self) -> None:
        if self.retention is not None:
            check_retention(self.retention)
        if self.adopts and self.kept < LONGEST_DELIVERY:
            raise TaskDefinitionError(
                f"retention={self.retention!r} with {self.adopting}: expected at least 7 days, in "
                "which Pub/Sub may deliver a message again: it would run again."
            )

    @property
    def kept(self) -> timedelta:
        """How long a job is kept after its end."""
        return RETENTION if self.retention is None else self.retention

    @property
    def adopts(self) -> bool:
        """A message on the task's topic is a job."""
        return self.idempotent or self.id is not None or self.limit is not None

    @property
    def adopting(self) -> str:
        """The option that makes a message a job."""
        if self.id is not None:
            return "id="
        return "idempotent=True" if self.idempotent else "limit="


def check_retention(value: Any) -> None:
    """Refuse a retention that isn't a positive timedelta.

    Raises:
        TaskDefinitionError: with an example.
    """
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise TaskDefinitionError(
            f"retention={value!r}: expected a positive timedelta, such as "
            "retention=timedelta(days=30)."
        )


def check_key(name: str, value: Any) -> None:
    """Refuse a key that isn't a function.

    Raises:
        TaskDefinitionError: with an example.
    """
    if not callable(value):
        raise TaskDefinitionError(
            f"{name}={value!r}: expected a function from the payload to a text or a number, such "
            f"as {name}=lambda order: order.id."
        )


def check_on_duplicate(value: Any) -> None:
    """Refuse another value than "return" and "raise"."""
    if value not in ("return", "raise"):
        raise TaskDefinitionError(f'on_duplicate={value!r}: expected "return" or "raise".')


def check_events(value: Any) -> None:
    """Refuse another value than "failures", "all" and "none"."""
    if value not in get_args(Events):
        raise TaskDefinitionError(f'events={value!r}: expected "failures", "all" or "none".')


def check_max_pending(value: Any) -> None:
    """Refuse another value than a positive number."""
    if type(value) is not int or value < 1:
        raise TaskDefinitionError(f"max_pending={value!r}: expected a whole number, from 1.")
