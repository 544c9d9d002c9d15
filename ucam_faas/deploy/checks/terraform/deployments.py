"""The tasks in Terraform's plan, known by the FUNCTION_TARGET of their containers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource, TerraformPlan
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.tasks.subscriptions import TaskSubscription

SERVICE, JOB = "google_cloud_run_v2_service", "google_cloud_run_v2_job"
POOL = "google_cloud_run_v2_worker_pool"
RUNS: Mapping[str, str] = {"service": SERVICE, "worker": POOL, "cloud-run-job": JOB}
"""The type of resource that runs a task, by `run_as`."""
SUBSCRIPTION, TOPIC = "google_pubsub_subscription", "google_pubsub_topic"
SCHEDULE = "google_cloud_scheduler_job"
TARGET = "FUNCTION_TARGET"
FROM_ANYWHERE = "INGRESS_TRAFFIC_ALL"
"""Google's default."""
_SERVICE = re.compile(rf"{SERVICE}\.([\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A task in Terraform's plan.

    Args:
        run: its service, worker pool or Cloud Run job.
        subscriptions: the subscriptions that push to it, or that it pulls.
    """

    planned: PlannedTask
    run: Resource
    subscriptions: Sequence[Resource]

    @property
    def pushes(self) -> Iterator[tuple[Resource, TaskSubscription]]:
        """Yield each subscription with that of the plan: of its name, or else of its path.

        One that pushes elsewhere is compared with that of the task's topic. One of another name
        whose path isn't known yet is left out, unless the task has one subscription only.
        """
        planned = self.planned.made_subscriptions
        of_paths = {own.path: own for own in planned.values()}
        for subscription in self.subscriptions:
            own = planned.get(str(subscription.get("name")))
            path = path_of(subscription)
            if own is None and planned and (path is not None or len(planned) == 1):
                own = of_paths.get(path or "", planned.get(self.planned.needs.name))
            if own is not None:
                yield subscription, own

    @property
    def template(self) -> tuple[str, ...]:
        """The path to the template of its instances."""
        return template_of(self.run)

    @property
    def environ(self) -> Mapping[str, Any]:
        """The container's variables: text, UNKNOWN, or (secret, version)."""
        return environ_of(self.run)

    @property
    def mounts(self) -> Mapping[str, Any]:
        """By path: volumes as in the configuration, files as (secret, version), and sockets as a
        list of instances."""
        return dict(_mounts_of(self.run))


@lru_cache(maxsize=2)
def deployments(inputs: Inputs) -> Sequence[Deployment]:
    """Return the tasks with a service, a worker pool or a Cloud Run job in Terraform's plan."""
    plan = inputs.terraform
    if plan is None:
        return ()
    tasks = {planned.task.name: planned for planned in inputs.planned}
    pushes: dict[str, list[Resource]] = {}
    unsure: dict[str, list[Resource]] = {}
    for subscription in plan.of(SUBSCRIPTION):
        service = pushed_to(plan, subscription)
        group, key = (pushes, service.address) if service else (unsure, subscription.get("name"))
        group.setdefault(str(key), []).append(subscription)
    return tuple(
        Deployment(
            planned=tasks[name],
            run=run,
            subscriptions=[
                *pushes.get(run.address, []),
                *chain.from_iterable(unsure.get(own, []) for own in tasks[name].made_subscriptions),
            ],
        )
        for run in plan.of(*RUNS.values())
        for name in targets(run)
        if name in tasks and RUNS[tasks[name].task.run_as] == run.type
    )


def pushes_of(inputs: Inputs) -> Iterator[tuple[Deployment, Resource]]:
    """Yield the deployed tasks, each with each of its subscriptions."""
    for deployment in deployments(inputs):
        for subscription in deployment.subscriptions:
            yield deployment, subscription


def targets(run: Resource) -> list[str]:
    """Return the tasks that a container serves; none: all of them, or it runs something else."""
    target = environ_of(run).get(TARGET)
    return [name.strip() for name in target.split(",")] if isinstance(target, str) else []


def template_of(run: Resource) -> tuple[str, ...]:
    """Return the path to the template of the instances that run a task."""
    return ("template", "template") if run.type == JOB else ("template",)


def environ_of(run: Resource) -> dict[str, Any]:
    """Return a container's variables."""
    environ: dict[str, Any] = {}
    for entry in run.get(*template_of(run), "containers", "env") or ():
        source = entry.get("value_source") or [{}]
        keys = (source[0].get("secret_key_ref") or [None])[0]
        value = entry.get("value")
        if keys:
            environ[entry["name"]] = (keys.get("secret"), keys.get("version"))
        else:
            environ[entry["name"]] = UNKNOWN if value is None else value
    return environ


def _mounts_of(run: Resource) -> Iterator[tuple[str, Any]]:
    mounts = run.get(*template_of(run), "containers", "volume_mounts")
    volumes = run.get(*template_of(run), "volumes")
    paths = {mount["name"]: mount["mount_path"] for mount in _known(mounts)}
    for volume in _known(volumes):
        path = paths.get(volume.get("name"), "")
        for sockets in volume.get("cloud_sql_instance") or ():
            yield path, sorted(sockets.get("instances") or ())
        for memory in volume.get("empty_dir") or ():
            yield path, memory.get("size_limit")
        for bucket in volume.get("gcs") or ():
            yield path, f"gs://{bucket.get('bucket')}{':ro' if bucket.get('read_only') else ''}"
        for secret in volume.get("secret") or ():
            for file in secret.get("items") or ():
                yield f"{path}/{file['path']}", (secret.get("secret"), file.get("version"))


def _known(blocks: Any) -> Sequence[Mapping[str, Any]]:
    return blocks if isinstance(blocks, list) else ()


def pushed_to(plan: TerraformPlan, subscription: Resource) -> Resource | None:
    """Return the service that a subscription pushes to, if it is in the plan."""
    endpoint = subscription.get("push_config", "push_endpoint")
    services = list(plan.of(SERVICE))
    if isinstance(endpoint, str):
        pushed = [run for run in services if endpoint.startswith(str(run.get("uri") or "-"))]
    else:
        code = subscription.references("push_config", "push_endpoint")
        names = {named[1] for named in map(_SERVICE.match, code) if named}
        pushed = [
            run for run in services if run.module == subscription.module and run.name in names
        ]
    return pushed[0] if len(pushed) == 1 else None


def path_of(subscription: Resource) -> str | None:
    """Return the path to which a subscription pushes; None: it isn't known."""
    endpoint = subscription.get("push_config", "push_endpoint")
    return urlsplit(endpoint).path if isinstance(endpoint, str) else None


def full_name(resource: Resource, *path: str, collection: str = "topics") -> Any:
    """Return a value as a full name; UNKNOWN, if it is not known."""
    value = resource.get(*path)
    if not isinstance(value, str) or "/" in value:
        return value
    return f"projects/{resource.get('project')}/{collection}/{value}"


def seconds(value: Any) -> float | None:
    """Return the seconds of a duration such as `10s`; None: it is absent, or not known.

    >>> seconds("2.5s")
    2.5
    """
    match = re.fullmatch(r"([0-9.]+)s", value) if isinstance(value, str) else None
    return float(match[1]) if match else None
