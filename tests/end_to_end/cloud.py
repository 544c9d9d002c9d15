"""A cloud on this machine, with the resources of a Terraform state.

The embedded Pub/Sub and Cloud Scheduler get it over their REST API, and containers get what Cloud
Run gives them. Three things are not as in the state: addresses lead to this machine; the Cloud
Run Admin API is a server that only keeps what it is asked; and calls to that have no OAuth token,
which the embedded scheduler has not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.container.engine import Container, run
from tests.integration.processes import free_port, request, wait_until
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.local_testing import EmbeddedPubsub

from .deployed import Deployed, Workload

RUN_API = "https://run.googleapis.com"
NOBODY = "http://127.0.0.1:9"
"""The address of services that no test calls."""


class ReachablePubsub(EmbeddedPubsub):
    """An embedded Pub/Sub that containers reach, too."""

    async def _start(self) -> Emulator:
        options = Options(host="0.0.0.0", longest_timer=float("inf"))
        return await Emulator(options, clock=self._clock).__aenter__()

    @property
    def port(self) -> int:
        """Where it is."""
        return self.emulator.port

    @property
    def for_containers(self) -> tuple[str, str]:
        """Docker's options for containers that publish to it."""
        host = "host.docker.internal"
        return f"--add-host={host}:host-gateway", f"--env=PUBSUB_EMULATOR_HOST={host}:{self.port}"


def create(deployed: Deployed, port: int, services: Mapping[str, str], admin: str) -> None:
    """Create the topics, subscriptions and schedules.

    Args:
        deployed: what there is to create.
        port: of the embedded Pub/Sub.
        services: addresses of Cloud Run services, by name.
        admin: the address of the stand-in for the Cloud Run Admin API.
    """
    addresses = {
        uri: services.get(name, NOBODY) for uri, name in deployed.services_by_uri().items()
    }
    for name, topic in deployed.topics().items():
        _call(port, "PUT", name, topic)
    for name, subscription in deployed.subscriptions().items():
        if "push_config" in subscription:
            push = subscription["push_config"]
            push["push_endpoint"] = _moved(push["push_endpoint"], addresses)
        _call(port, "PUT", name, subscription)
    for name, (job, paused) in deployed.schedules().items():
        if "http_target" in job:
            del job["http_target"]["oauth_token"]
            job["http_target"]["uri"] = _moved(job["http_target"]["uri"], {RUN_API: admin})
        _call(port, "POST", name.rpartition("/")[0], {"name": name, **job})
        if paused:
            _call(port, "POST", f"{name}:pause", {})


def get(port: int, name: str) -> Any:
    """Return a resource as the API has it."""
    return _call(port, "GET", name)


def _moved(url: str, addresses: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return f"{addresses[f'{parts.scheme}://{parts.netloc}']}{parts.path}"


def _call(port: int, method: str, name: str, body: Any = None) -> Any:
    sent = b"" if body is None else json.dumps(body).encode()
    answer = request(port, method, f"/v1/{name}", sent)
    assert answer.status == 200, f"{method} {name}: {answer.body.decode()}"
    return json.loads(answer.body)


@contextmanager
def service(workload: Workload, *options: str) -> Iterator[Container]:
    """Run a service's container, until it is healthy and then until the end."""
    port = free_port()
    cloud_run = _environment({"PORT": str(workload.port), "K_SERVICE": workload.name})
    published = f"--publish=127.0.0.1:{port}:{workload.port}"
    with _container(workload, published, *cloud_run, *options) as started:
        running = Container(started.id, port)
        running.wait_until_served()
        wait_until(lambda: running.get(str(workload.health)).status == 200, "it is healthy")
        yield running


@contextmanager
def worker_pool(workload: Workload, *options: str) -> Iterator[Container]:
    """Run an instance of a worker pool, from when its probe succeeds to the end.

    It makes no subscriptions by itself, as it does on an emulator otherwise.
    """
    port = free_port()
    published = f"--publish=127.0.0.1:{port}:{workload.port}"
    arguments = (*workload.arguments, "--no-auto-declare")
    with _container(workload, published, *options, command=arguments) as started:
        running = Container(started.id, port)
        wait_until(lambda: _is_up(running, str(workload.health)), "it is ready")
        yield running


def _is_up(container: Container, path: str) -> bool:
    assert container.state()["Running"], f"It ended at its start: {container.output()}"
    try:
        return container.get(path).status == 200
    except (OSError, HTTPException):
        return False


@contextmanager
def execution(workload: Workload, *options: str) -> Iterator[Container]:
    """Run a job's container once."""
    cloud_run = {"CLOUD_RUN_JOB": workload.name, "CLOUD_RUN_TASK_INDEX": "0"}
    with _container(workload, *_environment(cloud_run), *options) as started:
        yield started


@contextmanager
def _container(
    workload: Workload, *options: str, command: tuple[str, ...] = ()
) -> Iterator[Container]:
    limits = (f"--cpus={workload.limits['cpu']}", f"--memory={workload.limits['memory']}B")
    environment = _environment(workload.environment)
    command = command or workload.arguments
    with run(workload.image, *limits, *environment, *options, command=command) as started:
        yield started


def _environment(variables: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={text}" for name, text in variables.items()]
