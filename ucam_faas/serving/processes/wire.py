"""The values that a process and its child exchange. No object of user code is among them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, NamedTuple

from ucam_faas import outcomes
from ucam_faas.config import Settings
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.execution.execution import Decision, JobNews
from ucam_faas.execution.fingerprints import Fault
from ucam_faas.jobs.rows import Row
from ucam_faas.outcomes import Outcome, Sleeping
from ucam_faas.serving.processes import errors
from ucam_faas.serving.processes.errors import Link


class Hello(NamedTuple):
    """The first words to a child.

    Args:
        task: its name.
        sources: of tasks, of which the first that holds the task is imported.
        path: of imports.
        has_log: the package's log is set up, and not the user's.
    """

    task: str
    sources: list[str]
    path: list[str]
    settings: Settings
    has_log: bool


class Call(NamedTuple):
    """An execution for a child.

    Args:
        row: of its job, as it was claimed.
        seconds_left: of the claim.
        trace: the span of the execution, as `traceparent` has it; empty: there is none.
    """

    delivery: Delivery
    lane: str
    elapsed_seconds: float
    row: Row | None
    seconds_left: float
    trace: str


class Answer(NamedTuple):
    """The end of an execution in a child.

    Args:
        outcome: the name of its class, its reason, and the seconds of a Retry or a sleep.
        value: of the function, as JSON.
        info: the module and name of the class of the function's own report, and its JSON.
    """

    outcome: tuple[str, str | None, float | None]
    value: str
    error: Link | None
    info: tuple[str, str, str] | None
    unstored: str
    fault: Fault | None
    is_started: bool
    is_event_accepted: bool
    is_message_accepted: bool
    job: JobNews | None


def outcome_to_wire(outcome: Outcome) -> tuple[str, str | None, float | None]:
    """Return an outcome as it travels; a subclass of a user's as its base."""
    name = next(kind.__name__ for kind in type(outcome).__mro__ if kind in outcomes.ANSWERS)
    after: timedelta | None = getattr(outcome, "after", None)
    seconds = getattr(outcome, "seconds", None) if after is None else after.total_seconds()
    return name, outcome.reason, seconds


def outcome_of(name: str, reason: str | None, seconds: float | None) -> Outcome:
    """Return the outcome again."""
    if name == "Retry":
        after = None if seconds is None else timedelta(seconds=seconds)
        return outcomes.Retry(after, reason=reason)
    if name == "Sleeping":
        return Sleeping(reason, seconds or 0.0)
    outcome: Outcome = getattr(outcomes, name)(reason)
    return outcome


def info_to_wire(info: ExecutionInfo | None) -> tuple[str, str, str] | None:
    """Return the function's own report as it travels."""
    if info is None:
        return None
    return type(info).__module__, type(info).__qualname__, info.model_dump_json()


def decision_of(answer: Answer) -> Decision:
    """Return the decision that an answer has."""
    return Decision(
        outcome_of(*answer.outcome),
        json.loads(answer.value),
        errors.to_error(answer.error),
        None if answer.info is None else _info_of(*answer.info),
        answer.unstored,
        answer.fault,
    )


def _info_of(module: str, qualname: str, text: str) -> ExecutionInfo:
    """Return a report, of its own class if that is loaded here and reads its own JSON."""
    kind: Any = errors.loaded_class(module, qualname)
    try:
        info = kind.model_validate_json(text)
    except Exception:  # whatever a user's class does
        return ExecutionInfo.model_validate_json(text)
    return info if isinstance(info, ExecutionInfo) else ExecutionInfo.model_validate_json(text)
