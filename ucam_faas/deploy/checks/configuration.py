"""Rules of the configuration: what it cannot be used with, and what it says in vain."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, configured
from ucam_faas.deploy.findings import Fault, Place
from ucam_faas.deploy.plan import PlannedTask
from ucam_faas.deploy.problems import TASK, where_for_all
from ucam_faas.tasks.resources import cpu_count

_OF_PUSHES = ("message_retention_seconds", "dead_letter_archive")
_IN_VAIN = {
    "a Cloud Run job": ("min_instances", "max_instances", "ingress", *_OF_PUSHES),
    "called over HTTP, without a subscription": _OF_PUSHES,
}


@rule("configuration-unusable", why="Neither a plan nor a deployment can be made of it.")
def unusable(subject: Subject) -> Iterator[Fault]:
    """An unknown key, task or stage, a value of the wrong type or outside Google's limits."""
    for problem in subject.problems:
        yield Fault(
            Place.of(problem.origin),
            problem.text,
            "Correct it; docs/deployment-configuration.md lists the keys and what they take.",
        )


@rule("setting-in-vain", why="Whoever wrote it believes that it is in force.")
def in_vain(subject: Subject) -> Iterator[Fault]:
    """A setting of one task that a task of its kind does not have."""
    for one in subject.planned:
        kind = _kind(one)
        for key in _IN_VAIN.get(kind, ()):
            origin = one.merged.origin(key)
            if origin.file and f"{TASK}.{one.task.name}" in origin.layer:
                yield Fault(
                    Place.of(origin),
                    f"{key} of the task {one.task.name!r} has no effect: it is {kind}.",
                    f"Remove {key}, or for other tasks say it {where_for_all(subject.config)}.",
                    one.task.name,
                )


def _kind(one: PlannedTask) -> str:
    if one.task.run_as == "job":
        return "a Cloud Run job"
    return "" if one.needs.topic else "called over HTTP, without a subscription"


@rule(
    "concurrency-without-cpu",
    why="Cloud Run gives an instance with less than one CPU one request at a time.",
)
def concurrency_without_cpu(subject: Subject) -> Iterator[Fault]:
    """A concurrency over 1 with less than one CPU."""
    for one in subject.planned:
        limit, cpu = one.task.policy.concurrency, one.merged["cpu"]
        if limit is not None and limit > 1 and cpu_count(cpu) < 1:
            yield Fault(
                configured(one, "cpu"),
                f"The task {one.task.name!r} says concurrency={limit}, and cpu is {cpu}.",
                "Give it cpu = 1, or say concurrency=1.",
                one.task.name,
            )


RULES = (unusable, in_vain, concurrency_without_cpu)
