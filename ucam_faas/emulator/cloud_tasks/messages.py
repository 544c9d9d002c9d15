"""Cloud Tasks' queues and tasks as protobuf has them, read and written.

Limits are those of Google's pages "Queue", "Task" and "Quotas and limits". The messages are the
raw protobuf ones (`tasks_v2.Task.pb()`).
"""

from __future__ import annotations

from math import floor
from typing import Any

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.cloud_tasks.tasks import Attempt, Queue, RetryConfig, Task
from ucam_faas.emulator.errors import invalid, unsupported
from ucam_faas.emulator.targets import messages as targets

MAX_TASK_BYTES = 1_048_576
MAX_AHEAD_SECONDS = 720 * 3600.0
MIN_DEADLINE, MAX_DEADLINE, DEFAULT_DEADLINE = 15.0, 1800.0, 600.0  # seconds
MAX_RATE, MAX_CONCURRENT = 500.0, 5000
FULL = 2
"""The view of a task with its body."""
_DEFAULT = Queue(name="")
_UNSUPPORTED = {
    "app_engine_routing_override": "App Engine targets (app_engine_routing_override)",
    "http_target": "HTTP targets of queues (http_target)",
}


def pb(name: str) -> Any:
    """Return the plain class of a message of google.cloud.tasks.v2."""
    from google.cloud import tasks_v2  # here, since it takes a quarter of a second

    return getattr(tasks_v2, name).pb()


def read_queue(message: Any) -> Queue:
    """Return the queue that a message describes.

    Raises:
        RpcError: INVALID_ARGUMENT: a value is outside Google's limits; or UNIMPLEMENTED.
    """
    for field, _ in message.ListFields():
        if field.name in _UNSUPPORTED:
            raise unsupported(_UNSUPPORTED[field.name])
    limits = message.rate_limits
    rate, concurrent = limits.max_dispatches_per_second, limits.max_concurrent_dispatches
    if not 0 <= rate <= MAX_RATE:
        raise invalid(f"Invalid max_dispatches_per_second {rate:g}: expected at most 500.")
    if not 0 <= concurrent <= MAX_CONCURRENT:
        raise invalid(f"Invalid max_concurrent_dispatches {concurrent}: expected at most 5000.")
    ratio = message.stackdriver_logging_config.sampling_ratio
    if not 0 <= ratio <= 1:
        raise invalid(f"Invalid sampling_ratio {ratio:g}: expected 0 to 1.")
    logs = message.HasField("stackdriver_logging_config")
    return Queue(
        name=message.name,
        max_dispatches_per_second=rate or _DEFAULT.max_dispatches_per_second,
        max_concurrent_dispatches=concurrent or _DEFAULT.max_concurrent_dispatches,
        retry=_read_retry(message.retry_config),
        sampling_ratio=ratio if logs else None,
    )


def _read_retry(message: Any) -> RetryConfig:
    if message.max_attempts < -1:
        raise invalid(f"Invalid max_attempts {message.max_attempts}: expected -1 or more.")
    if message.max_doublings < 0:
        raise invalid(f"Invalid max_doublings {message.max_doublings}: expected 0 or more.")
    longest, low, high = (
        floor(checks.between(protos.seconds(getattr(message, name)), 0, targets.MAX_DURATION, name))
        for name in ("max_retry_duration", "min_backoff", "max_backoff")
    )
    default = _DEFAULT.retry
    config = RetryConfig(
        max_attempts=message.max_attempts or default.max_attempts,
        max_retry_duration=float(longest),
        min_backoff=float(low) or default.min_backoff,
        max_backoff=float(high) or default.max_backoff,
        max_doublings=message.max_doublings or default.max_doublings,
    )
    if config.min_backoff > config.max_backoff:
        raise invalid(
            f"Invalid retry_config: min_backoff ({config.min_backoff:g}s) is longer than "
            f"max_backoff ({config.max_backoff:g}s)."
        )
    return config


