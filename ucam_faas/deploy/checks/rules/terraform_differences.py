"""Rules of differences between Terraform's plan and the code: tasks, sizes, deadlines, triggers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import (
    FROM_ANYWHERE,
    JOB,
    POOL,
    RUNS,
    SCHEDULE,
    TOPIC,
    Deployment,
    deployments,
    full_name,
    seconds,
    targets,
)
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.instances import usual_max_instances
from ucam_faas.deploy.telemetry import ENDPOINT
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.mounts import SOCKETS, is_file
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.resources import (
    cpu_count,
    memory_bytes,
    secret_version,
)
from ucam_faas.tasks.subscriptions import TaskSubscription
from ucam_faas.tasks.task import RESOURCES

SERVICE_TIMEOUT, JOB_TIMEOUT, ACK_DEADLINE_SECONDS = "300s", "600s", 10
"""Google's, where Terraform says nothing. Pages "Set request timeout", "Set task timeout" and
"Subscription properties"."""


@rule("terraform-task-missing", why="The task is not deployed; its messages are not handled.")
def task_missing(inputs: Inputs) -> Iterator[Finding]:
    """A task, or its subscription or schedule, that Terraform does not make."""
    if inputs.terraform is None:
        return
    there = {deployment.planned.task.name: deployment for deployment in deployments(inputs)}
    serves_all = any(not targets(run) for run in inputs.terraform.of(*RUNS.values()))
    schedules = {schedule.get("name") for schedule in inputs.terraform.of(SCHEDULE)}
    for planned in inputs.planned:
        task, deployment, lacks = planned.task, there.get(planned.task.name), []
        if deployment is None:
            lacks += [] if serves_all else [f"no {task.resource}"]
        elif planned.made_subscriptions:
            lacks += _lacking_subscriptions(deployment)
        wanted = planned.schedules
        if deployment and UNKNOWN not in schedules:
            lacks += [f"no schedule {name!r}" for name in wanted if name not in schedules]
        for lack in lacks:
            text = f"Terraform's plan in {inputs.terraform.name} has {lack} for {task.name!r}."
            yield Finding(decorated(task), text, _plan_again(inputs), task.name)


def _lacking_subscriptions(deployment: Deployment) -> Iterator[str]:
    if deployment.planned.is_worker:
        there = {subscription.get("name") for subscription in deployment.subscriptions}
        for name in deployment.planned.made_subscriptions:
            if not there & {name, UNKNOWN}:
                yield f"no subscription {name!r} to pull"
        return
    if not deployment.subscriptions:
        yield "no subscription that pushes to it"
        return
    pushes = list(deployment.pushes)
    paths = {planned.path for _, planned in pushes}
    if len(pushes) < len(deployment.subscriptions):
        return  # one of them pushes to a path that isn't known yet
    for planned in deployment.planned.made_subscriptions.values():
        if planned.path not in paths:
            yield f"no subscription that pushes to {planned.path}"


@rule(
    "terraform-task-unknown",
    why="The container ends when it starts: the code lacks that task.",
)
def task_unknown(inputs: Inputs) -> Iterator[Finding]:
    """A task in Terraform that the code lacks, or runs as another kind of resource."""
    names = {planned.task.name: planned.task.resource for planned in inputs.planned}
    kinds = {RUNS[run_as]: resource for run_as, resource in RESOURCES.items()}
    if inputs.terraform is None or inputs.plan is None:
        return
    for run in inputs.terraform.of(*RUNS.values()):
        kind = kinds[run.type]
        for name in targets(run):
            if names.get(name) != kind:
                is_what = f"is a {names[name]}" if name in names else "does not exist"
                what = f"{run.address} runs {name!r} as a {kind}; that task {is_what} in the code."
                yield Finding(run.place, what, _plan_again(inputs), name if name in names else None)


@rule(
    "deadline-ladder",
    why="Cloud Run ends the request while the task is running, or Pub/Sub delivers the message "
    "again meanwhile.",
)
def deadline_ladder(inputs: Inputs) -> Iterator[Finding]:
    """Not: task's timeout ≤ ack deadline ≤ Cloud Run's timeout."""
    for deployment in deployments(inputs):
        planned, run = deployment.planned, deployment.run
        if run.type == POOL:
            continue  # a worker extends its leases
        own = planned.timeout_seconds
        default = JOB_TIMEOUT if run.type == JOB else SERVICE_TIMEOUT
        waits = seconds(run.given(*deployment.template, "timeout", default=default))
        if waits is not None and waits < own:
            what = f"{run.address} has a timeout of {waits:g} s"
            yield _ladder(deployment, run, what, f"at least {own} s, as long as the task may take")
        for subscription in deployment.subscriptions:
            deadline = subscription.given("ack_deadline_seconds", default=ACK_DEADLINE_SECONDS)
            if not isinstance(deadline, int):
                continue
            what = f"{subscription.address} has an ack deadline of {deadline} s"
            least = planned.needs.ack_deadline_seconds
            if deadline < least:
                yield _ladder(deployment, subscription, what, f"at least the task's {least} s")
            if waits is not None and own <= waits < deadline:
                yield _ladder(deployment, subscription, what, f"at most Cloud Run's {waits:g} s")


def _ladder(deployment: Deployment, resource: Resource, what: str, expected: str) -> Finding:
    return Finding(
        resource.place,
        f"{what}; expected {expected}.",
        "Remove the value that was written by hand: the plan has the right one.",
        deployment.planned.task.name,
    )


@rule("terraform-differs", why="The deployed version differs from the tested one.")
def differs(inputs: Inputs) -> Iterator[Finding]:
    """A place, size, trigger, topic, retry policy, variable or schedule, not the plan's."""
    for deployment in deployments(inputs):
        planned = deployment.planned
        project = str(deployment.run.get("project"))
        pairs = [(deployment.run, *pair) for pair in _of_place(deployment.run, inputs)]
        pairs += [(deployment.run, *pair) for pair in _of_run(deployment)]
        kept = planned.merged["message_retention_seconds"]
        for subscription, own in deployment.pushes:
            expected = _of_push(subscription, own, kept, project)
            pairs += [(subscription, *pair) for pair in expected]
            pairs += [(subscription, *pair) for pair in _of_project(subscription, inputs)]
        for name in planned.schedules:
            assert inputs.terraform is not None
            for schedule in inputs.terraform.of(SCHEDULE):
                if schedule.get("name") == name:
                    expected = _of_schedule(schedule, planned, name, project)
                    pairs += [(schedule, *pair) for pair in expected]
                    pairs += [(schedule, *pair) for pair in _of_place(schedule, inputs)]
        for resource, what, is_there, expected in pairs:
            if is_there is not UNKNOWN and is_there != expected:
                yield Finding(
                    resource.place,
                    f"{resource.address}: {what} is {_shown(is_there)}; the code and the "
                    f"configuration say {_shown(expected)}.",
                    _plan_again(inputs),
                    planned.name,
                )
    for topic, what, is_there, expected in _of_topics(inputs):
        if is_there is not UNKNOWN and is_there != expected:
            yield Finding(
                topic.place,
                f"{topic.address}: {what} is {_shown(is_there)}; the code and the "
                f"configuration say {_shown(expected)}.",
                _plan_again(inputs),
            )


