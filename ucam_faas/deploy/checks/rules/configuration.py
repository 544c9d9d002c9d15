"""Rules of the configuration: errors, and settings without effect."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.config_file import Origin
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.instances import most_instances, size_of
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.problems import TASK, Problem, where_for_all
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.tasks.option import Concerns
from ucam_faas.tasks.resources import cpu_count


@rule("configuration-unusable", why="Neither a plan nor a deployment is possible.")
def unusable(inputs: Inputs) -> Iterator[Finding]:
    """An unknown key, task or stage, a value of the wrong type or outside Google's limits."""
    yield from map(problem_finding, inputs.problems)


def problem_finding(problem: Problem) -> Finding:
    """Return the finding of a problem."""
    return Finding(
        Place.of(problem.origin),
        problem.text,
        "Correct it; docs/deployment-configuration.md lists the keys and their values.",
        rule=unusable.name,
        why=unusable.why,
    )


@rule("setting-without-effect", why="Its author believes that it is in force.")
def without_effect(inputs: Inputs) -> Iterator[Finding]:
    """A setting of one task that has no effect for its kind of task."""
    for planned in inputs.planned:
        kind, concerning = _kind(planned)
        for key in (name for name, option in keys().items() if option.concerns not in concerning):
            if origin := _own_origin(planned, key):
                yield Finding(
                    Place.of(origin),
                    f"{key} of the task {planned.task.name!r} has no effect: it is {kind}.",
                    f"Remove {key}, or set it for other tasks {where_for_all(inputs.config)}.",
                    planned.task.name,
                )


def _own_origin(planned: PlannedTask, key: str) -> Origin | None:
    """Return the decorator or the table of a task that sets an option; None: neither does."""
    origins = (origin for path, origin in planned.merged.origins.items() if path[0] == key)
    table = f"{TASK}.{planned.task.name}"
    return next((own for own in origins if own.layer == "decorator" or table in own.layer), None)


def _kind(planned: PlannedTask) -> tuple[str, set[Concerns]]:
    """Return the kind of a task, and which options concern it."""
    if planned.is_cloud_run_job:
        return "a Cloud Run job", {"all", "calls", "starts"}
    if planned.is_worker:
        return "a worker pool", {"all", "services", "pushes"}
    if planned.gets_messages:
        return "a service with a subscription", {"all", "calls", "services", "requests", "pushes"}
    return "called over HTTP, without a subscription", {"all", "calls", "services", "requests"}


@rule(
    "concurrency-without-cpu",
    why="Cloud Run sends one request at a time to an instance with less than one CPU.",
)
def concurrency_without_cpu(inputs: Inputs) -> Iterator[Finding]:
    """A concurrency over 1 with less than one CPU."""
    for planned in inputs.planned:
        limit, cpu = planned.task.policy.concurrency, planned.merged["cpu"]
        if limit is not None and limit > 1 and cpu_count(cpu) < 1:
            yield Finding(
                configured(planned, "cpu"),
                f"The task {planned.task.name!r} has concurrency={limit}, and cpu is {cpu}.",
                "Set cpu = 1 or concurrency=1.",
                planned.task.name,
            )


@rule("instances-over-quota", why="Cloud Run refuses the deployment, and the apply fails.")
def instances_over_quota(inputs: Inputs) -> Iterator[Finding]:
    """More instances at most than the region's quotas of CPUs and memory allow."""
    for planned in inputs.planned:
        most, least = (planned.merged[f"{end}_instances"] for end in ("max", "min"))
        key, limit = ("min_instances", least) if most is None else ("max_instances", most)
        quota = planned.merged["cpu_quota"]
        allowed, size = most_instances(planned.merged.values), size_of(planned.merged.values)
        if not planned.is_cloud_run_job and limit > allowed:
            yield Finding(
                configured(planned, key),
                f"The task {planned.task.name!r} has {key}={limit}, each with {size}: a quota of "
                f"{quota} CPUs in the region allows {allowed}.",
                f"Set {key} = {allowed}, or cpu_quota to the region's quota "
                f"{where_for_all(inputs.config)}."
                if allowed
                else f"Set cpu_quota to the region's quota {where_for_all(inputs.config)}.",
                planned.task.name,
            )


@rule(
    "existing-topic-unused",
    why="If it is misspelt, Terraform makes a new topic instead of using the existing one.",
)
def existing_topic_unused(inputs: Inputs) -> Iterator[Finding]:
    """A topic in `existing_topics` that no task uses."""
    used: set[str | None] = set()
    for planned in inputs.planned:
        used |= {planned.needs.topic, planned.needs.dead_letter_topic, *planned.publishes_to}
        used |= {planned.needs.decided_dead_letter_topic}
    for planned in inputs.planned:
        for topic in planned.merged["existing_topics"]:
            if topic not in used:
                yield Finding(
                    configured(planned, "existing_topics", topic),
                    f"No task reads or publishes to the topic {topic!r}, or puts dead letters into "
                    "it.",
                    "Correct the name, or remove it.",
                )


RULES = (
    unusable,
    without_effect,
    concurrency_without_cpu,
    instances_over_quota,
    existing_topic_unused,
)
