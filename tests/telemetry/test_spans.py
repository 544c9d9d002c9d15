"""The spans of executions: names, parents, links and attributes, kept in memory."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

import ucam_faas
from tests.serving.harness import exchange
from ucam_faas import BatchMessage, BatchResult, DeadLetter, Retry
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.message_batch import execution_of
from ucam_faas.execution.pipeline import execute
from ucam_faas.serving.app import App
from ucam_faas.tasks import registry
from ucam_faas.telemetry.context import parent_text
from ucam_faas.testing import Push, make_message, make_push

from .memory import recorder

PUBLISHED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUESTED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SUBSCRIPTION = "projects/p/subscriptions/store-sub"


class Order(BaseModel):
    number: int


current: list[trace.Span] = []


@ucam_faas.message_handler(topic="orders")
def store(order: Order) -> None:
    current.append(trace.get_current_span())
    if order.number == 1:
        raise Retry
    if order.number == 2:
        raise DeadLetter("never")
    if order.number == 3:
        raise ValueError("secret")
    if order.number == 4:
        raise ucam_faas.UCAMFAASException("secret")


@ucam_faas.message_handler(topic="orders")
async def store_async(order: Order) -> None:
    await asyncio.sleep(0)
    current.append(trace.get_current_span())


@ucam_faas.cloud_event
def record(event: object) -> None: ...


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-01"


def push_of(number: int, trace_of_message: str = "", **options: Any) -> Any:
    attributes = {"googclient_traceparent": trace_of_message} if trace_of_message else {}
    message = make_message({"number": number}, attributes=attributes, ordering_key="customer-7")
    return make_push(message, subscription=SUBSCRIPTION, **options)


def test_the_message_is_the_parent_and_both_are_links() -> None:
    """The conventions want a link to each message, whatever the parent is."""
    here, push = recorder(), push_of(0, PUBLISHED)
    push.headers["traceparent"] = REQUESTED

    here.run(store, push)

    span = here.span("process store-sub")
    assert parent_of(span) == PUBLISHED
    assert [parent_text(link.context) for link in span.links] == [PUBLISHED, REQUESTED]


def test_without_a_trace_in_the_message_the_request_is_the_parent() -> None:
    here, push = recorder(), push_of(0)
    push.headers["traceparent"] = REQUESTED

    here.run(store, push)

    span = here.span("process store-sub")
    assert parent_of(span) == REQUESTED
    assert list(span.links) == []


def test_the_state_of_the_trace_goes_on() -> None:
    here = recorder()
    attributes = {"googclient_traceparent": PUBLISHED, "googclient_tracestate": "a=1,b=2"}

    here.run(store, make_push(make_message({"number": 0}, attributes=attributes)))

    (span,) = here.spans()
    assert dict(context_of(span).trace_state) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("state", ["a=" + "b" * 10_000, "no", "a=1,a=2"])
def test_a_malformed_state_is_dropped_and_not_logged(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a sender's text, of any length."""
    here = recorder()
    attributes = {"googclient_traceparent": PUBLISHED, "googclient_tracestate": state}

    here.run(store, make_push(make_message({"number": 0}, attributes=attributes)))

    (span,) = here.spans()
    assert dict(context_of(span).trace_state) == {}
    assert state not in caplog.text


