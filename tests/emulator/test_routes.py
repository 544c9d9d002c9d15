"""The table of routes is that of the REST transports in Google's client libraries."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.cloud_tasks import api as cloud_tasks_api
from ucam_faas.emulator.scheduler import api
from ucam_faas.emulator.targets.names import location_methods
from ucam_faas.emulator.wire.methods import (
    CLOUD_TASKS,
    IAM,
    LOCATIONS,
    PUBLISHER,
    SCHEDULER,
    SCHEMAS,
    SUBSCRIBER,
)
from ucam_faas.emulator.wire.routes import Route, find, routes


def googles() -> dict[str, list[Any]]:
    """Return the transports of Google's client libraries that have a service's methods."""
    pytest.importorskip(
        "google.pubsub_v1.services.publisher.transports.rest_base",
        reason="google-cloud-pubsub before 2.28 keeps its routes elsewhere",
    )
    from google.cloud.scheduler_v1.services.cloud_scheduler.transports.rest_base import (
        _BaseCloudSchedulerRestTransport as scheduler,
    )
    from google.cloud.tasks_v2.services.cloud_tasks.transports.rest_base import (
        _BaseCloudTasksRestTransport as tasks,
    )
    from google.pubsub_v1.services.publisher.transports.rest_base import (
        _BasePublisherRestTransport as publisher,
    )
    from google.pubsub_v1.services.schema_service.transports.rest_base import (
        _BaseSchemaServiceRestTransport as schemas,
    )
    from google.pubsub_v1.services.subscriber.transports.rest_base import (
        _BaseSubscriberRestTransport as subscriber,
    )

    return {
        PUBLISHER: [publisher],
        SUBSCRIBER: [subscriber],
        SCHEDULER: [scheduler],
        CLOUD_TASKS: [tasks],
        LOCATIONS: [scheduler, tasks],
        IAM: [publisher],
        SCHEMAS: [schemas],
    }


def options_of(route: Route) -> list[dict[str, str]]:
    """Return the forms that Google's client library knows of a route's method."""
    return [
        option
        for transport in googles()[route.service]
        for option in getattr(transport, f"_Base{route.method}")._get_http_options()
    ]


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.verb} {route.template}")
def test_a_route_is_googles(route: Route) -> None:
    ours = {"method": route.verb.lower(), "uri": route.template}
    if route.body:
        ours["body"] = route.body

    assert ours in options_of(route)


def test_every_unary_method_has_a_route() -> None:
    methods = {
        PUBLISHER: protos.PUBLISHER,
        SUBSCRIBER: protos.SUBSCRIBER,
        IAM: protos.IAM,
        SCHEMAS: protos.SCHEMAS,
        SCHEDULER: api.methods(),
        CLOUD_TASKS: cloud_tasks_api.methods(),
        LOCATIONS: location_methods(),
    }

    routed = {(route.service, route.method) for route in routes()}

    assert routed == {(service, name) for service, table in methods.items() for name in table}


def test_no_path_belongs_to_two_methods() -> None:
    for route in routes():
        path = re.sub(r"{[\w.]+=([^}]+)}", r"\1", route.template).replace("*", "x")

        match = find(route.verb, path)

        assert match is not None
        assert match[0] is route


def test_a_project_may_have_a_domain() -> None:
    match = find("POST", "/v1/projects/example.com:p/topics/t:publish")

    assert match is not None
    assert (match[0].method, match[1]) == ("Publish", "projects/example.com:p/topics/t")