def write_queue(queue: Queue) -> Any:
    """Return the message of a queue."""
    message = pb("Queue")(name=queue.name, state=str(queue.state))
    limits = message.rate_limits
    limits.max_dispatches_per_second = queue.max_dispatches_per_second
    limits.max_burst_size = queue.max_burst_size
    limits.max_concurrent_dispatches = queue.max_concurrent_dispatches
    _write_retry(queue.retry, message.retry_config)
    _put_time(message, "purge_time", queue.purge_time)
    if queue.sampling_ratio is not None:
        message.stackdriver_logging_config.SetInParent()
        message.stackdriver_logging_config.sampling_ratio = queue.sampling_ratio
    return message


def _write_retry(retry: RetryConfig, message: Any) -> None:
    message.max_attempts, message.max_doublings = retry.max_attempts, retry.max_doublings
    for field, seconds in (
        (message.min_backoff, retry.min_backoff),
        (message.max_backoff, retry.max_backoff),
    ):
        field.FromNanoseconds(round(seconds * 1e9))
    if retry.max_retry_duration:
        message.max_retry_duration.FromNanoseconds(round(retry.max_retry_duration * 1e9))


def read_task(message: Any, now: float) -> Task:
    """Return the task that a message describes, created now.

    Raises:
        RpcError: INVALID_ARGUMENT: a value is outside Google's limits; or UNIMPLEMENTED.
    """
    if message.ByteSize() > MAX_TASK_BYTES:
        raise invalid(f"The task has {message.ByteSize()} bytes; at most 1 MB is allowed.")
    kind = message.WhichOneof("message_type")
    if kind is None:
        raise invalid("A task needs an http_request.")
    if kind != "http_request":
        raise unsupported("App Engine targets (app_engine_http_request)")
    at = protos.epoch(message.schedule_time) if message.HasField("schedule_time") else now
    if at > now + MAX_AHEAD_SECONDS:
        raise invalid(
            f"Invalid schedule_time: {at - now:g} s from now. Expected at most 720 hours."
        )
    deadline = protos.seconds(message.dispatch_deadline) or DEFAULT_DEADLINE
    checks.between(deadline, MIN_DEADLINE, MAX_DEADLINE, "dispatch_deadline")
    return Task(
        name=message.name,
        target=targets.read(message.http_request, "url"),
        create_time=now,
        schedule_time=max(at, now),
        dispatch_deadline=deadline,
        retry=_read_retry(message.retry_config) if _has_retry(message) else None,
    )


def _has_retry(message: Any) -> bool:
    """Return True if a task has a retry config of its own; older clients have none."""
    known = "retry_config" in message.DESCRIPTOR.fields_by_name
    return known and message.HasField("retry_config")


def write_task(task: Task, view: int) -> Any:
    """Return the message of a task, without its body unless the view is full."""
    message = pb("Task")(name=task.name, view=view or 1)
    targets.write(task.target, message.http_request, "url")
    if view != FULL:
        message.http_request.ClearField("body")
    _put_time(message, "schedule_time", task.schedule_time)
    _put_time(message, "create_time", float(floor(task.create_time)))
    message.dispatch_deadline.FromNanoseconds(round(task.dispatch_deadline * 1e9))
    message.dispatch_count, message.response_count = task.dispatch_count, task.response_count
    if task.retry is not None:
        _write_retry(task.retry, message.retry_config)
    _put_time(message.first_attempt, "dispatch_time", task.first_dispatch_time)
    if task.last_attempt is not None:
        _write_attempt(task.last_attempt, message.last_attempt)
    return message


def _write_attempt(attempt: Attempt, message: Any) -> None:
    _put_time(message, "schedule_time", attempt.schedule_time)
    _put_time(message, "dispatch_time", attempt.dispatch_time)
    _put_time(message, "response_time", attempt.response_time)
    if attempt.response_time is not None:
        message.response_status.code = attempt.code
        message.response_status.message = attempt.text


def _put_time(message: Any, field: str, time: float | None) -> None:
    if time is not None:
        getattr(message, field).CopyFrom(protos.timestamp(time))
