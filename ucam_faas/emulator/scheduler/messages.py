"""Cloud Scheduler's Job as protobuf has it, read and written.

Limits are those of Google's pages "Job" and "Quotas and limits". The messages are the raw protobuf
ones (`scheduler_v1.Job.pb()`).
"""

from __future__ import annotations

from typing import Any

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.errors import invalid, unsupported
from ucam_faas.emulator.scheduler.jobs import Job, PubsubTarget, RetryConfig
from ucam_faas.emulator.targets import messages as targets
from ucam_faas.emulator.targets.target import HttpTarget
from ucam_faas.gcp.limits import MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES

MAX_JOB_BYTES = 1_000_000
MAX_DESCRIPTION_CHARACTERS = 500
MAX_RETRIES = 5
MIN_DEADLINE, MAX_DEADLINE, DEFAULT_DEADLINE = 15.0, 1800.0, 180.0  # seconds


def pb(name: str) -> Any:
    """Return the plain class of a message of google.cloud.scheduler.v1."""
    from google.cloud import scheduler_v1  # here, since it takes a quarter of a second

    return getattr(scheduler_v1, name).pb()


def with_doublings(job: Any) -> Any:
    """Return a copy with the default for a max_doublings of 0, which may mean unset."""
    copied = type(job)()
    copied.CopyFrom(job)
    copied.retry_config.max_doublings = job.retry_config.max_doublings or 5
    return copied


def read(message: Any) -> Job:
    """Return the job that a message describes.

    Raises:
        RpcError: INVALID_ARGUMENT: a value is outside Google's limits; or UNIMPLEMENTED.
    """
    if message.ByteSize() > MAX_JOB_BYTES:
        raise invalid(f"The job has {message.ByteSize()} bytes; at most 1 MB is allowed.")
    if len(message.description) > MAX_DESCRIPTION_CHARACTERS:
        raise invalid(f"Invalid description: at most {MAX_DESCRIPTION_CHARACTERS} characters.")
    if not message.schedule:
        raise invalid("Invalid schedule '': a job needs one, such as '0 3 * * *'.")
    kind = message.WhichOneof("target")
    deadline = DEFAULT_DEADLINE
    if kind == "pubsub_target":  # for which the attempt deadline is ignored, as documented
        project = message.name.split("/")[1]
        target: PubsubTarget | HttpTarget = _read_pubsub(message.pubsub_target, project)
    elif kind == "http_target":
        target = targets.read(message.http_target, "uri")
        deadline = protos.seconds(message.attempt_deadline) or deadline
        checks.between(deadline, MIN_DEADLINE, MAX_DEADLINE, "attempt_deadline")
    elif kind is None:
        raise invalid("A job needs exactly one target: pubsub_target or http_target.")
    else:
        raise unsupported("App Engine targets (app_engine_http_target)")
    return Job(
        name=message.name,
        description=message.description,
        schedule=message.schedule,
        time_zone=message.time_zone or "UTC",
        target=target,
        retry=_read_retry(message.retry_config),
        attempt_deadline=deadline,
    )


def _read_pubsub(target: Any, project: str) -> PubsubTarget:
    topic = checks.name(target.topic_name, "topics")
    if topic.split("/")[1] != project:
        raise invalid(f"Invalid topic_name {topic!r}: expected a topic of the job's {project!r}.")
    if not target.data and not target.attributes:
        raise invalid("Invalid pubsub_target: expected data or at least one attribute.")
    if len(target.attributes) > MAX_ATTRIBUTES:
        raise invalid(f"Invalid attributes: at most {MAX_ATTRIBUTES} are allowed.")
    for key, value in target.attributes.items():
        if not 0 < len(key.encode()) <= MAX_ATTRIBUTE_KEY_BYTES or key.startswith("goog"):
            raise invalid(f"Invalid attribute {key!r}: expected 1 to 256 bytes, and no goog first.")
        if len(value.encode()) > MAX_ATTRIBUTE_VALUE_BYTES:
            raise invalid(f"Invalid attribute {key!r}: expected a value of at most 1024 bytes.")
    return PubsubTarget(topic=topic, data=target.data, attributes=dict(target.attributes))


def _read_retry(message: Any) -> RetryConfig:
    if not 0 <= message.retry_count <= MAX_RETRIES:
        raise invalid(f"Invalid retry_count {message.retry_count}: expected 0 to {MAX_RETRIES}.")
    if message.max_doublings < 0:
        raise invalid(f"Invalid max_doublings {message.max_doublings}: expected 0 or more.")
    longest, low, high = (
        checks.between(protos.seconds(getattr(message, name)), 0, targets.MAX_DURATION, name)
        for name in ("max_retry_duration", "min_backoff_duration", "max_backoff_duration")
    )
    config = RetryConfig(
        retry_count=message.retry_count,
        max_retry_duration=longest,
        min_backoff=low or RetryConfig().min_backoff,
        max_backoff=high or RetryConfig().max_backoff,
        max_doublings=message.max_doublings,
    )
    if config.min_backoff > config.max_backoff:
        raise invalid(
            f"Invalid retry_config: min_backoff_duration ({config.min_backoff:g}s) is longer than "
            f"max_backoff_duration ({config.max_backoff:g}s)."
        )
    return config


def write(job: Job) -> Any:
    """Return the message of a job."""
    message = pb("Job")(name=job.name, description=job.description, state=str(job.state))
    message.schedule, message.time_zone = job.schedule, job.time_zone
    target = job.target
    if isinstance(target, PubsubTarget):
        message.pubsub_target.topic_name, message.pubsub_target.data = target.topic, target.data
        message.pubsub_target.attributes.update(target.attributes)
    else:
        targets.write(target, message.http_target, "uri")
    retry = message.retry_config
    retry.retry_count, retry.max_doublings = job.retry.retry_count, job.retry.max_doublings
    for field, seconds in (
        (retry.max_retry_duration, job.retry.max_retry_duration),
        (retry.min_backoff_duration, job.retry.min_backoff),
        (retry.max_backoff_duration, job.retry.max_backoff),
        (message.attempt_deadline, job.attempt_deadline),
        (message.user_update_time, job.user_update_time),
        (message.schedule_time, job.schedule_time),
        (message.last_attempt_time, job.last_attempt_time),
    ):
        if seconds is not None:
            field.FromNanoseconds(round(seconds * 1_000_000_000))
    if job.status_code is not None:
        # Even an empty status is there: it says that the last attempt went well.
        message.status.code, message.status.message = job.status_code, job.status_message
    return message
