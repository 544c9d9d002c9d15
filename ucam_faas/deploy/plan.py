"""The Terraform variables of a collection: from tasks and the layers of configuration to the one
file that `terraform/modules/collection` reads.

Nothing in it is secret: secrets are named, not read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ucam_faas.config import THREADS_FOR_EACH_CPU, Settings
from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.layers import Merged, merge_task
from ucam_faas.deploy.payloads import schemas
from ucam_faas.deploy.problems import check_stage, check_tasks
from ucam_faas.deploy.source import decide_in
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.tasks import registry
from ucam_faas.tasks.needs import TaskPlan, job_id, plan_of
from ucam_faas.tasks.resources import cpu_count, secret_version
from ucam_faas.tasks.task import Task

FILE_NAME = "ucam-faas.auto.tfvars.json"
SERVICE_NAME = re.compile(r"(?!goog)[a-z]([-a-z0-9]{0,47}[a-z0-9])?")
JOB_SECONDS = 3600
"""Of a job without a timeout: it has to have one in the cloud."""

_INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}
_EGRESS = {"private-ranges-only": "PRIVATE_RANGES_ONLY", "all-traffic": "ALL_TRAFFIC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task, what it needs in any cloud, and what the configuration says about it."""

    task: Task
    needs: TaskPlan
    merged: Merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is deployed to a stage."""

    stage: str | None
    tasks: tuple[PlannedTask, ...]
    variables: Mapping[str, Any]

    def text(self) -> str:
        """Return the file: sorted, so that equal plans are equal files."""
        return json.dumps(self.variables, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read(start: Path, *, source: str | None, stage: str | None) -> Plan:
    """Plan the deployment of a source, with the configuration that a directory has.

    Args:
        start: the directory.
        source: of the tasks; None: as FUNCTION_SOURCE or the configuration says.

    Raises:
        UCAMFAASException: something cannot be used.
    """
    config = layers.read(start)
    check_stage(config, stage)
    where = decide_in(config, stage=stage, named=source)
    return make(registry.load(where), config, stage)


def make(tasks: Sequence[Task], config: ConfigFile, stage: str | None) -> Plan:
    """Plan the deployment of tasks to a stage.

    Raises:
        ConfigurationError: the configuration cannot be used, or Google would refuse a name.
        TaskDefinitionError: a task cannot be deployed.
    """
    check_tasks(config, [task.name for task in tasks])
    settings = Settings()  # the machine that plans says nothing about the one that runs
    planned = tuple(
        PlannedTask(
            task=task, needs=plan_of(task, settings), merged=merge_task(config, task, stage)
        )
        for task in sorted(tasks, key=lambda task: task.name)
    )
    _check_names(planned)
    topics = _topics(planned)
    variables: dict[str, Any] = {
        name: planned[0].merged[name] for name in ("project", "region") if planned[0].merged[name]
    }
    variables["labels"] = _common_labels(planned)
    variables["topics"] = topics
    variables["tasks"] = {one.task.name: _task(one, topics) for one in planned}
    return Plan(stage=stage, tasks=planned, variables=variables)


def service_name(task: str) -> str:
    """Return the name that a task's service or job has in Cloud Run.

    >>> service_name("send_Mail_")
    'send-mail'
    """
    return task.lower().replace("_", "-").strip("-")


def _check_names(planned: Sequence[PlannedTask]) -> None:
    found: dict[str, str] = {}
    for one in planned:
        task, name = one.task.name, service_name(one.task.name)
        if not SERVICE_NAME.fullmatch(name):
            raise ConfigurationError(
                f"The task {task!r} cannot have a Cloud Run service of its name: {name!r} is not "
                "1 to 49 of a-z, 0-9 and -, beginning with a letter and not with goog. Rename the "
                "function."
            )
        if name in found:
            raise ConfigurationError(
                f"The tasks {found[name]!r} and {task!r} would both be the Cloud Run service "
                f"{name!r}. Rename one of the functions."
            )
        found[name] = task


def _common_labels(planned: Sequence[PlannedTask]) -> dict[str, str]:
    """Return the labels that all tasks have: they are for what tasks share, too."""
    labels = [one.merged["labels"].items() for one in planned]
    return {name: value for name, value in labels[0] if all((name, value) in one for one in labels)}


def _topics(planned: Sequence[PlannedTask]) -> dict[str, dict[str, Any]]:
    """Return the topics of ours: those that tasks read, and those that they name for dead letters.

    A topic for dead letters that no task reads whole gets a subscription, which keeps them. It is
    encrypted with the key of the tasks that use it.
    """
    pushed = [one.needs for one in planned if one.task.run_as == "service" and one.needs.topic]
    read = {needs.topic for needs in pushed}
    read_whole = {needs.topic for needs in pushed if not needs.filter}
    named = {one.needs.decided_dead_letter_topic for one in planned}
    return {
        topic: {
            "dead_letters": topic in named and topic not in read_whole,
            "kms_key": _key_of(topic, planned),
        }
        for topic in sorted(topic for topic in read | named if topic and "/" not in topic)
    }


def _key_of(topic: str, planned: Sequence[PlannedTask]) -> str | None:
    """Return the key that encrypts a topic: that of any task which uses it and has one."""
    keys: dict[str, str] = {}
    for one in planned:
        key, used = one.merged["kms_key"], [one.needs.decided_dead_letter_topic]
        if one.task.run_as == "service":  # the topic of a job is one of `ucam-faas dev` alone
            used.append(one.needs.topic)
        if key and topic in used:
            keys[key] = one.task.name
    if len(keys) > 1:
        raise ConfigurationError(
            f"The topic {topic!r} is encrypted with one key, and the tasks "
            f"{' and '.join(map(repr, keys.values()))} that use it have a kms_key each. Give them "
            "the same."
        )
    return next(iter(keys), None)


def _task(one: PlannedTask, topics: Mapping[str, Any]) -> dict[str, Any]:
    merged, is_job = one.merged, one.task.run_as == "job"
    return {
        "name": service_name(one.task.name),
        "summary": one.task.summary,
        "function": _function(one),
        "concurrency": {} if is_job else _concurrency(one),
        "triggers": {
            "subscriptions": {} if is_job else _subscriptions(one, topics),
            "cron_schedules": _schedules(one),
        },
        "alerting": {"notification_channels": merged["alert_channels"]}
        if merged["alert_channels"]
        else None,
        "labels": merged["labels"],
        "kms_key": merged["kms_key"],
        "dead_letter_archive": merged["dead_letter_archive"],
        "payload": schemas.schema_of(one.task),
    }


def _function(one: PlannedTask) -> dict[str, Any]:
    merged, vpc = one.merged, one.merged["vpc_access"]
    level = merged["log_level"]
    logged = {} if level == Settings().log_level else {"UCAM_FAAS_LOG_LEVEL": level}
    found = {
        "target": one.task.name,
        "run_as": one.task.run_as,
        "memory": merged["memory"],
        "cpu": f"{float(cpu_count(merged['cpu'])):g}",
        "timeout_seconds": _timeout_seconds(one),
        "environment": logged | merged["environment"],
        "secrets": {
            variable: secret_version(secret, variable)._asdict()
            for variable, secret in merged["secrets"].items()
        },
        "service_account": merged["service_account"],
        "vpc_access": {**vpc, "egress": _EGRESS.get(vpc.get("egress", ""))} if vpc else None,
        "publishes_to": [*merged["publishes_to"], *_own_dead_letters(one)],
        "deletion_protection": merged["deletion_protection"],
    }
    if one.task.run_as == "job":
        attempts = one.task.policy.retry.max_attempts
        assert attempts is not None, "a job has an end"
        return found | {"max_retries": attempts - 1}
    return found | {"ingress": _INGRESS[merged["ingress"]]}


def _own_dead_letters(one: PlannedTask) -> list[str]:
    """Return where the task itself puts dead letters, if its subscription does not."""
    topic = one.needs.decided_dead_letter_topic
    by_subscription = one.task.run_as == "service" and one.needs.max_attempts is not None
    return [] if topic is None or by_subscription else [topic]


def _timeout_seconds(one: PlannedTask) -> int:
    """Return how long Cloud Run waits: as long as the task may take, and Pub/Sub waits for it."""
    if one.task.run_as == "job":
        timeout = one.task.policy.timeout
        return JOB_SECONDS if timeout is None else math.ceil(timeout.total_seconds())
    seconds = math.ceil(one.task.policy.served_timeout_seconds)
    return seconds if one.needs.topic is None else max(seconds, one.needs.ack_deadline_seconds)


def _concurrency(one: PlannedTask) -> dict[str, int]:
    """Return how many requests an instance gets: as many as it can run at a time."""
    cpus = cpu_count(one.merged["cpu"])
    of_threads = THREADS_FOR_EACH_CPU * math.ceil(cpus)
    at_a_time = one.task.policy.concurrency or (
        REQUESTS_OF_AN_INSTANCE if one.task.is_async else of_threads
    )
    return {
        "max_concurrent_functions_per_instance": at_a_time if cpus >= 1 else 1,
        "min_instances": one.merged["min_instances"],
        "max_instances": one.merged["max_instances"],
    }


def _subscriptions(one: PlannedTask, topics: Mapping[str, Any]) -> dict[str, Any]:
    needs = one.needs
    if needs.topic is None:
        return {}
    dead_letter = None
    if needs.max_attempts is not None:
        named = needs.dead_letter_topic
        known = needs.decided_dead_letter_topic or (named if named in topics else None)
        dead_letter = {"max_attempts": needs.max_attempts, "topic": known}
    return {
        needs.name: {
            "topic": needs.topic,
            "filter": needs.filter,
            "ordered": needs.ordered,
            "wrapped": needs.wrapped,
            "path": needs.path,
            "ack_deadline_seconds": needs.ack_deadline_seconds,
            "message_retention_seconds": one.merged["message_retention_seconds"],
            "retry": {
                "min_backoff_seconds": _number(needs.min_backoff_seconds),
                "max_backoff_seconds": _number(needs.max_backoff_seconds),
            },
            "dead_letter": dead_letter,
        }
    }


def _number(seconds: float) -> float:
    """Return a number as people write it: 10, not 10.0."""
    return int(seconds) if seconds == int(seconds) else seconds


def _schedules(one: PlannedTask) -> dict[str, Any]:
    is_job = one.task.run_as == "job"
    return {
        job_id(one.needs, number): {
            "schedule": schedule.expression,
            "time_zone": schedule.time_zone,
            "paused": schedule.paused,
            "data": None if is_job else schedule.data,
            "attributes": {} if is_job else schedule.attributes,
            "topic": None if is_job else one.needs.topic,
        }
        for number, schedule in enumerate(one.needs.schedules)
    }
