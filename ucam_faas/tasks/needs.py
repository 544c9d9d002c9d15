"""The needs of tasks in the cloud: plain values, which one process can send to another."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.events.messages import TOPIC_PATH
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import MIN_ACK_DEADLINE_SECONDS
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.payload_types import is_json
from ucam_faas.tasks.policies import MIN_ATTEMPTS, TOPIC_RULES, RetryPolicy, is_topic_name
from ucam_faas.tasks.samples import NoSampleError, accepted_sample, sample_data
from ucam_faas.tasks.task import Kind, Task

_JOB_RULES = ("id", "unique", "limit", "max_pending", "retention")
STARTED = {"run-as": "cloud-run-job"}
"""Attributes of the message that replaces the start of a Cloud Run job in `ucam-faas dev`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleNeeds:
    """A schedule. Data are in base64."""

    expression: str
    time_zone: str
    data: str
    attributes: dict[str, str]
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNeeds:
    """A task, its trigger and its policy.

    Args:
        name: of the task, and of its subscription.
        path: at which it is served.
        lanes: the names of its lanes, each with an inbox, if it has one at all; none: it takes no
            jobs.
        topic: short, or full; None: it is called over HTTP only.
        subscription: the short name of that which delivers, if another owner has made it. Its
            deadline, retries and dead letters are its owner's.
        wrapped: pushes carry Pub/Sub's JSON; False: the data alone.
        max_attempts: deliveries, of which Pub/Sub wants 5 at least; the task may give up before.
        own_attempts: deliveries after which the task itself gives up, if they are fewer.
        dead_letter_topic: gets messages that failed `max_attempts` times.
        decided_dead_letter_topic: gets messages that can never succeed, from the task itself.
        methods: of HTTP, that it takes, if it is called over HTTP only.
        jobs_path: under which it takes jobs over HTTP; nothing: it doesn't.
    """

    name: str
    path: str
    takes: str
    summary: str = ""
    run_as: str = "service"
    topic: str | None = None
    subscription: str | None = None
    lanes: tuple[str, ...] = (DEFAULT_LANE,)
    filter: str | None = None
    ordered: bool = False
    wrapped: bool = True
    ack_deadline_seconds: int = MIN_ACK_DEADLINE_SECONDS
    min_backoff_seconds: float = 0.0
    max_backoff_seconds: float = 0.0
    max_attempts: int | None = None
    own_attempts: int | None = None
    dead_letter_topic: str | None = None
    decided_dead_letter_topic: str | None = None
    schedules: tuple[ScheduleNeeds, ...] = field(default_factory=tuple)
    methods: tuple[str, ...] = ()
    jobs_path: str = ""
    pausable: bool = False
    """Its lanes can be paused: it has `lanes=`."""
    sample: str | None = None
    """Data to try it with, if they are text and the task is known to take them; "": none needed."""

    job_rules: tuple[str, ...] = ()
    """Options of the task that its own code applies to a job when it is sent, such as `unique=`."""

    @property
    def gets_messages(self) -> bool:
        """True if Pub/Sub pushes messages to the task, or a worker pulls them."""
        return self.run_as != "cloud-run-job" and self.topic is not None

    def to_json(self) -> dict[str, Any]:
        """Return the needs as JSON has them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TaskNeeds:
        """Return the plan that `to_dict` was called on."""
        schedules = tuple(ScheduleNeeds(**schedule) for schedule in values["schedules"])
        texts = {name: tuple(values.get(name, ())) for name in ("lanes", "methods", "job_rules")}
        return cls(**{**values, "schedules": schedules, **texts})


def with_dead_letter_topic(task: Task, settings: Settings) -> Task:
    """Return a task that has a topic for its own dead letters, as in the cloud.

    It is that of its subscription, if neither the task nor the settings name another.
    """
    named = task.policy.dead_letter_topic or settings.dead_letter_topic
    is_ours = task.trigger is not None and task.trigger.subscription is None
    if not is_ours or named or not task.policy.retry.max_attempts:
        return task
    topic = f"{task.name}-dead-letter"
    return replace(task, policy=replace(task.policy, dead_letter_topic=topic))


def needs_of(task: Task, settings: Settings) -> TaskNeeds:
    """Return the needs of a task.

    Raises:
        TaskDefinitionError: a subscription cannot have the task's name.
    """
    trigger = task.trigger
    if trigger is None:
        jobs = task.route.partition("/<")[0] if task.serves_jobs else ""
        return TaskNeeds(
            name=task.name,
            path=task.route,
            takes=task.takes,
            summary=task.summary,
            methods=task.methods,
            jobs_path=jobs,
        )
    if not is_topic_name(task.name):
        raise TaskDefinitionError(
            f"The task {task.name!r} can be served, but Pub/Sub can't have a subscription of its "
            f"name: names have {TOPIC_RULES}. Write name=… on the decorator, or rename the "
            "function."
        )
    decided = task.policy.dead_letter_topic or settings.dead_letter_topic
    is_ours = trigger.subscription is None
    retry = task.policy.retry if is_ours else RetryPolicy(max_attempts=None)  # its owner's
    attempts = retry.max_attempts
    return TaskNeeds(
        name=task.name,
        path=task.route,
        takes=task.takes,
        summary=task.summary,
        run_as=task.run_as,
        topic=trigger.topic,
        subscription=trigger.subscription,
        lanes=task.lane_names if task.takes_jobs else (),
        pausable=bool(task.lanes),
        filter=trigger.filter,
        ordered=trigger.ordered,
        wrapped=task.kind is not Kind.RAW,
        ack_deadline_seconds=task.policy.ack_deadline_seconds,
        min_backoff_seconds=retry.min_backoff.total_seconds(),
        max_backoff_seconds=retry.max_backoff.total_seconds(),
        max_attempts=attempts and max(attempts, MIN_ATTEMPTS),
        own_attempts=attempts if (attempts or MIN_ATTEMPTS) < MIN_ATTEMPTS else None,
        dead_letter_topic=(decided or f"{task.name}-dead-letter") if attempts else None,
        decided_dead_letter_topic=decided,
        schedules=tuple(
            ScheduleNeeds(
                expression=schedule.expression,
                time_zone=schedule.time_zone,
                data=base64.b64encode(schedule.data).decode(),
                attributes=dict(schedule.attributes) if task.run_as != "cloud-run-job" else STARTED,
                paused=schedule.paused,
            )
            for schedule in trigger.schedules
        ),
        sample=_sample(task),
        job_rules=tuple(f"{name}=" for name in _JOB_RULES if getattr(task.jobs, name)),
    )


def _sample(task: Task) -> str | None:
    if task.takes_nothing:
        return ""
    kind = task.message_type
    checked = is_json(kind)
    if task.kind is Kind.EVENT_DATA or not (kind is None or checked):
        return None  # only the user's own code knows, and it is not called for a sample
    try:
        text = (accepted_sample(task) if checked else sample_data(task)).decode()
    except (NoSampleError, UnicodeDecodeError):
        return None
    return text if text and text.isprintable() else None


def job_id(needs: TaskNeeds, number: int) -> str:
    """Return the name of a task's schedule: the task's own, and a number from the second on."""
    return needs.name if number == 0 else f"{needs.name}-{number + 1}"


def full_topic(topic: str, project: str) -> str:
    """Return a topic's full name."""
    return topic if TOPIC_PATH.fullmatch(topic) else f"projects/{project}/topics/{topic}"
