"""Triggers of tasks: a topic, and schedules that publish to it.

Sources of the limits: Google's pages "Filter messages from a subscription", "PubsubMessage", and
Cloud Scheduler's "Quotas and limits".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from ucam_faas.events.tracing import TRACE_ATTRIBUTES
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES
from ucam_faas.tasks.option import check_flag
from ucam_faas.tasks.policies import TOPIC_RULES, check_topic, is_topic_name

MAX_SCHEDULE_BYTES = 999_000
"""Of data and attributes: a Cloud Scheduler job has 1 MB, about 1 KB of it for the request."""

SCHEDULED = {"ucam_faas_trigger": "schedule"}
"""The attributes of a schedule's message that has nothing else: Pub/Sub takes no empty message."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When Cloud Scheduler publishes a message to a task's topic, and which.

    Args:
        expression: five cron fields: minute, hour, day of month, month, day of week; or an
            interval, "every 15 minutes" or "rate(15 minutes)", which is kept as cron fields.
        time_zone: name in the time zone database; the expression is wall-clock time there.
        data: the message's data. A Cloud Run job is started without a message, and takes
            neither data nor attributes.
        attributes: the message's attributes; default, if there are no data either:
            `ucam_faas_trigger` is `schedule`, because Pub/Sub takes no empty message.
        paused: it is made, and does not run until it is resumed.

    Raises:
        TaskDefinitionError: a value is outside Google's limits.

    >>> Schedule("0 3 * * MON-FRI", time_zone="Europe/London", data=b"{}").paused
    False
    """

    expression: str
    _: KW_ONLY
    time_zone: str = "Etc/UTC"
    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    paused: bool = False

    def __post_init__(self) -> None:
        self._check_expression()
        _check_time_zone(self.time_zone)
        if not isinstance(self.data, bytes):
            raise TaskDefinitionError(
                f"data={self.data!r}: expected bytes, such as data=b'{{\"number\": 1}}'."
            )
        check_attributes(self.attributes)
        object.__setattr__(self, "attributes", dict(self.attributes))
        texts = [text for pair in self.attributes.items() for text in pair]
        size = len(self.data) + sum(map(_size, texts))
        if size > MAX_SCHEDULE_BYTES:
            raise TaskDefinitionError(
                f"Schedule({self.expression!r}) has {size} bytes of data and attributes: expected "
                f"at most {MAX_SCHEDULE_BYTES} (Cloud Scheduler's 1 MB for a job, less 1 KB)."
            )
        check_flag("paused", self.paused)

    def _check_expression(self) -> None:
        if not isinstance(self.expression, str):
            raise TaskDefinitionError(
                f"Schedule({self.expression!r}): expected a cron expression, such as "
                'Schedule("0 3 * * *").'
            )
        from ucam_faas.gcp import cron

        try:
            object.__setattr__(self, "expression", cron.expand(self.expression))
            cron.check(self.expression)
        except cron.ScheduleError as error:
            raise TaskDefinitionError(f"Schedule({self.expression!r}): {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A topic and schedules that make a task run.

    Args:
        topic: a short name, of a topic that the deployment makes, or `projects/P/topics/T`.
        filter: which messages, in Pub/Sub's filter language; None: all.
        schedules: publish to the topic at set times.
        ordered: messages with one ordering key are delivered one after the other.
        subscription: that delivers, if another owner has made it; None: the deployment makes it.

    Raises:
        TaskDefinitionError: a value is outside Google's limits, or a schedule's messages never
            reach the task because of the filter.
    """

    topic: str
    filter: str | None = None
    schedules: tuple[Schedule, ...] = ()
    ordered: bool = False
    subscription: str | None = None

    def __post_init__(self) -> None:
        check_flag("ordered", self.ordered)
        if self.filter is not None:
            self._check_filter(self.filter)

    def _check_filter(self, text: str) -> None:
        from ucam_faas.gcp import filters

        if not isinstance(text, str) or not text.strip():
            raise TaskDefinitionError(
                f"filter={text!r}: expected a filter of at most {filters.MAX_FILTER_BYTES} bytes, "
                "such as filter='attributes.kind = \"order\"', or None for every message."
            )
        try:
            matches = filters.parse(text)
        except filters.FilterError as error:
            raise TaskDefinitionError(f"filter={text!r}: {error}.") from error
        for schedule in self.schedules:
            if not matches(schedule.attributes):
                raise TaskDefinitionError(
                    f"Schedule({schedule.expression!r}) never reaches the task: filter={text!r} "
                    f"does not let attributes={schedule.attributes!r} through."
                )


