"""The trace goes on: in messages that are published, in jobs, and in their wakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode, use_span
from pydantic import BaseModel

import ucam_faas
from ucam_faas import Retry
from ucam_faas.clock import SystemClock
from ucam_faas.events import envelopes
from ucam_faas.events.messages import MessagePublishedData, PubsubMessage
from ucam_faas.exceptions import NoSuchTopicError
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.job_runs import arrivals
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing import Draft
from ucam_faas.tasks import registry
from ucam_faas.telemetry import context
from ucam_faas.testing import make_message, make_push

from .memory import Recorder, recorder

PARENT = "googclient_traceparent"
CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Order(BaseModel):
    number: int = 0


attempts: list[int] = []


@ucam_faas.message_handler(topic="paid")
def ship(order: Order) -> None:
    attempts.append(order.number)
    if order.number == 7 and len(attempts) == 1:
        raise Retry


@ucam_faas.message_handler(topic="orders")
def pay(order: Order) -> None:
    ship.publish(order)
    ship.send(order)


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    attempts.clear()


@pytest.fixture
def here() -> Iterator[Recorder]:
    """Without a store; and with it outside of executions, where a script sends."""
    here = recorder("paid", "ship-inbox", "other")
    token = CURRENT.set(here.runtime)
    yield here
    CURRENT.reset(token)


@pytest.fixture
def with_store() -> Iterator[Recorder]:
    here = recorder("paid", "ship-inbox", store=SqliteStore(":memory:", SystemClock()))
    token = CURRENT.set(here.runtime)
    yield here
    CURRENT.reset(token)


def messages(here: Recorder, topic: str) -> list[PubsubMessage]:
    return here.publisher.topics[f"projects/p/topics/{topic}"]


def trace_of(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def run_wake(here: Recorder, wake: PubsubMessage) -> None:
    """Deliver a message of an inbox."""
    task = registry.task_of(ship)
    assert task is not None
    subscription = "projects/p/subscriptions/ship-inbox"
    delivery = envelopes.of_message(MessagePublishedData(message=wake, subscription=subscription))
    job = arrivals.job_in_inbox(here.runtime, task, delivery)
    execute(Execution(task, delivery, here.runtime, job=job))


def test_a_publish_is_a_producers_span_in_the_message(here: Recorder) -> None:
    id = ship.publish(Order())

    span = here.span("publish paid")
    attributes = dict(span.attributes or {})
    assert span.kind is SpanKind.PRODUCER
    assert attributes == {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "paid",
        "messaging.message.id": id,
        "gcp.project_id": "p",
    }
    assert messages(here, "paid")[0].attributes[PARENT] == trace_of(span)


def test_a_context_of_the_caller_stays(here: Recorder) -> None:
    ship.publish(Order(), attributes={PARENT: CALLERS})

    assert messages(here, "paid")[0].attributes[PARENT] == CALLERS
    assert here.spans() == []


def test_a_context_of_the_caller_stays_beside_messages_without_one(here: Recorder) -> None:
    topic = "projects/p/topics/paid"
    drafts = [Draft(b"1", {PARENT: CALLERS}), Draft(b"2", {})]

    here.runtime.outgoing().publish_many(topic, drafts)

    traces = [message.attributes[PARENT] for message in messages(here, "paid")]
    assert traces == [CALLERS, trace_of(here.span("publish paid"))]


def test_a_message_with_a_hundred_attributes_is_published_without(here: Recorder) -> None:
    ship.publish(Order(), attributes={f"name{number}": "" for number in range(100)})

    assert PARENT not in messages(here, "paid")[0].attributes


def test_a_state_that_pubsub_would_refuse_is_left_out(here: Recorder) -> None:
    """Its length is the sender's: 32 members of 513 characters are valid."""
    state = ",".join(f"name{number}={'x' * 250}" for number in range(5))
    attributes = {PARENT: CALLERS, "googclient_tracestate": state}

    parent = context.of_message(attributes)
    assert parent is not None

    with use_span(NonRecordingSpan(parent)):
        ship.publish(Order())

    (message,) = messages(here, "paid")
    assert message.attributes[PARENT].split("-")[1] == CALLERS.split("-")[1]
    assert "googclient_tracestate" not in message.attributes