def _of_topics(inputs: Inputs) -> Iterator[tuple[Resource, str, Any, Any]]:
    topics = inputs.terraform.of(TOPIC) if inputs.terraform and inputs.plan else ()
    for topic in topics:
        planned = inputs.plan.topics.get(str(topic.get("name"))) if inputs.plan else None
        if planned is not None:
            kept = seconds(topic.get("message_retention_duration"))
            yield topic, "retention", kept, planned.retention_seconds
            regions = topic.get("message_storage_policy", "allowed_persistence_regions") or []
            is_there = regions if regions is UNKNOWN else sorted(regions)
            yield topic, "the list of regions", is_there, list(planned.allowed_persistence_regions)
            encoding = planned.schema.encoding if planned.schema else None
            is_there = topic.get("schema_settings", "encoding")
            yield topic, "the encoding by its schema", is_there, encoding


def _plan_again(inputs: Inputs) -> str:
    return f"{inputs.plan_again} Then plan with Terraform again."


def _shown(value: Any) -> str:
    return "absent" if value is None else repr(value)


_Pair = tuple[str, Any, Any]
"""A description, Terraform's value, and the expected value."""


def _of_project(resource: Resource, inputs: Inputs) -> Iterator[_Pair]:
    if inputs.plan and inputs.plan.project:
        yield "the project", resource.get("project"), inputs.plan.project


