"""The resources of a Terraform state, as the APIs of Google Cloud get them.

Nothing is picked: whatever the state holds goes to the API under its own name, and an API refuses
unknown fields. Only Terraform's own fields and unset ones are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.terraform.answers import Resource, Snapshot

_TERRAFORMS_OWN = {
    *("id", "name", "project", "region", "timeouts", "deletion_policy"),
    *("effective_labels", "terraform_labels"),
    *("paused", "state"),  # of a Cloud Scheduler job: the API has methods instead
}
_OF_CONTAINERS = {
    *("image", "args", "env", "resources", "ports", "startup_probe", "liveness_probe"),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A Cloud Run service, job or worker pool: its container and settings."""

    name: str
    image: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    limits: dict[str, str]
    port: int | None
    """Of a service or a worker pool: the probe's."""
    health: str | None
    """The path that the start-up probe asks for."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A Terraform state, read."""

    state: Snapshot

    def topics(self) -> dict[str, Any]:
        """Return the bodies of the topics, by full name."""
        return {topic.values["id"]: body(topic) for topic in self.state.of("google_pubsub_topic")}

    def subscriptions(self) -> dict[str, Any]:
        """Return the bodies of the subscriptions, by full name."""
        subscriptions = self.state.of("google_pubsub_subscription")
        return {each.values["id"]: body(each) for each in subscriptions}

    def schedules(self) -> dict[str, tuple[Any, bool]]:
        """Return the bodies of the Cloud Scheduler jobs, and which are paused, by full name."""
        return {
            job.values["id"]: (body(job), job.values["paused"])
            for job in self.state.of("google_cloud_scheduler_job")
        }

    def service(self, name: str) -> Workload:
        """Return a Cloud Run service."""
        (service,) = self._named("google_cloud_run_v2_service", name)
        return _workload(name, service.values["template"][0]["containers"])

    def job(self, name: str) -> Workload:
        """Return a Cloud Run job."""
        (job,) = self._named("google_cloud_run_v2_job", name)
        return _workload(name, job.values["template"][0]["template"][0]["containers"])

    def worker_pool(self, name: str) -> Workload:
        """Return a Cloud Run worker pool."""
        (pool,) = self._named("google_cloud_run_v2_worker_pool", name)
        return _workload(name, pool.values["template"][0]["containers"])

    def services_by_uri(self) -> dict[str, str]:
        """Return the names of the services, by their addresses."""
        services = self.state.of("google_cloud_run_v2_service")
        return {service.values["uri"]: service.values["name"] for service in services}

    def _named(self, kind: str, name: str) -> list[Resource]:
        return [resource for resource in self.state.of(kind) if resource.values["name"] == name]


def body(resource: Resource) -> Any:
    """Return a resource as the API's JSON has it."""
    values = resource.values.items()
    return _api({name: each for name, each in values if name not in _TERRAFORMS_OWN})


def _api(value: Any) -> Any:
    """Terraform has a block as a list of one, and an unset field as null, empty text or list."""
    if isinstance(value, dict):
        return {name: _api(each) for name, each in value.items() if each not in (None, "", [])}
    if isinstance(value, list) and isinstance(value[0], dict):
        (block,) = value
        return _api(block)
    return value


def _workload(name: str, containers: list[Any]) -> Workload:
    (container,) = containers
    fields = {key for key, value in container.items() if value not in (None, "", [])}
    assert fields <= _OF_CONTAINERS, "the container is told more than these tests tell it"
    assert not any(each["value_source"] for each in container["env"]), "there are no secrets here"
    probes = container.get("startup_probe")
    probe = probes[0]["http_get"][0] if probes else {}
    ports = container.get("ports")
    return Workload(
        name=name,
        image=container["image"],
        arguments=tuple(container.get("args") or ()),
        environment={each["name"]: each["value"] for each in container["env"]},
        limits=container["resources"][0]["limits"],
        port=ports[0]["container_port"] if ports else probe.get("port"),
        health=probe.get("path"),
    )
