"""Rules of Terraform's plan against the code: tasks, their sizes, deadlines and triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, decorated
from ucam_faas.deploy.checks.terraform.deployed import (
    FROM_ANYWHERE,
    JOB,
    SCHEDULE,
    SERVICE,
    TOPIC,
    Deployed,
    deployed,
    full_name,
    seconds,
    targets,
)
from ucam_faas.deploy.checks.terraform.plan import UNKNOWN, Resource
from ucam_faas.deploy.findings import Fault
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.resources import cpu_count, memory_bytes

SERVICE_TIMEOUT, JOB_TIMEOUT, ACK_DEADLINE_SECONDS = "300s", "600s", 10
"""Google's, where Terraform says nothing. Pages "Set request timeout", "Set task timeout" and
"Subscription properties"."""
_DEFAULT_INSTANCES = {"min": 0, "max": 100}


@rule("terraform-task-missing", why="The task is not deployed; its messages are not handled.")
def task_missing(subject: Subject) -> Iterator[Fault]:
    """A task, or its subscription or schedule, that Terraform does not make."""
    if subject.terraform is None:
        return
    there = {found.one.task.name: found for found in deployed(subject)}
    serves_all = any(not targets(run) for run in subject.terraform.of(SERVICE, JOB))
    schedules = {found.get("name") for found in subject.terraform.of(SCHEDULE)}
    for one in subject.planned:
        task, found, lacks = one.task, there.get(one.task.name), []
        if found is None:
            lacks += [] if serves_all else [f"no Cloud Run {task.run_as}"]
        elif task.run_as == "service" and one.needs.topic and not found.subscriptions:
            lacks.append("no subscription that pushes to it")
        wanted = subject.variables(one)["triggers"]["cron_schedules"]
        if found and UNKNOWN not in schedules:
            lacks += [f"no schedule {name!r}" for name in wanted if name not in schedules]
        for lack in lacks:
            text = f"Terraform's plan in {subject.terraform.name} has {lack} for {task.name!r}."
            yield Fault(decorated(task), text, _plan_again(subject), task.name)


@rule("terraform-task-unknown", why="The container ends when it starts: it finds no such task.")
def task_unknown(subject: Subject) -> Iterator[Fault]:
    """A service or job for a task that the code does not have, or that runs as the other."""
    names = {one.task.name: one.task.run_as for one in subject.planned}
    if subject.terraform is None or subject.plan is None:
        return
    for run in subject.terraform.of(SERVICE, JOB):
        kind = "job" if run.type == JOB else "service"
        for name in targets(run):
            if names.get(name) != kind:
                is_what = f"is a {names[name]}" if name in names else "does not exist"
                what = f"{run.address} runs {name!r} as a {kind}; that task {is_what} in the code."
                yield Fault(run.place, what, _plan_again(subject), name if name in names else None)


@rule(
    "deadline-ladder",
    why="Whoever waits gives up first: Cloud Run cuts the task off, or Pub/Sub delivers the "
    "message again while it is still worked on.",
)
def deadline_ladder(subject: Subject) -> Iterator[Fault]:
    """Not: the task's timeout ≤ the ack deadline ≤ Cloud Run's timeout."""
    for found in deployed(subject):
        one, run = found.one, found.run
        own = subject.variables(one)["function"]["timeout_seconds"]
        default = JOB_TIMEOUT if run.type == JOB else SERVICE_TIMEOUT
        waits = seconds(run.given(*found.template, "timeout", default=default))
        if waits is not None and waits < own:
            what = f"{run.address} has a timeout of {waits:g} s"
            yield _ladder(found, run, what, f"at least {own} s, as long as the task may take")
        for subscription in found.subscriptions:
            deadline = subscription.given("ack_deadline_seconds", default=ACK_DEADLINE_SECONDS)
            if not isinstance(deadline, int):
                continue
            what = f"{subscription.address} has an ack deadline of {deadline} s"
            least = one.needs.ack_deadline_seconds
            if deadline < least:
                yield _ladder(found, subscription, what, f"at least the task's {least} s")
            if waits is not None and own <= waits < deadline:
                yield _ladder(found, subscription, what, f"at most Cloud Run's {waits:g} s")


def _ladder(found: Deployed, resource: Resource, what: str, expected: str) -> Fault:
    return Fault(
        resource.place,
        f"{what}; expected {expected}.",
        "Let the plan say it: remove what was written by hand.",
        found.one.task.name,
    )


@rule("terraform-differs", why="What was tested is not what is deployed.")
def differs(subject: Subject) -> Iterator[Fault]:
    """A size, trigger, retry policy, variable or schedule in Terraform that is not the plan's."""
    for found in deployed(subject):
        variables = subject.variables(found.one)
        project = str(found.run.get("project"))
        pairs = [(found.run, *pair) for pair in _of_place(found.run, subject)]
        pairs += [(found.run, *pair) for pair in _of_run(found, variables)]
        for subscription in found.subscriptions:
            wanted = variables["triggers"]["subscriptions"].get(found.one.needs.name, {})
            pairs += [(subscription, *pair) for pair in _of_push(subscription, wanted, project)]
        for name, wanted in variables["triggers"]["cron_schedules"].items():
            assert subject.terraform is not None
            for schedule in subject.terraform.of(SCHEDULE):
                if schedule.get("name") == name:
                    pairs += [(schedule, *pair) for pair in _of_schedule(schedule, wanted, project)]
        for resource, what, is_there, expected in pairs:
            if is_there is not UNKNOWN and is_there != expected:
                yield Fault(
                    resource.place,
                    f"{resource.address}: {what} is {_shown(is_there)}; the code and the "
                    f"configuration say {_shown(expected)}.",
                    _plan_again(subject),
                    found.one.task.name,
                )