def trigger_maker(
    *, run_as: str = "service", topic: str | None = None, schedule: Any = None, **options: Any
) -> Callable[[str], Trigger]:
    """Return the function from a task's name to its trigger; options are checked now.

    Args:
        run_as: "service", to which messages are pushed; "worker", which pulls them; or
            "cloud-run-job", which schedules start.
        topic: None: named after the task.
        schedule: none, one, or several.
        options: other fields of the trigger.

    Raises:
        TaskDefinitionError: a value is outside Google's limits.
    """
    schedules = _schedules_of(schedule)
    options["schedules"] = (
        schedules if run_as == "cloud-run-job" else tuple(map(_with_message, schedules))
    )
    _check_delivery(run_as, topic, options)
    if topic is not None:
        check_topic(topic)
    # A name that Pub/Sub refuses, such as `go`, can still be served: the plan refuses it.
    trigger = Trigger(topic="named-after-the-task" if topic is None else topic, **options)
    return lambda name: trigger if topic is not None else replace(trigger, topic=name)


def _check_delivery(run_as: str, topic: str | None, options: Mapping[str, Any]) -> None:
    """Refuse messages to a Cloud Run job, which gets none."""
    if run_as != "cloud-run-job":
        return
    for name, value in (("topic", topic), *options.items()):
        if name != "schedules" and value:
            raise TaskDefinitionError(
                f'{name}={value!r} with run_as="cloud-run-job": no message is delivered to a '
                "Cloud Run job; a schedule or a person starts it. Leave it out."
            )
    for schedule in options["schedules"]:
        if schedule.data or schedule.attributes:
            raise TaskDefinitionError(
                f"Schedule({schedule.expression!r}) has data or attributes, and a Cloud Run job is "
                "started without a message: leave them out, and give the job its input with "
                "environment= or --input-file."
            )


def _with_message(schedule: Schedule) -> Schedule:
    """Return a schedule whose message Pub/Sub takes."""
    is_empty = not (schedule.data or schedule.attributes)
    return replace(schedule, attributes=SCHEDULED) if is_empty else schedule


def _schedules_of(option: Any) -> tuple[Schedule, ...]:
    if option is None:
        return ()
    items = [option] if isinstance(option, Schedule | str) else option
    if isinstance(items, Sequence) and all(isinstance(item, Schedule | str) for item in items):
        return tuple(Schedule(item) if isinstance(item, str) else item for item in items)
    raise TaskDefinitionError(
        f'schedule={option!r}: expected a cron expression such as schedule="0 3 * * *", '
        "Schedule(…), or a list of them."
    )


def check_subscription(name: Any) -> None:
    """Refuse a name of a subscription that Pub/Sub can't have, or that is in another project.

    Raises:
        TaskDefinitionError: with the rules of such names.

    >>> check_subscription("orders-for-us")
    """
    if isinstance(name, str) and is_topic_name(name):  # the same rules
        return
    text = f"subscription={name!r}: expected a short name of {TOPIC_RULES}."
    if isinstance(name, str) and "/" in name:
        text = (
            f"subscription={name!r}: expected a short name, such as {name.rpartition('/')[2]!r}. A "
            "subscription in another project isn't supported yet: the deployment makes its grants, "
            "and a worker pulls, in its own project."
        )
    raise TaskDefinitionError(text)


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that Pub/Sub does not take.

    Raises:
        TaskDefinitionError: with the limit.
    """
    if not isinstance(attributes, Mapping) or not all(
        isinstance(text, str) for pair in attributes.items() for text in pair
    ):
        raise TaskDefinitionError(f"attributes={attributes!r}: expected a dict from str to str.")
    if len(attributes) > MAX_ATTRIBUTES:
        raise TaskDefinitionError(
            f"There are {len(attributes)} attributes: expected at most {MAX_ATTRIBUTES}."
        )
    for key, value in attributes.items():
        if not 1 <= _size(key) <= MAX_ATTRIBUTE_KEY_BYTES or is_googles(key):
            raise TaskDefinitionError(
                f"The attribute {key!r}: expected a key of 1 to {MAX_ATTRIBUTE_KEY_BYTES} bytes "
                "that does not begin with goog."
            )
        if _size(value) > MAX_ATTRIBUTE_VALUE_BYTES:
            raise TaskDefinitionError(
                f"The attribute {key!r} has a value of {_size(value)} bytes: expected at most "
                f"{MAX_ATTRIBUTE_VALUE_BYTES}."
            )


def is_googles(key: str) -> bool:
    """Return True for an attribute that only Pub/Sub adds, such as the name of a schema.

    Google's clients publish traces, and a task may pass a message's attributes on.
    """
    return key.startswith("goog") and key not in TRACE_ATTRIBUTES


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise TaskDefinitionError(f"{text!r} cannot be written in UTF-8.") from error


def _check_time_zone(name: str) -> None:
    if not isinstance(name, str):
        raise TaskDefinitionError(
            f"time_zone={name!r}: expected a name in the time zone database, such as "
            "'Europe/London' or 'Etc/UTC'."
        )
    from ucam_faas.gcp import cron

    try:
        cron.read_zone(name)
    except cron.ScheduleError as error:
        raise TaskDefinitionError(f"time_zone={name!r}: {error}.") from error
