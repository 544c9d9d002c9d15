"""Google's own publisher and subscriber, with their OpenTelemetry option: one trace through all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.types import PublisherOptions, SubscriberOptions
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integration.processes import HANG_SECONDS, wait_until
from tests.worker.processes import PubSub, pubsub, worker

from .receiver import Receiver, receiving, values

pytestmark = pytest.mark.slow

TASKS = """
import ucam_faas
from pydantic import BaseModel


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(topic="shipped")
def ship(order: Order) -> None:
    pass


@ucam_faas.message_handler(topic="orders", publishes=[ship])
def pay(order: Order) -> None:
    ship.publish(order)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans of Google's clients, which take the global provider."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return spans


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSub]:
    with pubsub(tmp_path / "pubsub") as cloud:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", cloud.host)
        yield cloud


def test_a_trace_goes_from_googles_publisher_through_tasks_to_googles_subscriber(
    tmp_path: Path, cloud: PubSub, receiver: Receiver, theirs: InMemorySpanExporter
) -> None:
    """It is pulled, and the worker exports what is left at its end."""
    source = tmp_path / "main.py"
    source.write_text(TASKS)
    environ = {"SOURCE": str(source), "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    with worker(tmp_path / "worker", cloud, "--messages-limit", "2", **environ) as process:
        came = threading.Event()
        with subscribed(came):
            options = PublisherOptions(enable_open_telemetry_tracing=True)
            publisher = pubsub_v1.PublisherClient(publisher_options=options)
            body = json.dumps({"number": 1}).encode()
            publisher.publish("projects/local/topics/orders", body).result(HANG_SECONDS)
            publisher.stop()
            assert came.wait(HANG_SECONDS)
        assert process.wait() == 0

    (create,) = named(theirs, "orders create")
    (subscribe,) = named(theirs, "other subscribe")
    spans = {span.name: span for span in receiver.spans}
    pay, publish, ship = spans["process pay"], spans["publish shipped"], spans["process ship"]
    assert pay.parent_span_id.hex() == id_of(create.get_span_context())
    assert publish.parent_span_id == pay.span_id
    assert ship.parent_span_id == publish.span_id
    assert id_of(subscribe.parent) == publish.span_id.hex()
    own, google = values(pay.attributes), dict(create.attributes or {})
    for shared in ("messaging.system", "gcp.project_id"):
        assert own[shared] == google[shared]


def subscribed(came: threading.Event) -> Any:
    """Subscribe to the topic of the second task with Google's client."""
    client = pubsub_v1.SubscriberClient(
        subscriber_options=SubscriberOptions(enable_open_telemetry_tracing=True)
    )
    name = "projects/local/subscriptions/other"
    client.create_subscription(name=name, topic="projects/local/topics/shipped")

    def take(message: Any) -> None:
        message.ack()
        came.set()

    return Subscribed(client, client.subscribe(name, take))


class Subscribed:
    """A subscriber that ends with a block."""

    def __init__(self, client: Any, pulling: Any) -> None:
        self._client, self._pulling = client, pulling

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._pulling.cancel()
        self._pulling.result(HANG_SECONDS)
        self._client.close()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """Return the spans of a name, as soon as there are some."""

    def find() -> list[ReadableSpan]:
        return [span for span in spans.get_finished_spans() if span.name == name]

    return wait_until(find, name)


def id_of(context: Any) -> str:
    return f"{context.span_id:016x}"