def test_a_request_that_a_trace_could_take_over_the_limit_is_published_without(
    here: Recorder,
) -> None:
    """Of 10 MB: attributes count, too."""
    large = {f"name{number}": "x" * 1000 for number in range(35)}
    drafts = [Draft(b"x" * 60_000, large)] * 100

    here.runtime.outgoing().publish_many("projects/p/topics/paid", drafts)

    assert not any(PARENT in message.attributes for message in messages(here, "paid"))


def test_a_publish_that_fails_is_an_error(here: Recorder) -> None:
    del here.publisher.topics["projects/p/topics/paid"]

    with pytest.raises(NoSuchTopicError):
        ship.publish(Order())

    span = here.span("publish paid")
    assert dict(span.attributes or {})["error.type"] == "NoSuchTopicError"
    assert span.status.status_code is StatusCode.ERROR


def test_a_task_publishes_and_sends_below_its_own_span(here: Recorder) -> None:
    message = make_message({"number": 1}, attributes={PARENT: CALLERS})
    here.run(pay, make_push(message, subscription="projects/p/subscriptions/pay"))

    process, publish, send = map(here.span, ("process pay", "publish paid", "send ship"))
    assert publish.parent == send.parent == process.get_span_context()
    assert messages(here, "paid")[0].attributes[PARENT] == trace_of(publish)
    assert messages(here, "ship-inbox")[0].attributes[PARENT] == trace_of(send)
    assert {span.get_span_context().trace_id for span in here.spans()} == {
        int(CALLERS.split("-")[1], 16)
    }


def test_a_job_runs_below_its_send(with_store: Recorder) -> None:
    here = with_store

    job = ship.send(Order(number=1))
    (wake,) = messages(here, "ship-inbox")
    run_wake(here, wake)

    send, process = here.span("send ship"), here.span("process ship-inbox")
    assert wake.attributes[PARENT] == trace_of(send)
    assert process.parent is not None
    assert process.parent.span_id == send.get_span_context().span_id
    assert dict(process.attributes or {})["ucam_faas.job_id"] == job.id


def test_a_job_runs_below_its_send_again_and_is_linked_to_the_attempt_before(
    with_store: Recorder,
) -> None:
    here = with_store
    ship.send(Order(number=7))

    run_wake(here, messages(here, "ship-inbox")[0])
    lost = {"ucam_faas_job": messages(here, "ship-inbox")[0].attributes["ucam_faas_job"]}
    run_wake(here, messages(here, "ship-inbox")[-1])
    run_wake(here, PubsubMessage(data=b"", attributes=lost, message_id="of the sweep"))

    send, (first, *_) = here.span("send ship"), here.spans("process ship-inbox")
    assert {span.parent.span_id for span in here.spans("process ship-inbox") if span.parent} == {
        send.get_span_context().span_id
    }
    assert dict(first.attributes or {})["ucam_faas.outcome"] == "recorded"


def test_a_wake_that_comes_late_makes_no_span(with_store: Recorder) -> None:
    here = with_store
    ship.send(Order())
    (wake,) = messages(here, "ship-inbox")

    run_wake(here, wake)
    run_wake(here, wake)

    assert len(here.spans("process ship-inbox")) == 1


def test_many_jobs_are_one_send(with_store: Recorder) -> None:
    here = with_store

    ship.send_many([Order(number=1), Order(number=2)])

    span = here.span("send ship")
    assert dict(span.attributes or {})["messaging.batch.message_count"] == 2
    assert {wake.attributes[PARENT] for wake in messages(here, "ship-inbox")} == {trace_of(span)}


def test_the_id_of_a_job_does_not_depend_on_the_trace(with_store: Recorder) -> None:
    here = with_store
    push = make_push(make_message({"number": 1}, message_id="1"))

    here.run(pay, push)
    here.run(pay, push)

    ids = {wake.attributes["ucam_faas_job"] for wake in messages(here, "ship-inbox")}
    assert len(ids) == 1


def test_the_same_job_with_another_trace_is_no_conflict(with_store: Recorder) -> None:
    """A task may pass the attributes of its message on."""
    for trace in (CALLERS, CALLERS.replace("b7ad", "c8be")):
        ship.send(Order(), id="7", attributes={PARENT: trace})

    assert len(messages(with_store, "ship-inbox")) == 1


def test_telemetry_that_raises_keeps_no_message_back(
    here: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A processor of user code may raise at the start and at the end of a span."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a processor of the user")

    monkeypatch.setattr(Tracer, "start_span", fail)

    ship.publish(Order())

    assert len(messages(here, "paid")) == 1
    assert "ucam_faas_telemetry_failed" in caplog.text