def _plan_again(subject: Subject) -> str:
    return f"{subject.plan_again} Then plan with Terraform again."


def _shown(value: Any) -> str:
    return "not there" if value is None else repr(value)


_Pair = tuple[str, Any, Any]
"""What it is, what Terraform has, what is expected."""


def _of_place(run: Resource, subject: Subject) -> Iterator[_Pair]:
    said = subject.plan.variables if subject.plan else {}
    for name, attribute in (("project", "project"), ("region", "location")):
        if name in said:
            yield f"the {name}", run.get(attribute), said[name]


def _of_run(found: Deployed, variables: Mapping[str, Any]) -> Iterator[_Pair]:
    run, function, sizes = found.run, variables["function"], variables["concurrency"]
    limits = run.get(*found.template, "containers", "resources", "limits") or {}
    for name, number in (("memory", memory_bytes), ("cpu", cpu_count)):
        is_there = limits.get(name)
        same = is_there is None or _same(number, is_there, function[name])
        yield name, function[name] if same else is_there, function[name]
    for variable, value in function["environment"].items():
        yield f"the variable {variable}", found.environ.get(variable), value
    for variable, secret in function["secrets"].items():
        expected = (secret["secret"], secret["version"])
        yield f"the secret in {variable}", found.environ.get(variable), expected
    if function["service_account"]:
        account = run.get(*found.template, "service_account")
        yield "the service account", account, function["service_account"]
    if run.type == JOB:
        yield "max_retries", run.get(*found.template, "max_retries"), function["max_retries"]
        return
    yield "ingress", run.given("ingress", default=FROM_ANYWHERE), function["ingress"]
    at_a_time = run.get("template", "max_instance_request_concurrency")
    yield "concurrency", at_a_time, sizes["max_concurrent_functions_per_instance"]
    for name, default in _DEFAULT_INSTANCES.items():
        is_there = run.get("template", "scaling", f"{name}_instance_count") or default
        yield f"{name}_instances", is_there, sizes[f"{name}_instances"]


def _same(number: Any, first: Any, second: Any) -> bool:
    try:
        return bool(number(first) == number(second))
    except TaskDefinitionError:
        return False


def _of_push(found: Resource, wanted: Mapping[str, Any], project: str) -> Iterator[_Pair]:
    if not wanted:
        return
    yield "the topic", full_name(found, "topic"), full_topic(wanted["topic"], project)
    yield "the filter", found.get("filter") or None, wanted["filter"]
    yield "message ordering", bool(found.get("enable_message_ordering")), wanted["ordered"]
    yield "wrapping", not found.get("push_config", "no_wrapper"), wanted["wrapped"]
    kept = seconds(found.get("message_retention_duration"))
    yield "retention", kept, wanted["message_retention_seconds"]
    for name in ("minimum", "maximum"):
        is_there = seconds(found.get("retry_policy", f"{name}_backoff"))
        yield f"the {name} backoff", is_there, wanted["retry"][f"{name[:3]}_backoff_seconds"]
    expected = wanted["dead_letter"]
    attempts = found.get("dead_letter_policy", "max_delivery_attempts")
    yield "the number of attempts", attempts, expected and expected["max_attempts"]
    if expected:
        name = expected["topic"] or f"{found.get('name')}-dead-letter"
        is_there = full_name(found, "dead_letter_policy", "dead_letter_topic")
        yield "the dead-letter topic", is_there, full_topic(name, project)


def _of_schedule(found: Resource, wanted: Mapping[str, Any], project: str) -> Iterator[_Pair]:
    yield "the schedule", found.get("schedule"), wanted["schedule"]
    yield "the time zone", found.get("time_zone") or "Etc/UTC", wanted["time_zone"]
    yield "paused", found.given("paused", default=False), wanted["paused"]
    if wanted["topic"] is not None:
        topic = full_name(found, "pubsub_target", "topic_name")
        yield "the topic", topic, full_topic(wanted["topic"], project)
        yield "the data", found.get("pubsub_target", "data") or "", wanted["data"] or ""
        attributes = found.get("pubsub_target", "attributes") or {}
        yield "the attributes", attributes, wanted["attributes"]


@rule("terraform-topic-missing", why="`terraform apply` fails, or nobody can publish to the task.")
def topic_missing(subject: Subject) -> Iterator[Fault]:
    """A topic of ours that Terraform does not make."""
    if subject.terraform is None or subject.plan is None:
        return
    made = {topic.get("name") for topic in subject.terraform.of(TOPIC)}
    for one in subject.planned:
        for topic in {one.needs.topic, one.needs.decided_dead_letter_topic} - {None}:
            if topic in subject.plan.variables["topics"] and not made & {topic, UNKNOWN}:
                yield Fault(
                    decorated(one.task),
                    f"The task {one.task.name!r} has the topic {topic!r}, which is not made in "
                    f"Terraform's plan in {subject.terraform.name}.",
                    "Give `topics` to the module as well as `tasks`; or, if the topic exists, "
                    f"write projects/PROJECT/topics/{topic} in the code.",
                    one.task.name,
                )


RULES = (task_missing, task_unknown, deadline_ladder, differs, topic_missing)
