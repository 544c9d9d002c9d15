"""Which resources of Terraform's plan are a task's: by what its container is told to serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ucam_faas.deploy.checks.subject import Subject
from ucam_faas.deploy.checks.terraform.plan import UNKNOWN, Resource, TerraformPlan
from ucam_faas.deploy.plan import PlannedTask

SERVICE, JOB = "google_cloud_run_v2_service", "google_cloud_run_v2_job"
SUBSCRIPTION, TOPIC = "google_pubsub_subscription", "google_pubsub_topic"
SCHEDULE = "google_cloud_scheduler_job"
TARGET = "FUNCTION_TARGET"
FROM_ANYWHERE = "INGRESS_TRAFFIC_ALL"
"""Google's default."""
_SERVICE = re.compile(rf"{SERVICE}\.([\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A task in Terraform's plan.

    Args:
        run: its service or job.
        subscriptions: those that push to it.
    """

    one: PlannedTask
    run: Resource
    subscriptions: Sequence[Resource]

    @property
    def template(self) -> tuple[str, ...]:
        """The path of what an instance is made of."""
        return ("template", "template") if self.run.type == JOB else ("template",)

    @property
    def environ(self) -> Mapping[str, Any]:
        """The container's variables: text, UNKNOWN, or (secret, version)."""
        return environ_of(self.run)


@lru_cache(maxsize=2)
def deployed(subject: Subject) -> Sequence[Deployed]:
    """Return the tasks that have a service or a job in Terraform's plan."""
    plan = subject.terraform
    if plan is None:
        return ()
    tasks = {one.task.name: one for one in subject.planned}
    pushes: dict[str, list[Resource]] = {}
    unsure: dict[str, list[Resource]] = {}
    for subscription in plan.of(SUBSCRIPTION):
        service = pushed_to(plan, subscription)
        group, key = (pushes, service.address) if service else (unsure, subscription.get("name"))
        group.setdefault(str(key), []).append(subscription)
    return tuple(
        Deployed(
            one=tasks[name],
            run=run,
            subscriptions=pushes.get(run.address, []) + unsure.get(tasks[name].needs.name, []),
        )
        for run in plan.of(SERVICE, JOB)
        for name in targets(run)
        if name in tasks and (tasks[name].task.run_as == "job") is (run.type == JOB)
    )


def targets(run: Resource) -> list[str]:
    """Return the tasks that a container serves; none: all, or it is no container of ours."""
    found = environ_of(run).get(TARGET)
    return [name.strip() for name in found.split(",")] if isinstance(found, str) else []


def environ_of(run: Resource) -> dict[str, Any]:
    """Return a container's variables."""
    inner = ("template", "template") if run.type == JOB else ("template",)
    found: dict[str, Any] = {}
    for entry in run.get(*inner, "containers", "env") or ():
        source = entry.get("value_source") or [{}]
        keys = (source[0].get("secret_key_ref") or [None])[0]
        value = entry.get("value")
        if keys:
            found[entry["name"]] = (keys.get("secret"), keys.get("version"))
        else:
            found[entry["name"]] = UNKNOWN if value is None else value
    return found


def pushed_to(plan: TerraformPlan, subscription: Resource) -> Resource | None:
    """Return the service that a subscription pushes to, if it is in the plan."""
    endpoint = subscription.get("push_config", "push_endpoint")
    services = list(plan.of(SERVICE))
    if isinstance(endpoint, str):
        found = [one for one in services if endpoint.startswith(str(one.get("uri") or "-"))]
    else:
        code = subscription.references("push_config", "push_endpoint")
        names = {named[1] for named in map(_SERVICE.match, code) if named}
        found = [one for one in services if one.module == subscription.module and one.name in names]
    return found[0] if len(found) == 1 else None


def full_name(resource: Resource, *path: str, collection: str = "topics") -> Any:
    """Return the full name that a value stands for; UNKNOWN, if it is not known."""
    value = resource.get(*path)
    if not isinstance(value, str) or "/" in value:
        return value
    return f"projects/{resource.get('project')}/{collection}/{value}"


def seconds(value: Any) -> float | None:
    """Return a duration such as `10s`; None: there is none, or it is not known.

    >>> seconds("2.5s")
    2.5
    """
    found = re.fullmatch(r"([0-9.]+)s", value) if isinstance(value, str) else None
    return float(found[1]) if found else None
