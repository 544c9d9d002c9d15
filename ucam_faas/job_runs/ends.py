"""The end of a job's run: a decision in, the change of its row out."""

from __future__ import annotations

import json
import traceback
from typing import Any

from ucam_faas.exceptions import JobCancelledError, PayloadMissingError
from ucam_faas.execution.decisions import fault
from ucam_faas.execution.execution import Decision
from ucam_faas.execution.fingerprints import Fault
from ucam_faas.jobs.rows import Change, Row, check_size
from ucam_faas.jobs.send_options import retry_of
from ucam_faas.jobs.states import State
from ucam_faas.jobs.sweep import AGAIN_SECONDS, retention
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import (
    Crashed,
    DeadLetter,
    Done,
    Ignore,
    Outcome,
    Overloaded,
    Pause,
    Refused,
    Retry,
    ShuttingDown,
    Sleeping,
    answer,
    name,
)
from ucam_faas.tasks.policies import RetryPolicy, backoffs, wait_seconds
from ucam_faas.tasks.task import Task

MAX_INTERRUPTIONS = 100
"""A job that was interrupted more often has failed: it may be the cause."""
LOSSES_IN_COMPANY = 2
"""A job that lost so many processes, or one before its last attempt, runs alone from then on."""
MAX_MESSAGE, MAX_TRACEBACK = 2_000, 20_000
"""Characters of an error that a row keeps: the first ones, and the last ones."""


def before_run(row: Row, task: Task, instance: str) -> Change | None:
    """Return the end of a claimed job that may not run again; None: it may."""
    limit, kept = retry_of(row, task.policy.retry).max_attempts, retention(row)
    if row.cancel_requested:
        return cancelled(row, instance)
    if row.expires is not None and row.expires <= row.history[-1].time:
        # Only after a lost process: an expired job that waits isn't claimed.
        return Change(state=State.EXPIRED, cause="expired", visit=kept, instance=instance)
    if limit is not None and row.attempts >= limit:
        cause, message = "crashed", f"its process ended while it ran, and {limit} attempts are used"
    elif row.interruptions >= MAX_INTERRUPTIONS:
        cause, message = "interrupted", f"it was interrupted {row.interruptions} times"
    else:
        return None
    error = row.error if cause == "crashed" else None
    error = error or _error_of(task.name, cause, cause.capitalize(), message)
    return Change(
        state=State.FAILURE,
        cause=cause,
        visit=kept,
        instance=instance,
        message=message,
        error=error,
    )


def runs_alone(row: Row, task: Task) -> bool:
    """Return True if the next lost process would be held against a job that may be innocent."""
    if not row.attempts:
        return False
    causes = [entry.cause for entry in row.history]
    if "retried" in causes:
        causes = causes[len(causes) - causes[::-1].index("retried") :]
    losses = causes.count("claimed after a lost process")
    limit = retry_of(row, task.policy.retry).max_attempts
    return losses >= LOSSES_IN_COMPANY or (losses > 0 and row.attempts + 1 == limit)


def without_payload(row: Row, error: PayloadMissingError, instance: str) -> Change:
    """Return the end of a claimed job whose payload is lost."""
    return Change(
        state=State.FAILURE,
        cause="failed",
        visit=retention(row),
        failed=True,
        instance=instance,
        message="its payload is missing",
        error=_error_of(row.key.task, "failed", type(error).__name__, str(error)),
    )


def given_back(instance: str, message: str = "it has to run alone") -> Change:
    """Return the change of a claimed job that can't run here now."""
    return Change(
        state=State.PENDING,
        cause="given back",
        visit=AGAIN_SECONDS,
        wait=0,
        instance=instance,
        message=message,
    )


def change(
    row: Row,
    task: Task,
    decision: Decision,
    instance: str,
    max_bytes: int | None = None,
    *,
    steps: int = 0,
) -> Change:
    """Return the change of a job's row after its run.

    Args:
        max_bytes: the store's limit of a row; None: there is none.
        steps: the bytes of the job's steps.
    """
    outcome, kept = decision.outcome, retention(row)
    values: dict[str, Any] = {"instance": instance, "message": _reason(outcome)}
    if isinstance(outcome, Done | Ignore):
        result, unstored = _result(row, decision, max_bytes, steps)
        return finished(row, result, instance, unstored or _reason(outcome))
    if isinstance(outcome, Pause):
        visit = _before_expiry(row, kept)
        return Change(state=State.PAUSED, cause="paused", visit=visit, **values)
    if isinstance(outcome, Sleeping):
        wait, visit = outcome.seconds, _before_expiry(row, outcome.seconds)
        return Change(state=State.PENDING, cause="sleeping", visit=visit, wait=wait, **values)
    if isinstance(outcome, ShuttingDown | Overloaded):
        return interrupted(instance, _reason(outcome))
    if isinstance(decision.error, JobCancelledError):
        return cancelled(row, instance)
    values |= {"failed": True, "error": _error(task, decision)}
    if isinstance(outcome, Crashed):
        values["message"] = values["error"]["type"]
    retry, failures = retry_of(row, task.policy.retry), row.attempts + 1
    permanent = isinstance(outcome, DeadLetter) or answer(outcome).permanent
    if permanent or (retry.max_attempts is not None and failures >= retry.max_attempts):
        return Change(state=State.FAILURE, cause="failed", visit=kept, **values)
    wait = _wait(task, retry, outcome, failures)
    visit = _before_expiry(row, wait)
    return Change(state=State.PENDING, cause="failed", visit=visit, wait=wait, **values)


