"""Testing tasks without a server, and their HTTP side without a socket.

>>> import ucam_faas
>>> from ucam_faas import testing
>>> @ucam_faas.message_handler(message_type=None)
... def measure(data: bytes) -> dict[str, int]:
...     return {"bytes": len(data)}
>>> testing.run(measure, b"four").result
{'bytes': 4}
>>> with testing.serve(measure) as client:
...     client.push("measure", b"four").status
200
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing.client import Client, ClientFactory, ClientResponse, serve
from ucam_faas.testing.clock import ManualClock
from ucam_faas.testing.events import (
    PUBLISH_TIME,
    SUBSCRIPTION,
    Push,
    make_cloud_event,
    make_message,
    make_message_event,
    make_push,
)
from ucam_faas.testing.job_runner import JobDeliveries, Jobs, JobsFactory, jobs
from ucam_faas.testing.not_idle import NotIdleError
from ucam_faas.testing.of_1_0 import CreateEventAppClientFn, cloud_event_factory
from ucam_faas.testing.overrides import overrides
from ucam_faas.testing.tasks import conclude, run, run_batch

if TYPE_CHECKING:
    from polyfactory.factories.pydantic_factory import ModelFactory

    class CloudEventFactory(ModelFactory[Any]):
        """Makes CloudEvents of random attributes and data, as in 1.0; see `make_cloud_event`."""


__all__ = [
    "PUBLISH_TIME",
    "SUBSCRIPTION",
    "Client",
    "ClientFactory",
    "ClientResponse",
    "CreateEventAppClientFn",
    "JobDeliveries",
    "Jobs",
    "JobsFactory",
    "ManualClock",
    "MemoryPublisher",
    "NotIdleError",
    "Push",
    "conclude",
    "jobs",
    "make_cloud_event",
    "make_message",
    "make_message_event",
    "make_push",
    "overrides",
    "run",
    "run_batch",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name == "CloudEventFactory":  # it needs an extra
        return cloud_event_factory()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
