"""The metrics, and their labels: none has an id, a text, or a name that a sender chooses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from pydantic import BaseModel

import ucam_faas
from tests.integration.processes import HANG_SECONDS
from ucam_faas import DeadLetter, Retry
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.telemetry.metrics import Metrics
from ucam_faas.telemetry.telemetry import Telemetry, Tools
from ucam_faas.testing import ManualClock, make_message, make_push

from .memory import Recorder, recorder

TASK = {"ucam_faas.task": "store"}
PROCESS = {**TASK, "messaging.system": "gcp_pubsub", "messaging.operation.name": "process"}


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(topic="orders", dead_letter_topic="dead")
def store(order: Order) -> None:
    if order.number == 1:
        raise Retry
    if order.number == 2:
        raise DeadLetter("never")
    if order.number == 3:
        raise ValueError("secret")


@ucam_faas.raw_event
def count(body: bytes) -> None: ...


def points(here: Recorder, name: str) -> list[tuple[dict[str, Any], Any]]:
    """Return the labels and the value of each point of a metric; of a histogram, its sum."""
    return [
        (dict(point.attributes), getattr(point, "value", getattr(point, "sum", None)))
        for point in here.metrics().get(name, [])
    ]


def push_of(number: int, attempt: int | None = None) -> Any:
    return make_push({"number": number}, delivery_attempt=attempt)


def test_an_execution_is_measured() -> None:
    here = recorder()

    here.run(store, push_of(0))

    ((labels, seconds),) = points(here, "messaging.process.duration")
    assert labels == PROCESS
    assert seconds > 0
    assert points(here, "messaging.client.consumed.messages") == [(PROCESS, 1)]
    assert points(here, "ucam_faas.outcomes") == [({**TASK, "ucam_faas.outcome": "done"}, 1)]
    assert points(here, "ucam_faas.message.attempt") == []


def test_a_duration_leads_to_its_trace() -> None:
    """By an exemplar; others would cost more than they tell."""
    here = recorder()

    here.run(store, push_of(0, attempt=1))

    (span,) = here.spans()
    exemplars = {
        name: [exemplar.span_id for point in points for exemplar in point.exemplars]
        for name, points in here.metrics().items()
    }
    context = span.get_span_context()
    assert context is not None
    assert exemplars.pop("messaging.process.duration") == [context.span_id]
    assert set(map(tuple, exemplars.values())) == {()}


def test_a_failure_has_its_type() -> None:
    here = recorder()

    here.run(store, push_of(3))

    ((labels, _),) = points(here, "messaging.process.duration")
    assert labels == {**PROCESS, "error.type": "ValueError"}


def test_a_dead_letter_is_counted_and_so_is_its_publish() -> None:
    here = recorder("dead")

    here.run(store, push_of(2))

    outcome = {**TASK, "ucam_faas.outcome": "dead_lettered"}
    assert points(here, "ucam_faas.outcomes") == [(outcome, 1)]
    assert points(here, "ucam_faas.dead_letters") == [(TASK, 1)]
    ((labels, sent),) = points(here, "messaging.client.sent.messages")
    assert (labels["messaging.destination.name"], sent) == ("dead", 1)


def test_the_age_and_the_attempt_are_measured_at_the_start() -> None:
    clock = ManualClock()
    here = recorder(clock=clock)
    clock.advance(timedelta(seconds=90))

    here.run(store, push_of(1, attempt=4))

    assert points(here, "ucam_faas.message.age") == [(TASK, 90.0)]
    assert points(here, "ucam_faas.message.attempt") == [(TASK, 4)]
    assert points(here, "ucam_faas.queue.wait") == [(TASK, 0.0)]


def test_an_execution_without_a_message_is_an_invocation() -> None:
    here = recorder()

    here.run(count, make_push({}))

    ((labels, _),) = points(here, "faas.invoke_duration")
    assert labels == {"ucam_faas.task": "count", "faas.trigger": "other"}
    assert points(here, "messaging.process.duration") == []


def test_a_publish_is_measured_also_if_it_fails() -> None:
    here = recorder("orders")
    token = CURRENT.set(here.runtime)

    store.publish(Order(number=0))
    here.publisher.topics.clear()
    with pytest.raises(ucam_faas.PublishError):
        store.publish(Order(number=0))
    CURRENT.reset(token)

    sent = points(here, "messaging.client.sent.messages")
    assert [(labels.get("error.type"), number) for labels, number in sent] == [
        (None, 1),
        ("NoSuchTopicError", 1),
    ]
    assert len(points(here, "messaging.client.operation.duration")) == 2


def test_the_labels_have_no_values_of_senders() -> None:
    """Two hundred different senders, subscriptions and payloads: one point of each metric."""
    here = recorder()

    for number in range(200):
        message = make_message(
            {"number": 0},
            attributes={"customer": f"marker-{number}"},
            ordering_key=f"marker-{number}",
            message_id=f"marker-{number}",
        )
        here.run(store, make_push(message, subscription=f"projects/p/subscriptions/x{number}"))

    assert {name: len(points) for name, points in here.metrics().items()} == {
        "messaging.process.duration": 1,
        "messaging.client.consumed.messages": 1,
        "ucam_faas.outcomes": 1,
        "ucam_faas.message.age": 1,
        "ucam_faas.queue.wait": 1,
    }
    labels = [dict(point.attributes) for points in here.metrics().values() for point in points]
    assert "marker" not in json.dumps(labels)


class Reader:
    """Counts exports."""

    def __init__(self) -> None:
        self.exports = 0

    def export(self) -> str:
        self.exports += 1
        return ""


def test_metrics_are_exported_at_their_interval_and_at_the_end() -> None:
    """A flush for the spans of an answer leaves them: Cloud Monitoring refuses points so often."""
    clock, reader, here = ManualClock(), Reader(), recorder()
    tools = Tools(
        trace.NoOpTracer(),
        Metrics(MeterProvider(shutdown_on_exit=False), "ucam_faas"),
        reader=reader,  # type: ignore[arg-type]
    )
    telemetry = Telemetry(Settings(otel_metric_interval=60_000), tools=tools, clock=clock)
    runtime = replace(here.runtime, telemetry=telemetry)
    exports = []

    for seconds in (1, 60, 1, 1):
        clock.advance(seconds)
        replace(here, runtime=runtime).run(store, push_of(0))
        assert telemetry.flush(HANG_SECONDS)
        exports.append(reader.exports)
    telemetry.close()

    assert exports == [0, 1, 1, 1]
    assert reader.exports == 2