@pytest.mark.parametrize("text", ["", "no", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_trace_begins_a_new_one(text: str) -> None:
    here = recorder()

    here.run(store, push_of(0, text))

    assert here.span("process store-sub").parent is None


def test_the_attributes_are_those_of_the_conventions() -> None:
    here = recorder()

    here.run(store, push_of(0, delivery_attempt=3))

    span = here.span("process store-sub")
    attributes = dict(span.attributes or {})
    assert span.kind is SpanKind.CONSUMER
    assert attributes.pop("messaging.message.id")
    assert attributes.pop("faas.invocation_id")
    assert attributes == {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "store-sub",
        "messaging.destination.subscription.name": "store-sub",
        "messaging.gcp_pubsub.message.delivery_attempt": 3,
        "messaging.message.body.size": len(b'{"number": 0}'),
        "gcp.project_id": "p",
        "faas.trigger": "pubsub",
        "faas.coldstart": True,
        "ucam_faas.task": "store",
        "ucam_faas.outcome": "done",
    }


@pytest.mark.parametrize(
    ("headers", "trigger", "kind"),
    [
        ({"x-cloudscheduler-jobname": "nightly"}, "timer", SpanKind.SERVER),
        (
            {"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"},
            "other",
            SpanKind.CONSUMER,
        ),
    ],
    ids=["Cloud Scheduler", "event"],
)
def test_a_delivery_without_pubsub_is_no_message(
    headers: dict[str, str], trigger: str, kind: SpanKind
) -> None:
    """Tasks of messages take Cloud Scheduler's requests, too, as messages made of their bodies."""
    here = recorder()
    function = store if trigger == "timer" else record

    here.run(function, Push(b'{"number": 0}', {"content-type": "application/json", **headers}))

    (span,) = here.spans()
    attributes = dict(span.attributes or {})
    assert (attributes["faas.trigger"], span.kind) == (trigger, kind)
    assert [name for name in attributes if name.startswith("messaging.")] == []
    assert "messaging.client.consumed.messages" not in here.metrics()
    (duration,) = here.metrics()["faas.invoke_duration"]
    assert duration.attributes["faas.trigger"] == trigger


def test_the_length_of_what_a_sender_chooses_is_limited() -> None:
    """Two thousand spans may wait for a receiver."""
    here = recorder()
    message = make_message({"number": 0}).model_copy(update={"message_id": "1" * 10_000})

    here.run(store, make_push(message, subscription=f"projects/p/subscriptions/{'s' * 10_000}"))

    (span,) = here.spans()
    assert len(span.name) < 300
    assert all(len(str(value)) <= 256 for value in (span.attributes or {}).values())


def test_only_the_first_span_of_a_process_is_a_cold_start() -> None:
    here = recorder()

    here.run(store, push_of(0))
    here.run(store, push_of(0))

    starts = [dict(span.attributes or {})["faas.coldstart"] for span in here.spans()]
    assert starts == [True, False]


def test_an_ordering_key_is_shown_only_where_payloads_are() -> None:
    here = recorder(log_payloads=True)

    here.run(store, push_of(0))

    attributes = dict(here.span("process store-sub").attributes or {})
    assert attributes["messaging.gcp_pubsub.message.ordering_key"] == "customer-7"


@pytest.mark.parametrize(
    ("number", "outcome", "error"),
    [
        (1, "retry", None),
        (2, "dead_letter", "dead_letter"),
        (3, "crashed", "ValueError"),
        (4, "failed", "UCAMFAASException"),
    ],
)
def test_a_failure_is_an_error_without_its_text(
    number: int, outcome: str, error: str | None
) -> None:
    """A retry that the task asks for is none."""
    here = recorder()

    here.run(store, push_of(number))

    span = here.span("process store-sub")
    attributes = dict(span.attributes or {})
    assert attributes["ucam_faas.outcome"] == outcome
    assert attributes.get("error.type") == error
    assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
    assert "secret" not in span.to_json()


def test_the_text_of_an_error_is_recorded_if_the_log_has_it() -> None:
    here = recorder(log_exception_text=True)

    here.run(store, push_of(3))

    (event,) = here.span("process store-sub").events
    assert dict(event.attributes or {})["exception.message"] == "secret"


def test_a_refused_payload_has_a_span() -> None:
    here = recorder()

    here.run(store, make_push({"number": "x"}, subscription=SUBSCRIPTION))

    attributes = dict(here.span("process store-sub").attributes or {})
    assert attributes["ucam_faas.outcome"] == "invalid_payload"
    assert attributes["error.type"] == "ValidationError"


@pytest.mark.parametrize("function", [store, store_async])
def test_the_span_is_the_functions_current_one(function: Any) -> None:
    here = recorder()
    current.clear()

    here.run(function, push_of(0))

    assert [span.get_span_context() for span in current] == [context_of(here.spans()[0])]
    assert trace.get_current_span() is trace.INVALID_SPAN


@ucam_faas.batch_handler(message_type=Order)
def store_all(messages: list[BatchMessage[Order]]) -> BatchResult:
    current.append(trace.get_current_span())
    return BatchResult({messages[-1]: Retry()})


def test_a_batch_is_one_span_with_a_link_to_each_message() -> None:
    here = recorder()
    task = registry.task_of(store_all)
    assert task is not None
    members = [
        Execution(task, envelopes.decode(push.body, {}), here.runtime)
        for push in (push_of(0, PUBLISHED), push_of(1, REQUESTED), push_of(2))
    ]
    current.clear()

    execute(execution_of(task, members, ["", "", ""]))

    span = here.span("process store-sub")
    attributes = dict(span.attributes or {})
    assert span.parent is None
    assert [parent_text(link.context) for link in span.links] == [PUBLISHED, REQUESTED]
    assert attributes["messaging.batch.message_count"] == 3
    assert attributes["messaging.destination.name"] == "store-sub"
    assert current[0].get_span_context() == context_of(span)
    outcomes = here.metrics()["ucam_faas.outcomes"]
    assert {point.attributes["ucam_faas.outcome"]: point.value for point in outcomes} == {
        "done": 2,
        "retry": 1,
    }
    assert here.metrics()["messaging.client.consumed.messages"][0].value == 3


def test_log_lines_carry_the_span(caplog: pytest.LogCaptureFixture) -> None:
    here = recorder()
    caplog.set_level(logging.INFO, "ucam_faas")

    here.run(store, push_of(0, PUBLISHED))

    (line,) = [each for each in caplog.records if each.msg == "ucam_faas_function_completed"]
    span = context_of(here.spans()[0])
    context = line.__dict__["context"]
    assert context.span_id == f"{span.span_id:016x}"
    assert context.trace == f"projects/p/traces/{span.trace_id:032x}"
    assert context.sampled is True


def test_code_of_opentelemetry_that_raises_changes_no_outcome(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = recorder()
    assert here.runtime.telemetry is not None

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a processor of the user")

    for name in ("begin", "end"):
        monkeypatch.setattr(here.runtime.telemetry, name, fail)

    conclusion = here.run(store, push_of(0))

    assert type(conclusion.outcome).__name__ == "Done"
    assert "ucam_faas_telemetry_failed" in caplog.text


@ucam_faas.http(path="/rooms/<room>", methods=["GET"])
def show(room: str) -> Any:
    return {"room": room}, 503 if room == "full" else 200


def test_an_http_task_has_a_servers_span_without_the_path() -> None:
    here = recorder()
    task = registry.task_of(show)
    assert task is not None

    async def requests() -> None:
        app = App([task], here.runtime)
        for room in ("secret", "full"):
            await exchange(app, f"/rooms/{room}", method="GET")

    asyncio.run(requests())

    first, second = here.spans("GET /rooms/<room>")
    attributes = dict(first.attributes or {})
    assert first.kind is SpanKind.SERVER
    assert attributes["http.route"] == "/rooms/<room>"
    assert attributes["http.response.status_code"] == 200
    assert attributes["faas.trigger"] == "http"
    assert "secret" not in first.to_json()
    assert dict(second.attributes or {})["error.type"] == "503"
