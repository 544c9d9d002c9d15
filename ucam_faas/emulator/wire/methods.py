"""The methods of all services by name, for gRPC and REST."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.iam import IamApi
from ucam_faas.emulator.api.publisher import PublisherApi
from ucam_faas.emulator.api.pulling import Pulling
from ucam_faas.emulator.api.schemas import SchemasApi
from ucam_faas.emulator.api.subscriber import SubscriberApi
from ucam_faas.emulator.cloud_tasks import api as cloud_tasks_api
from ucam_faas.emulator.cloud_tasks.api import CloudTasksApi
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.scheduler import api as scheduler_api
from ucam_faas.emulator.scheduler.api import SchedulerApi
from ucam_faas.emulator.targets.names import LocationsApi, location_methods

PUBLISHER = "google.pubsub.v1.Publisher"
SUBSCRIBER = "google.pubsub.v1.Subscriber"
SCHEMAS = "google.pubsub.v1.SchemaService"
IAM = "google.iam.v1.IAMPolicy"
SCHEDULER = "google.cloud.scheduler.v1.CloudScheduler"
CLOUD_TASKS = "google.cloud.tasks.v2.CloudTasks"
LOCATIONS = "google.cloud.location.Locations"
_READS = ("Get", "List", "Test")


@dataclass(frozen=True, slots=True)
class Method:
    """One unary method: the classes of its messages, and its function."""

    request: Any
    response: Any
    call: Callable[[Any], Awaitable[Any]]
    """Raises RpcError."""


class Services:
    """All methods.

    Args:
        hub: saves before a method is answered.
        publisher: topics.
        subscriber: subscriptions.
        pulling: Pull and StreamingPull.
        iam: policies.
        schemas: schemas.
        scheduler: Cloud Scheduler.
        cloud_tasks: Cloud Tasks.
        locations: of these two, whose messages are heavy to import.
    """

    def __init__(
        self,
        hub: Hub,
        publisher: PublisherApi,
        subscriber: SubscriberApi,
        pulling: Pulling,
        iam: IamApi,
        schemas: SchemasApi,
        scheduler: SchedulerApi,
        cloud_tasks: CloudTasksApi,
        locations: LocationsApi,
    ) -> None:
        self._hub = hub
        self._heavy: dict[str, tuple[Any, Callable[[], protos.Methods]]] = {
            SCHEDULER: (scheduler, scheduler_api.methods),
            CLOUD_TASKS: (cloud_tasks, cloud_tasks_api.methods),
            LOCATIONS: (locations, location_methods),
        }
        self.pulling = pulling
        self._methods: dict[tuple[str, str], Method] = {}
        self._add(PUBLISHER, publisher, protos.PUBLISHER)
        self._add(SUBSCRIBER, subscriber, protos.SUBSCRIBER)
        self._add(IAM, iam, protos.IAM)
        self._add(SCHEMAS, schemas, protos.SCHEMAS)

    def find(self, service: str, method: str) -> Method | None:
        """Return a unary method, or nothing if this emulator does not know it."""
        if service in self._heavy:
            api, methods = self._heavy.pop(service)
            self._add(service, api, methods())
        return self._methods.get((service, method))

    def _add(self, service: str, api: Any, methods: protos.Methods) -> None:
        for name, (request, response) in methods.items():
            call: Callable[[Any], Awaitable[Any]]
            if name == "Pull":
                call = self.pulling.pull
            elif name.startswith(_READS):
                call = _reading(getattr(api, _snake(name)))
            else:
                call = self._saving(getattr(api, _snake(name)))
            self._methods[service, name] = Method(request, response, call)

    def _saving(self, function: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
        async def call(request: Any) -> Any:
            response = function(request)
            await self._hub.saved()
            return response

        return call


def _reading(function: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def call(request: Any) -> Any:
        return function(request)

    return call


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def unknown(service: str, method: str) -> RpcError:
    """Return the error for an unknown method."""
    return RpcError("UNIMPLEMENTED", f"There is no method {method!r} in {service!r}.")