def _of_place(resource: Resource, inputs: Inputs) -> Iterator[_Pair]:
    yield from _of_project(resource, inputs)
    if inputs.plan and inputs.plan.region:
        key = "region" if resource.type == SCHEDULE else "location"
        yield "the region", resource.get(key), inputs.plan.region


def _of_run(deployment: Deployment) -> Iterator[_Pair]:
    run, planned = deployment.run, deployment.planned
    limits = run.get(*deployment.template, "containers", "resources", "limits") or {}
    for name, number in (("memory", memory_bytes), ("cpu", cpu_count)):
        is_there, expected = limits.get(name), planned.argument(name)
        same = is_there is None or _same(number, is_there, expected)
        yield name, expected if same else is_there, expected
    for variable, value in planned.environment.items():
        yield f"the variable {variable}", deployment.environ.get(variable), value
    for name, secret in planned.merged["secrets"].items():
        there = deployment.mounts if is_file(name) else deployment.environ
        yield f"the secret in {name}", there.get(name), tuple(secret_version(secret, name))
    yield from _of_access(deployment)
    if planned.merged["service_account"]:
        account = run.get(*deployment.template, "service_account")
        yield "the service account", account, planned.merged["service_account"]
    if run.type == JOB:
        yield "max_retries", run.get(*deployment.template, "max_retries"), planned.max_retries
        count, at_a_time = (planned.merged[key] for key in ("task_count", "parallelism"))
        yield "task_count", run.get("template", "task_count") or 1, count or 1
        if at_a_time is not None:
            yield "parallelism", run.get("template", "parallelism"), at_a_time
        return
    if run.type == POOL:
        least, most = (planned.merged[f"{name}_instances"] for name in ("min", "max"))
        if most is None or most == least:
            is_there = run.get("scaling", "manual_instance_count") or 0
            yield "the number of instances", is_there, least
        return
    yield "ingress", run.given("ingress", default=FROM_ANYWHERE), planned.argument("ingress")
    for_requests = run.get("template", "containers", "resources", "cpu_idle")
    yield "cpu_idle", for_requests in (None, True), planned.merged["cpu_idle"]
    audiences = run.get("custom_audiences") or []
    yield "custom_audiences", audiences, planned.merged["custom_audiences"]
    at_a_time = run.get("template", "max_instance_request_concurrency")
    yield "concurrency", at_a_time, planned.at_a_time
    for name, default in (("min", 0), ("max", usual_max_instances(planned.merged.values))):
        is_there = run.get("template", "scaling", f"{name}_instance_count") or default
        yield f"{name}_instances", is_there, planned.merged[f"{name}_instances"]


