"""Plans: which letters a run sends, to where, and which it leaves out. A plan is the dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RowState(StrEnum):
    """How far the replay of a letter is.

          ┌──── resumed ────┐
          ▼                 │
    PLANNED ► SENDING ► SENT ► ACKED
                 └──► FAILED
    """

    PLANNED = "PLANNED"
    SENDING = "SENDING"
    """It is being sent; after the end of the process it isn't known whether it was."""
    SENT = "SENT"
    """It was sent, and its dead letter isn't acknowledged yet."""
    ACKED = "ACKED"
    FAILED = "FAILED"
    """It was refused, or is no longer there; the next run tries it again."""


LEFT = frozenset(RowState) - {RowState.ACKED}
"""The states of rows that a run still has to send or to acknowledge."""


class To(StrEnum):
    """The kinds of target."""

    INBOX = "inbox"
    """The task's own topic."""
    PUSH = "push"
    """A request to where the subscription pushes, acknowledged after its 2xx."""
    JOB = "job"
    """The failed job runs again."""


@dataclass(frozen=True, slots=True)
class Target:
    """The one receiver of a replay.

    Args:
        place: the full name of a topic; a URL; `TASK/ID` of a job.
        wrapped: a push carries Pub/Sub's JSON; False: the data alone.
    """

    to: To
    place: str
    wrapped: bool = True

    def __str__(self) -> str:
        return f"{self.to} {self.place}"


@dataclass(frozen=True, slots=True)
class Row:
    """A letter of a plan.

    Args:
        position: in the plan, from 1: rows are sent in this order.
        hash: of the content that is sent.
        message_id: of the replay, when it is sent.
        reason: why it failed.
    """

    position: int
    letter: str
    task: str
    target: Target
    hash: str
    edited: bool
    replay_id: str
    state: RowState
    message_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A letter that a plan leaves out, and why."""

    letter: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Letters frozen by their ids and hashes, and their targets.

    Args:
        created: in epoch seconds.
        text: how its letters were chosen.
        counts: of its rows, by state; `Workbench.rows` has the rows.
        excluded: how many letters are left out; `Workbench.exclusions` has them.
        reasons: for leaving letters out, with their numbers.
        targets: for each task, its targets as texts.
        edited: how many rows are edited.
        is_cancelled: a run stops before its next letters.
        problem: why the last run stopped.
    """

    id: str
    created: float
    by: str
    text: str
    counts: Mapping[RowState, int]
    excluded: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    edited: int = 0
    is_cancelled: bool = False
    problem: str = ""

    @property
    def total(self) -> int:
        """The number of its rows."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """The number of rows that aren't done."""
        return sum(self.counts.get(state, 0) for state in LEFT)
