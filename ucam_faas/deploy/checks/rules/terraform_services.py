"""Rules of services in Terraform's plan: requests reach the new version, and each message once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import (
    SCHEDULE,
    SERVICE,
    deployments,
    full_name,
    path_of,
)
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource
from ucam_faas.deploy.findings import Finding
from ucam_faas.tasks.task import HEALTH_PATHS, Kind

_LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
_PROBES = ("startup_probe", "liveness_probe")


@rule("traffic-pinned", why="The version that is deployed runs, and gets no requests.")
def traffic_pinned(inputs: Inputs) -> Iterator[Finding]:
    """A service that sends all its requests to revisions that are named."""
    for deployment in deployments(inputs):
        parts = deployment.run.get("traffic")
        shares = [part for part in parts or () if isinstance(part, dict)]
        if parts is not UNKNOWN and shares and all(map(_is_pinned, shares)):
            named = " and ".join(str(part.get("revision")) for part in shares)
            yield Finding(
                deployment.run.place,
                f"{deployment.run.address} sends all requests to {named}.",
                f"Give a share to the latest revision: type = {_LATEST!r}; or leave traffic out.",
                deployment.planned.name,
            )


def _is_pinned(part: dict[str, Any]) -> bool:
    return bool(part.get("revision")) and part.get("type") != _LATEST


@rule("probe-path-wrong", why="Cloud Run never takes the container for ready, or restarts it.")
def probe_path_wrong(inputs: Inputs) -> Iterator[Finding]:
    """A health check at a path that the server doesn't have."""
    for deployment in deployments(inputs):
        for probe in _PROBES if deployment.run.type == SERVICE else ():
            path = deployment.run.get(*deployment.template, "containers", probe, "http_get", "path")
            is_own = deployment.planned.task.kind is Kind.HTTP  # it may have such a path
            if isinstance(path, str) and path not in ("", *HEALTH_PATHS) and not is_own:
                yield Finding(
                    deployment.run.place,
                    f"{deployment.run.address} has a {probe} at {path}.",
                    f"The server answers at {' and '.join(HEALTH_PATHS)}.",
                    deployment.planned.name,
                )


@rule("delivered-twice", why="The task does its work twice for each message.")
def delivered_twice(inputs: Inputs) -> Iterator[Finding]:
    """Two subscriptions to one topic that push the same messages to a task."""
    for deployment in deployments(inputs):
        for first, second in itertools.combinations(deployment.subscriptions, 2):
            topics = full_name(first, "topic"), full_name(second, "topic")
            same = topics[0] == topics[1] and topics[0] not in (None, UNKNOWN)
            paths, filters = _pair(path_of, first, second), _pair(_filter, first, second)
            separate = all(filters) and filters[0] != filters[1]
            if same and paths[0] == paths[1] and not separate:
                yield Finding(
                    second.place,
                    f"{first.address} and {second.address} both deliver the messages of "
                    f"{topics[0]} to the task {deployment.planned.name!r}.",
                    "Remove one; or give each a filter that leaves the other's messages out.",
                    deployment.planned.name,
                )


def _pair(of: Any, first: Resource, second: Resource) -> tuple[Any, Any]:
    return of(first), of(second)


def _filter(subscription: Resource) -> Any:
    return subscription.get("filter")


@rule("scheduled-twice", why="The task does its work twice at each of these times.")
def scheduled_twice(inputs: Inputs) -> Iterator[Finding]:
    """A schedule of a task, and another in Terraform with the same times and the same message."""
    schedules = list(inputs.terraform.of(SCHEDULE)) if inputs.terraform else []
    for deployment in deployments(inputs):
        for name in deployment.planned.schedules:
            own = next((other for other in schedules if other.get("name") == name), None)
            for other in schedules if own else ():
                assert own is not None
                if other is not own and _does(other) == _does(own) and None not in _does(own):
                    yield Finding(
                        other.place,
                        f"{other.address} does the same as {own.address} at the same times.",
                        "Remove it.",
                        deployment.planned.name,
                    )


def _does(schedule: Resource) -> tuple[Any, ...]:
    paused = schedule.get("paused") is True
    target = schedule.get("pubsub_target", "topic_name") or schedule.get("http_target", "uri")
    return (
        None if paused or target is UNKNOWN else target,
        schedule.get("schedule"),
        schedule.get("time_zone") or "Etc/UTC",
        schedule.get("pubsub_target", "data") or "",
        str(schedule.get("pubsub_target", "attributes") or {}),
    )


RULES = (traffic_pinned, probe_path_wrong, delivered_twice, scheduled_twice)