def _before_expiry(row: Row, seconds: float) -> float:
    """Return the seconds until the sweep looks at a claimed job: it ends one that has expired."""
    if row.expires is None:
        return seconds
    return min(seconds, row.expires - row.history[-1].time)


def _result(
    row: Row, decision: Decision, max_bytes: int | None, steps: int
) -> tuple[bytes | None, str]:
    """Return a job's result as JSON, or the reason for which it can't be stored."""
    if decision.unstored:
        return None, decision.unstored
    result = json.dumps(decision.value).encode()
    try:
        check_size(row, max_bytes, result, steps=steps)
    except ValueError as error:
        log_problem("ucam_faas_result_is_too_large", task=row.key.task, error=error)
        return None, str(error).rstrip(".")
    return result, ""


def finished(row: Row, result: bytes | None, instance: str, message: str = "") -> Change:
    """Return the change of a job that has succeeded.

    Args:
        result: as JSON; None: it can't be stored, and the message is the reason.
    """
    return Change(
        state=State.SUCCESS,
        cause="finished",
        visit=retention(row),
        result=result,
        instance=instance,
        message=message,
    )


def interrupted(instance: str, message: str = "") -> Change:
    """Return the change of a job whose run ended without a fault of its own."""
    return Change(
        state=State.PENDING,
        cause="interrupted",
        visit=AGAIN_SECONDS,
        wait=0,
        interrupted=True,
        instance=instance,
        message=message,
    )


def cancelled(row: Row, instance: str) -> Change:
    """Return the end of a job that was cancelled while it ran."""
    return Change(state=State.CANCELLED, cause="cancelled", visit=retention(row), instance=instance)


def _reason(outcome: Outcome) -> str:
    if isinstance(outcome, Done):
        return ""
    return _bounded(outcome.reason or name(outcome).replace("_", " "))


def _wait(task: Task, retry: RetryPolicy, outcome: Outcome, failures: int) -> float:
    if isinstance(outcome, Retry) and outcome.after is not None:
        return outcome.after.total_seconds()
    try:
        return wait_seconds(retry, failures)
    except Exception as error:  # a user's function may do anything
        log_problem("ucam_faas_backoff_failed", task=task.name, error=error)
        return backoffs(retry, failures)[-1]


def _error_of(task: str, outcome: str, kind: str, message: str) -> dict[str, str]:
    """Return the error of a job whose function wasn't called."""
    cause = Fault(task, outcome, (kind,))
    marks = {"fingerprint": cause.fingerprint, "summary": cause.summary}
    return {"type": kind, "message": message, **marks}


def _error(task: Task, decision: Decision) -> dict[str, str]:
    error, cause = decision.error, fault(task, decision)
    marks = {"fingerprint": cause.fingerprint, "summary": _bounded(cause.summary)}
    if error is None or isinstance(decision.outcome, Refused):  # its text has the payload's values
        kind = type(decision.outcome).__name__
        return {"type": kind, "message": _reason(decision.outcome), **marks}
    try:
        message = str(error)
    except Exception:  # a user's class may do anything
        message = ""
    parts = traceback.format_exception(error)  # a frame each, and the message
    trace = "".join(part if len(part) <= MAX_MESSAGE else f"{_bounded(part)}\n" for part in parts)
    return {
        "type": type(error).__qualname__,
        "message": _bounded(message),
        "traceback": _storable(trace[-MAX_TRACEBACK:]),
        **marks,
    }


def _bounded(text: str) -> str:
    return _storable(text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…")


def _storable(text: str) -> str:
    """Return a text that every store takes: PostgreSQL has no NUL, and UTF-8 no surrogates."""
    return text.replace("\0", "�").encode(errors="replace").decode()
