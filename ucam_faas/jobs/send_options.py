"""The options of one sending: checked before it leaves, and kept in the job's row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from ucam_faas.gcp.limits import MAX_ATTRIBUTE_VALUE_BYTES
from ucam_faas.jobs.rows import Row
from ucam_faas.logs.durations import exact_text
from ucam_faas.tasks.backoffs import Exponential
from ucam_faas.tasks.job_policy import JobPolicy
from ucam_faas.tasks.policies import RetryPolicy


class BatchOptions(TypedDict, total=False):
    """The options of `send_many`, for each of its jobs.

    Args:
        delay: until it may start.
        at: when it may start, with a time zone.
        ttl: if it has not started by then, it expires.
        timeout: of each attempt, within the task's.
        retry: how often and how soon it is tried again; `max_attempts=1` is allowed.
        retention: how long the job is kept after its end.
        attributes: of the message that the task gets.
        ordering_key: of that message. In a store, the task's jobs of a key run one after the
            other, in the order of sending.
        lane: the lane of the task, by its name or its number. Default: the lane from which the
            sending task runs, if the task has it, else `default`.
    """

    delay: timedelta | None
    at: datetime | None
    ttl: timedelta | None
    timeout: timedelta | None
    retry: RetryPolicy | None
    retention: timedelta | None
    attributes: Mapping[str, str] | None
    ordering_key: str
    lane: str | int | None


class SendOptions(BatchOptions, total=False):
    """The options of `send`: those of `send_many`, and the id.

    Args:
        id: of the job. A second sending of the same payload with it returns the same job, until its
            retention ends. Default: the task's `id=`, or a new one.
    """

    id: str | None


LONGEST = timedelta(days=36_500)
"""Of a duration: the times of a job have to stay before the year 10000."""
OF_STORES = ("id", "delay", "at", "ttl", "timeout", "retry", "retention")
"""The options that need a store."""


def check_options(options: Mapping[str, Any], longest_seconds: float) -> None:
    """Refuse options that can never work.

    Args:
        options: of a sending.
        longest_seconds: the task's timeout, which the ack deadline of its inbox follows.

    Raises:
        TypeError: an option that doesn't exist, or a value of another type.
        ValueError: a value that can't be used.
    """
    for name in options.keys() - SendOptions.__annotations__.keys():
        known = ", ".join(SendOptions.__annotations__)
        raise TypeError(f"send has no option {name!r}: it has {known}.")
    for name in ("delay", "ttl", "timeout", "retention"):
        _check_duration(name, options.get(name))
    _check_time(options)
    timeout = options.get("timeout")
    if timeout is not None and timeout.total_seconds() > longest_seconds:
        raise ValueError(
            f"timeout={exact_text(timeout)}: expected at most {longest_seconds:g} s, since Pub/Sub "
            "waits no longer for the task's answer. Send a shorter timeout, or give the task a "
            "longer one."
        )
    retry = options.get("retry")
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise TypeError(
            f"retry={retry!r}: expected a RetryPolicy, such as RetryPolicy(max_attempts=1)."
        )
    if retry is not None and not isinstance(retry.backoff, Exponential | None):
        raise TypeError(
            f"retry={retry!r}: a function can't be stored with a job. Write backoff=exponential(…) "
            "here, or the function in the task's retry=."
        )
    if options.get("id") is not None:
        check_id(options["id"])


def check_id(id: Any) -> None:
    """Refuse an id that isn't a text that fits an attribute of a message.

    Raises:
        TypeError: it isn't a text.
        ValueError: it is empty, too long, or not printable.
    """
    if not isinstance(id, str):
        raise TypeError(f"id={id!r}: expected a text, such as id=str({id!r}).")
    if not is_id(id):
        raise ValueError(
            f"id={id[:50]!r}: expected 1 to {MAX_ATTRIBUTE_VALUE_BYTES} bytes of printable text."
        )


def is_id(text: str) -> bool:
    """Return True if a job can have a text as its id."""
    return text.isprintable() and 0 < len(text.encode()) <= MAX_ATTRIBUTE_VALUE_BYTES


def key_text(name: str, function: Callable[[Any], object], payload: Any) -> str:
    """Return the id or the key that a task's function makes of a payload.

    Raises:
        TypeError: it isn't a text, a number, a date or a UUID.
        ValueError: it has a NUL character.
        Exception: the function raised it.
    """
    value = function(payload)
    if isinstance(value, bool) or not isinstance(value, str | int | UUID | date):
        raise TypeError(
            f"{name}= returned a {type(value).__name__} for the payload: expected a text, a "
            "number, a date or a UUID."
        )
    text = str(value)
    if "\0" in text:
        raise ValueError(f"{name}= returned a text with a NUL character, which no store can keep.")
    return text


def wait_of(options: Mapping[str, Any], now: Callable[[], float]) -> float:
    """Return the seconds until a job may start.

    Args:
        options: of its sending.
        now: returns the store's time, in epoch seconds.

    Raises:
        ValueError: it would expire before.
    """
    delay, at, ttl = options.get("delay"), options.get("at"), options.get("ttl")
    wait = 0.0 if delay is None else float(delay.total_seconds())
    if at is not None:
        wait = at.astimezone(UTC).timestamp() - now()
    wait = max(0.0, wait)
    if ttl is not None and ttl.total_seconds() <= wait:
        raise ValueError(
            f"ttl={exact_text(ttl)}: the job would expire before it may start, in "
            f"{exact_text(timedelta(seconds=wait))}. The ttl counts from now."
        )
    return wait


def stored(
    options: Mapping[str, Any], jobs: JobPolicy, hops: str = "", trace: str = ""
) -> dict[str, Any]:
    """Return the options that a row keeps, as JSON has them.

    Args:
        options: of the sending.
        jobs: the task's rules.
        hops: the chain of tasks through which the job comes, if any.
        trace: that it belongs to, as `traceparent` has it, if any.
    """
    values: dict[str, Any] = {"hops": hops} if hops else {}
    if trace:
        values["trace"] = trace
    retention = options.get("retention") or jobs.retention
    if retention is not None:
        values["retention"] = retention.total_seconds()
    if jobs.events == "none":
        values["events"] = "none"  # for the sweep, which doesn't know the task
    if options.get("timeout") is not None:
        values["timeout"] = options["timeout"].total_seconds()
    retry: RetryPolicy | None = options.get("retry")
    if retry is not None:
        backoff: Any = retry.backoff
        values["retry"] = {
            "max_attempts": retry.max_attempts,
            "min_backoff": retry.min_backoff.total_seconds(),
            "max_backoff": retry.max_backoff.total_seconds(),
            "backoff": backoff and [getattr(backoff, name) for name in Exponential.__slots__],
        }
    return values


def retry_of(row: Row, policy: RetryPolicy) -> RetryPolicy:
    """Return the retry policy of a job: its own, or its task's."""
    values = row.options.get("retry")
    if values is None:
        return policy
    return replace(
        policy,
        max_attempts=values["max_attempts"],
        min_backoff=timedelta(seconds=values["min_backoff"]),
        max_backoff=timedelta(seconds=values["max_backoff"]),
        backoff=values["backoff"] and Exponential(*values["backoff"]),
    )


def _check_duration(name: str, value: Any) -> None:
    if value is None:
        return
    example = f"such as {name}=timedelta(minutes=5)"
    if not isinstance(value, timedelta):
        raise TypeError(f"{name}={value!r}: expected a timedelta, {example}.")
    if value <= timedelta(0) and name != "delay":
        raise ValueError(f"{name}={exact_text(value)}: expected a positive timedelta, {example}.")
    if value > LONGEST:
        raise ValueError(f"{name}={exact_text(value)}: expected at most {LONGEST.days} days.")


def _check_time(options: Mapping[str, Any]) -> None:
    at = options.get("at")
    if at is None:
        return
    if options.get("delay") is not None:
        raise ValueError("delay= and at= are two ways to say the same: use one of them.")
    if not isinstance(at, datetime):
        raise TypeError(f"at={at!r}: expected a datetime with a time zone.")
    if at.utcoffset() is None:
        raise ValueError(
            f"at={at!r}: expected a time with a time zone, such as at=datetime(2030, 1, 1, "
            "tzinfo=UTC), or datetime.now(UTC) plus a timedelta."
        )
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"at={at!r}: expected a time between the years 1 and 9999 UTC.") from None
