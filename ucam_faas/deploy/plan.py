"""From tasks and the layers of configuration to a plan: see `terraform_variables` for its data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ucam_faas import project
from ucam_faas.config import THREADS_FOR_EACH_CPU, Settings
from ucam_faas.deploy import jobs, layers, telemetry
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.layers import Merged, merge_task
from ucam_faas.deploy.problems import check_stage, check_tasks
from ucam_faas.deploy.source import decide_in
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask, naming_of
from ucam_faas.deploy.topics import TopicUser, plan_topics
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.tasks import payload_schemas, registry
from ucam_faas.tasks.cloud_names import check_distinct
from ucam_faas.tasks.needs import TaskNeeds, needs_of
from ucam_faas.tasks.policies import MAX_CONCURRENCY
from ucam_faas.tasks.resources import cpu_count
from ucam_faas.tasks.subscriptions import subscriptions_of
from ucam_faas.tasks.task import Task

FILE_NAME = "ucam-faas.auto.tfvars.json"
SERVICE_NAME = re.compile(r"(?!goog)[a-z]([-a-z0-9]{0,47}[a-z0-9])?")
THREADS = "THREADS"
JOB_SECONDS = 3600
"""The timeout of a Cloud Run job without one: it has to have one in the cloud."""


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
    return make(registry.load(where), config, stage, app=app_of(start))


def app_of(start: Path) -> str | None:
    """Return the name of a directory's application, that of its project; None: it has none.

    Raises:
        ConfigurationError: the project's file can't be used.
    """
    return project.read(start.resolve()).get("name")


def make(
    tasks: Sequence[Task], config: ConfigFile, stage: str | None, *, app: str | None = None
) -> Plan:
    """Plan the deployment of tasks to a stage.

    Args:
        app: the name of the application whose jobs they run; None: it has none.

    Raises:
        ConfigurationError: the configuration cannot be used, or Google would refuse a name.
        TaskDefinitionError: a task cannot be deployed.
    """
    check_tasks(config, [task.name for task in tasks])
    settings = Settings()  # those of the machine that plans are not those of the deployment
    parts = [
        (task, needs_of(task, settings), merge_task(config, task, stage))
        for task in sorted(tasks, key=lambda task: task.name)
    ]
    inboxes = jobs.inboxes(parts)
    parts += jobs.sweep_for(config, parts, stage, app)
    for_all = parts[0][2]
    naming = naming_of(for_all)
    _check_names([task.name for task, _, _ in parts], naming.prefix)
    check_distinct(needs for _, needs, _ in parts)
    folder = config.path.parent if config.path else Path()
    return Plan(
        stage=stage,
        project=for_all["project"],
        region=for_all["region"],
        labels=_common_labels([merged for _, _, merged in parts]),
        topics=plan_topics(
            [
                TopicUser.of(
                    task.name,
                    naming.needs(needs),
                    merged,
                    [naming.topic(topic) for topic in jobs.topics_of(needs, merged, inboxes)],
                    folder,
                )
                for task, needs, merged in parts
            ]
        ),
        tasks=tuple(
            _planned(task, naming.needs(needs), merged, app, inboxes, folder)
            for task, needs, merged in parts
        ),
    )


def service_name(task: str) -> str:
    """Return the name that a task's service, Cloud Run job or worker pool has, but for a prefix.

    >>> service_name("send_Mail_")
    'send-mail'
    """
    return task.lower().replace("_", "-").strip("-")


def _check_names(tasks: Iterable[str], prefix: str) -> None:
    taken: dict[str, str] = {}
    fix = "Write name=… on the decorator, or rename the function."
    if prefix:
        fix = f"{fix[:-1]}; or shorten the name_prefix {prefix!r}."
    for task in tasks:
        name = prefix + service_name(task)
        if not SERVICE_NAME.fullmatch(name):
            raise ConfigurationError(
                f"The task {task!r} cannot have a Cloud Run service of its name: {name!r} is not "
                f"1 to 49 of a-z, 0-9 and -, beginning with a letter and not with goog. {fix}"
            )
        if name in taken:
            raise ConfigurationError(
                f"The tasks {taken[name]!r} and {task!r} would both be the Cloud Run service "
                f"{name!r}. Give one another name=…."
            )
        taken[name] = task


def _common_labels(merged: Sequence[Merged]) -> dict[str, str]:
    labels = [options["labels"].items() for options in merged]
    return {name: value for name, value in labels[0] if all((name, value) in own for own in labels)}


def _planned(
    task: Task,
    needs: TaskNeeds,
    merged: Merged,
    app: str | None,
    inboxes: Mapping[str, Sequence[str]],
    folder: Path,
) -> PlannedTask:
    is_cloud_run_job, attempts = task.run_as == "cloud-run-job", task.policy.retry.max_attempts
    environment = _environment(task, merged, app)
    lanes = needs.lanes if task.name in inboxes else ()
    naming = naming_of(merged)
    for_jobs = [*jobs.inboxes_for(task, merged, inboxes), *jobs.events_topic(needs, merged)]
    places = jobs.places_for(task, merged, inboxes)
    return PlannedTask(
        task=task,
        needs=needs,
        merged=merged,
        service=naming.name(service_name(task.name)),
        timeout_seconds=_timeout_seconds(task, needs),
        environment=environment,
        publishes_to=[
            *map(naming.topic, merged["publishes_to"]),
            *_own_dead_letters(needs),
            *map(naming.topic, for_jobs),
        ],
        at_a_time=None if is_cloud_run_job else _at_a_time(task, merged, environment),
        max_retries=attempts - 1 if is_cloud_run_job and attempts else None,
        subscriptions=subscriptions_of(needs, lanes) if needs.gets_messages else {},
        payload=payload_schemas.schema_of(task),
        jobs=replace(places, inboxes=[naming.topic(inbox) for inbox in places.inboxes]),
        telemetry=telemetry.in_terraform(task.name, merged["telemetry"], folder),
    )


def _timeout_seconds(task: Task, needs: TaskNeeds) -> int:
    """Return how long the task may take, or Pub/Sub waits for a push, if that is longer."""
    if task.run_as == "cloud-run-job":
        timeout = task.policy.timeout
        return JOB_SECONDS if timeout is None else math.ceil(timeout.total_seconds())
    seconds = math.ceil(task.policy.served_timeout_seconds)
    waited_for = task.run_as == "service" and needs.topic is not None
    return max(seconds, needs.ack_deadline_seconds) if waited_for else seconds


def _environment(task: Task, merged: Merged, app: str | None) -> dict[str, str]:
    level = merged["log_level"]
    logged = {} if level == Settings().log_level else {"UCAM_FAAS_LOG_LEVEL": level}
    named = {} if app is None else {"UCAM_FAAS_APP": app}
    naming = naming_of(merged)
    prefixed = {"UCAM_FAAS_NAME_PREFIX": naming.prefix} if naming.prefix else {}
    if prefixed and naming.existing:
        prefixed["UCAM_FAAS_EXISTING_TOPICS"] = ",".join(naming.existing)
    return {**named, **prefixed, **logged, **_more_threads(task, merged), **merged["environment"]}


def _more_threads(task: Task, merged: Merged) -> dict[str, str]:
    """Return the variable for a sync task that wants more threads than a process has."""
    limit = task.policy.concurrency or 0
    return {} if task.is_async or limit <= _usual_threads(merged) else {THREADS: str(limit)}


def _usual_threads(merged: Merged) -> int:
    return THREADS_FOR_EACH_CPU * math.ceil(cpu_count(merged["cpu"]))


def _own_dead_letters(needs: TaskNeeds) -> list[str]:
    """Return the topic to which the task itself publishes dead letters, if Pub/Sub does not."""
    topic = needs.decided_dead_letter_topic
    by_subscription = needs.gets_messages and needs.max_attempts is not None
    return [] if topic is None or by_subscription else [topic]


def _at_a_time(task: Task, merged: Merged, environment: Mapping[str, str]) -> int:
    """Return how many requests an instance gets: as many as it can run at a time.

    More would wait in the process, or be answered 429 and delivered again after a backoff. Those
    that wait for the limit of their lane keep no place from the other lanes.
    """
    if cpu_count(merged["cpu"]) < 1:
        return 1
    limit = task.policy.concurrency or (1 if task.batch is not None else None)
    if task.is_async:
        runs = limit or REQUESTS_OF_AN_INSTANCE
    else:
        own = environment.get(THREADS, "")
        threads = int(own) if own.isdecimal() and int(own) else _usual_threads(merged)
        usual = math.ceil(cpu_count(merged["cpu"])) if task.run_in_process else threads
        runs = min(limit or usual, threads)
    waiting = sum(lane.max_concurrency or 0 for lane in task.lanes)
    return min(runs + waiting, MAX_CONCURRENCY)