def _of_access(deployment: Deployment) -> Iterator[_Pair]:
    """Yield the things beside a task: databases, volumes, key and connector, and its protection."""
    run, planned = deployment.run, deployment.planned
    instances = deployment.mounts.get(SOCKETS, [])
    yield "cloud_sql", instances, sorted(planned.merged["cloud_sql"])
    for path, volume in planned.merged["volumes"].items():
        yield f"the volume {path}", deployment.mounts.get(path), volume
    _, *beside = run.get(*deployment.template, "containers") or [None]
    images = {container.get("name"): container.get("image") for container in beside}
    for name, sidecar in planned.merged["sidecars"].items():
        yield f"the image of the sidecar {name}", images.get(name), sidecar["image"]
    if planned.telemetry:
        yield "telemetry", ENDPOINT in deployment.environ, True
    protected = run.given("deletion_protection", default=True)
    yield "deletion_protection", protected, planned.merged["deletion_protection"]
    if planned.merged["kms_key"]:
        yield "the key", run.get(*deployment.template, "encryption_key"), planned.merged["kms_key"]
    if connector := planned.merged["vpc_access"].get("connector"):
        is_there = run.get(*deployment.template, "vpc_access", "connector")
        yield "the connector", is_there, connector


def _same(number: Any, first: Any, second: Any) -> bool:
    try:
        return bool(number(first) == number(second))
    except TaskDefinitionError:
        return False


def _of_push(
    subscription: Resource, planned: TaskSubscription, kept: int, project: str
) -> Iterator[_Pair]:
    expected = planned.dead_letters
    yield "the topic", full_name(subscription, "topic"), full_topic(planned.topic, project)
    yield "the filter", subscription.get("filter") or None, planned.filter
    yield "message ordering", bool(subscription.get("enable_message_ordering")), planned.ordered
    if subscription.get("push_config"):
        yield "wrapping", not subscription.get("push_config", "no_wrapper"), planned.wrapped
    yield "retention", seconds(subscription.get("message_retention_duration")), kept
    backoffs = {"minimum": planned.min_backoff_seconds, "maximum": planned.max_backoff_seconds}
    for name, backoff in backoffs.items():
        is_there = seconds(subscription.get("retry_policy", f"{name}_backoff"))
        yield f"the {name} backoff", is_there, backoff
    attempts = subscription.get("dead_letter_policy", "max_delivery_attempts")
    yield "the number of attempts", attempts, expected and expected.max_attempts
    if expected:
        is_there = full_name(subscription, "dead_letter_policy", "dead_letter_topic")
        yield "the dead-letter topic", is_there, full_topic(expected.topic, project)


def _of_schedule(
    schedule: Resource, planned: PlannedTask, name: str, project: str
) -> Iterator[_Pair]:
    wanted = planned.schedules[name]
    yield "the schedule", schedule.get("schedule"), wanted.expression
    yield "the time zone", schedule.get("time_zone") or "Etc/UTC", wanted.time_zone
    yield "paused", schedule.given("paused", default=False), wanted.paused
    if planned.gets_messages:
        topic = full_name(schedule, "pubsub_target", "topic_name")
        yield "the topic", topic, full_topic(planned.needs.topic or "", project)
        yield "the data", schedule.get("pubsub_target", "data") or "", wanted.data
        attributes = schedule.get("pubsub_target", "attributes") or {}
        yield "the attributes", attributes, wanted.attributes


@rule("terraform-topic-missing", why="`terraform apply` fails, or publishers find no topic.")
def topic_missing(inputs: Inputs) -> Iterator[Finding]:
    """A topic of the plan that Terraform does not make."""
    if inputs.terraform is None or inputs.plan is None:
        return
    made = {topic.get("name") for topic in inputs.terraform.of(TOPIC)}
    for planned in inputs.planned:
        dead_letters = planned.dead_letters and planned.dead_letters.topic
        read = {own.topic for own in planned.subscriptions.values()}
        others = {planned.needs.topic, dead_letters, planned.needs.decided_dead_letter_topic}
        for topic in read | others:
            if topic in inputs.plan.topics and not made & {topic, UNKNOWN}:
                yield Finding(
                    decorated(planned.task),
                    f"The task {planned.task.name!r} has the topic {topic!r}, which is not made in "
                    f"Terraform's plan in {inputs.terraform.name}.",
                    "Give `topics` to the module as well as `tasks`; or, if the topic exists, "
                    f"write projects/PROJECT/topics/{topic} in the code.",
                    planned.task.name,
                )


RULES = (task_missing, task_unknown, deadline_ladder, differs, topic_missing)
