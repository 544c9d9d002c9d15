"""A plan's data: tasks, topics, and their form as Terraform variables.

Nothing in it is secret: secrets are named, not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ucam_faas.deploy.job_places import JobPlaces
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.layers import Merged
from ucam_faas.deploy.topics import PlannedTopic
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.needs import ScheduleNeeds, TaskNeeds, job_id
from ucam_faas.tasks.subscriptions import DeadLetters, TaskSubscription
from ucam_faas.tasks.task import Task

FORMAT = 2
"""The version of a task's variables, which `terraform/modules/collection` compares with its own.

Format 1, of before, doesn't state its version.
"""
_WITHOUT_EFFECT = {
    "service": ("starts",),
    "cloud-run-job": ("services", "requests"),
    "worker": ("calls", "requests", "starts"),
}
"""The `concerns` of the options that have no argument, by `run_as`."""


def naming_of(merged: Merged) -> Naming:
    """Return the prefix of all names, from any task's options."""
    return Naming(merged["name_prefix"] or "", merged["existing_topics"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task, its needs in any cloud, its options, and the values that are computed from them.

    Args:
        needs: with the names that its topics and its subscription have in the cloud.
        merged: the options in force.
        service: the name of its service, Cloud Run job or worker pool.
        timeout_seconds: of an execution.
        environment: all environment variables that are not secrets.
        publishes_to: topics; also that of dead letters, if the task itself publishes them, and
            inboxes.
        at_a_time: the requests or messages that an instance handles at a time; None: it is a Cloud
            Run job.
        max_retries: of a Cloud Run job; None: it isn't one.
        subscriptions: those that push to it, or that it pulls, by name.
        payload: the schema of its payload, if it has one.
        jobs: the database, the queue and the bucket of its jobs.
        telemetry: the collector beside it, as Terraform has it; None: there is none.
    """

    task: Task
    needs: TaskNeeds
    merged: Merged
    service: str
    timeout_seconds: int
    environment: Mapping[str, str]
    publishes_to: Sequence[str]
    at_a_time: int | None
    max_retries: int | None
    subscriptions: Mapping[str, TaskSubscription]
    payload: dict[str, Any] | None
    jobs: JobPlaces
    telemetry: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The task's name in the code."""
        return self.task.name

    @property
    def naming(self) -> Naming:
        """The prefix of its names in the cloud."""
        return naming_of(self.merged)

    @property
    def is_cloud_run_job(self) -> bool:
        """It is a Cloud Run job."""
        return self.task.run_as == "cloud-run-job"

    @property
    def is_worker(self) -> bool:
        """It is a worker pool."""
        return self.task.run_as == "worker"

    @property
    def gets_messages(self) -> bool:
        """It has a subscription."""
        return bool(self.subscriptions)

    @property
    def made_subscriptions(self) -> Mapping[str, TaskSubscription]:
        """Those that the deployment makes."""
        return {name: own for name, own in self.subscriptions.items() if not own.existing}

    @property
    def dead_letters(self) -> DeadLetters | None:
        """Where its messages end; None: it gets none, or they are delivered until they expire."""
        own = self.subscriptions.get(self.needs.name)
        return None if own is None else own.dead_letters

    @property
    def schedules(self) -> Mapping[str, ScheduleNeeds]:
        """Its schedules, by their names in Cloud Scheduler."""
        return {
            job_id(self.needs, number): schedule
            for number, schedule in enumerate(self.needs.schedules)
        }

    def argument(self, option: str) -> Any:
        """Return the value of an option as Terraform has it."""
        value, express = self.merged[option], keys()[option].express
        return value if express is None else express(value)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments of the Terraform module for one task."""
        channels = self.merged["alert_channels"]
        alerting = {"notification_channels": channels} if channels else {}
        variables: dict[str, Any] = {
            "format": FORMAT,
            "name": self.service,
            "summary": self.task.summary,
            "function": self._function(),
            "concurrency": self._concurrency(),
            "triggers": {
                "subscriptions": {
                    name: _subscription(own) for name, own in self.subscriptions.items()
                },
                "cron_schedules": self._schedules(),
            },
            "alerting": alerting | self.merged["alerting"] or None,
            "payload": self.payload,
        }
        if prefix := self.naming.prefix:
            variables["name_prefix"] = prefix
        if jobs := self.jobs.to_json():
            variables["jobs"] = jobs
        for name, option in keys().items():
            concerned = option.concerns not in _WITHOUT_EFFECT[self.task.run_as]
            if option.terraform and concerned and not option.computed:
                _put(variables, option.terraform.split("."), self.argument(name))
        for name, own in self.subscriptions.items():
            if own.existing:  # the module refuses its owner's settings
                place = {"existing": True, "path": own.path}
                variables["triggers"]["subscriptions"][name] = place
        return variables

    def _function(self) -> dict[str, Any]:
        function: dict[str, Any] = {
            "target": self.name,
            "timeout_seconds": self.timeout_seconds,
            "environment": dict(self.environment),
            "publishes_to": list(self.publishes_to),
        }
        if self.telemetry is not None:
            function["telemetry"] = dict(self.telemetry)
        return function | ({"max_retries": self.max_retries} if self.is_cloud_run_job else {})

    def _concurrency(self) -> dict[str, Any]:
        return (
            {}
            if self.is_cloud_run_job or self.is_worker
            else {"max_concurrent_functions_per_instance": self.at_a_time}
        )

    def _schedules(self) -> dict[str, Any]:
        return {
            name: {
                "schedule": schedule.expression,
                "time_zone": schedule.time_zone,
                "paused": schedule.paused,
                "data": None if self.is_cloud_run_job else schedule.data,
                "attributes": {} if self.is_cloud_run_job else schedule.attributes,
                "topic": None if self.is_cloud_run_job else self.needs.topic,
            }
            for name, schedule in self.schedules.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The deployment of a stage.

    Args:
        labels: those of all tasks, for the things that they share.
        topics: those that the deployment makes, by their short names.
    """

    stage: str | None
    project: str | None
    region: str | None
    labels: Mapping[str, str]
    topics: Mapping[str, PlannedTopic]
    tasks: Sequence[PlannedTask]

    def to_json(self) -> dict[str, Any]:
        """Return the Terraform variables of `terraform/modules/collection`."""
        places = {"project": self.project, "region": self.region}
        return {
            **{name: place for name, place in places.items() if place},
            "labels": dict(self.labels),
            "topics": {name: asdict(topic) for name, topic in self.topics.items()},
            "tasks": {planned.name: planned.to_json() for planned in self.tasks},
        }

    def text(self) -> str:
        """Return the file: sorted, so that equal plans are equal files."""
        return json.dumps(self.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _subscription(own: TaskSubscription) -> dict[str, Any]:
    return {
        "topic": own.topic,
        "filter": own.filter,
        "ordered": own.ordered,
        "wrapped": own.wrapped,
        "path": own.path,
        "ack_deadline_seconds": own.ack_deadline_seconds,
        "retry": {
            "min_backoff_seconds": _number(own.min_backoff_seconds),
            "max_backoff_seconds": _number(own.max_backoff_seconds),
        },
        "dead_letter": own.dead_letters and asdict(own.dead_letters),
    }


def _number(seconds: float) -> float:
    """Return a whole number without a fraction: 10, not 10.0."""
    return int(seconds) if seconds == int(seconds) else seconds


def _put(table: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value at a path; `*` is every name that is there."""
    name, *rest = path
    if name == "*":
        for inner in table.values():
            _put(inner, rest, value)
    elif rest:
        _put(table[name], rest, value)
    else:
        table[name] = value
