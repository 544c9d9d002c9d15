"""The helpers for users' tests do what they say, without waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.pubsub_v1.types import Topic
from pydantic import BaseModel, Field

from tests.support.sources import Sources
from ucam_faas import (
    AbortedExecutionResult,
    Retry,
    UCAMFAASCouldNotLoadTarget,
    message_handler,
    raw_event,
)
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events.envelopes import decode
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import Crashed, Done, InvalidPayload
from ucam_faas.testing import (
    PUBLISH_TIME,
    SUBSCRIPTION,
    Client,
    ManualClock,
    MemoryPublisher,
    conclude,
    make_cloud_event,
    make_message,
    make_message_event,
    make_push,
    run,
    serve,
)
from ucam_faas.testing.events import to_bytes


class User(BaseModel):
    name: str


@message_handler(message_type=User)
def greet(user: User) -> str:
    return f"Hello {user.name}"


@raw_event
def shout(body: bytes) -> str:
    return body.decode().upper()


# --- the clock


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock()

    assert clock.now() == clock.now() == PUBLISH_TIME
    assert clock.monotonic() == clock.monotonic() == 0


def test_advancing_moves_both_times() -> None:
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))

    clock.advance(timedelta(days=365, seconds=1.5))

    assert clock.now() == datetime(2031, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)
    assert clock.monotonic() == 365 * 86400 + 1.5


def test_what_becomes_due_is_called_in_order_at_its_time() -> None:
    clock = ManualClock()
    called: list[tuple[str, float]] = []
    for name, delay in [("late", 3.0), ("early", 1.0), ("not yet", 10.0), ("also late", 3.0)]:
        clock.call_later(delay, lambda name=name: called.append((name, clock.monotonic())))

    clock.advance(timedelta(seconds=5))

    assert called == [("early", 1.0), ("late", 3.0), ("also late", 3.0)]
    assert clock.monotonic() == 5


def test_what_is_due_exactly_now_is_called() -> None:
    clock = ManualClock()
    called: list[int] = []
    clock.call_later(5, lambda: called.append(1))

    clock.advance(timedelta(seconds=4.999))
    before = list(called)
    clock.advance(timedelta(seconds=0.001))

    assert (before, called) == ([], [1])


def test_what_was_cancelled_is_not_called() -> None:
    clock = ManualClock()
    called: list[int] = []
    timer = clock.call_later(1, lambda: called.append(1))

    timer.cancel()
    clock.advance(timedelta(seconds=5))

    assert called == []


def test_a_callback_may_set_the_next_timer() -> None:
    clock = ManualClock()
    called: list[float] = []

    def tick() -> None:
        called.append(clock.monotonic())
        clock.call_later(1, tick)

    clock.call_later(1, tick)

    clock.advance(timedelta(seconds=3))

    assert called == [1, 2, 3]


def test_a_callback_may_cancel_another() -> None:
    clock = ManualClock()
    called: list[int] = []
    other = clock.call_later(2, lambda: called.append(2))
    clock.call_later(1, other.cancel)

    clock.advance(timedelta(seconds=5))

    assert called == []


def test_a_callback_that_advances_the_clock_never_turns_it_back() -> None:
    clock = ManualClock()
    clock.call_later(1, lambda: clock.advance(timedelta(seconds=10)))

    clock.advance(timedelta(seconds=2))

    assert clock.monotonic() >= 11


def test_a_year_of_minutes_is_over_at_once() -> None:
    clock = ManualClock()
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        clock.call_later(3600, tick)

    clock.call_later(3600, tick)

    clock.advance(timedelta(days=365))

    assert count == 365 * 24


def test_the_systems_clock_is_in_utc_and_goes_forward() -> None:
    clock = SystemClock()

    before, after = clock.monotonic(), clock.monotonic()

    assert clock.now().tzinfo is UTC
    assert after >= before


def test_the_systems_clock_calls_on_the_loop() -> None:
    async def main() -> str:
        called: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        cancelled = SystemClock().call_later(0, lambda: called.set_exception(AssertionError()))
        cancelled.cancel()
        SystemClock().call_later(0, lambda: called.set_result("called"))
        return await called

    assert asyncio.run(main()) == "called"


# --- messages and events


class Aliased(BaseModel):
    first: int = Field(serialization_alias="number")


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00", b"\x00"),
        ("ü", "ü".encode()),
        (User(name="Ada"), b'{"name":"Ada"}'),
        ({"a": 1}, b'{"a": 1}'),
        ([1], b"[1]"),
        (1, b"1"),
        (StringValue(value="x"), b"\n\x01x"),
        (Topic(name="x"), b"\n\x01x"),
        (Aliased(first=1), b'{"number":1}'),
        ([Aliased(first=1), date(2026, 1, 31)], b'[{"number": 1}, "2026-01-31"]'),
        (Point(1), b'{"x": 1}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_has_its_wire_form(data: Any, expected: bytes) -> None:
    assert to_bytes(data) == expected
    assert make_message(data).data == expected


def test_a_message_has_an_id_of_its_own_and_a_time() -> None:
    first, other = make_message(), make_message()

    assert first.message_id != other.message_id
    assert first.publish_time == PUBLISH_TIME


def test_a_message_has_what_it_is_given() -> None:
    message = make_message(b"x", attributes={"k": "v"}, message_id="7", ordering_key="o")

    assert message == PubsubMessage(
        data=b"x",
        attributes={"k": "v"},
        message_id="7",
        publish_time=PUBLISH_TIME,
        ordering_key="o",
    )


def test_an_event_has_what_it_is_given() -> None:
    event = make_cloud_event({"a": 1}, type="t", source="s", id="7", colour="blue")

    assert (event["type"], event["source"], event["id"], event["colour"]) == ("t", "s", "7", "blue")
    assert event.data == {"a": 1}


def test_a_message_event_is_what_eventarc_delivers() -> None:
    event = make_message_event(make_message(b"hi", message_id="7"))

    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event.data["subscription"] == SUBSCRIPTION
    assert event.data["message"]["data"] == "aGk="
    assert event.data["message"]["messageId"] == event.data["message"]["message_id"] == "7"
    json.dumps(event.data)


def test_a_wrapped_push_is_what_pubsub_sends() -> None:
    push = make_push(make_message(b"hi", message_id="7", ordering_key="o"), delivery_attempt=5)

    body = json.loads(push.body)
    assert push.headers["Content-Type"] == "application/json"
    assert body["subscription"] == SUBSCRIPTION
    assert body["deliveryAttempt"] == 5
    assert body["message"]["messageId"] == "7"
    assert body["message"]["orderingKey"] == "o"
    assert datetime.fromisoformat(body["message"]["publishTime"]) == PUBLISH_TIME


def test_a_push_without_a_dead_letter_policy_has_no_attempt() -> None:
    assert "deliveryAttempt" not in json.loads(make_push(b"").body)


def test_an_unwrapped_push_has_the_delivery_attempt_too() -> None:
    push = make_push(b"hi", wrapped=False, delivery_attempt=5)

    envelope = decode(push.body, {name.lower(): text for name, text in push.headers.items()})

    assert envelope.delivery_attempt == 5


# --- run, conclude and serve


@pytest.mark.parametrize(
    "event",
    [
        User(name="Ada"),
        {"name": "Ada"},
        '{"name": "Ada"}',
        b'{"name": "Ada"}',
        make_message({"name": "Ada"}),
        make_message_event({"name": "Ada"}),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_handler_runs_on_anything_that_holds_its_payload(event: Any) -> None:
    assert run(greet, event).model_dump()["result"] == "Hello Ada"


def test_a_raw_task_runs_on_its_body() -> None:
    assert conclude(shout, b"hello").value == "HELLO"


def test_a_failed_run_raises_nothing() -> None:
    assert run(greet, b"junk").execution.status == "ABORTED"


def test_a_failed_run_tells_the_exception() -> None:
    @message_handler(message_type=int)
    def divide(number: int) -> float:
        return 1 / number

    info = run(divide, "0")

    assert isinstance(info.execution, AbortedExecutionResult)
    assert isinstance(info.execution.exception, ZeroDivisionError)


def test_the_result_of_a_failed_run_is_an_error_with_the_exception_as_its_cause() -> None:
    @message_handler(message_type=int)
    def divide(number: int) -> float:
        return 1 / number

    info = run(divide, "0")

    with pytest.raises(AttributeError, match=r"no result.*ZeroDivisionError") as caught:
        _ = info.result
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not hasattr(info, "result")
    with pytest.raises(AttributeError, match="'nothing_else'"):
        _ = info.nothing_else


def test_the_result_of_a_run_that_returned_none_is_an_error_that_says_so() -> None:
    @message_handler(message_type=None)
    def discard(data: bytes) -> None: ...

    with pytest.raises(AttributeError, match="no result: the task returned None"):
        _ = run(discard).result


def test_a_conclusion_says_what_happened() -> None:
    @message_handler(message_type=int)
    def divide(number: int) -> float:
        return 1 / number

    done, crashed, invalid = (conclude(divide, data) for data in ("2", "0", "x"))

    assert (type(done.outcome), done.value) == (Done, 0.5)
    assert type(crashed.outcome) is Crashed
    assert isinstance(crashed.error, ZeroDivisionError)
    assert type(invalid.outcome) is InvalidPayload


def test_a_conclusion_takes_a_runtime() -> None:
    clock = ManualClock()

    @message_handler(message_type=None)
    def wait(data: bytes) -> None:
        clock.advance(timedelta(seconds=3))

    conclusion = conclude(wait, runtime=Runtime(Settings(), clock))

    assert conclusion.info.execution.duration_seconds == 3


@pytest.mark.parametrize("thing", [len, None, User])
def test_what_is_no_task_is_refused(thing: Any) -> None:
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="not a task"):
        run(thing)
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="not a task"), serve(thing):
        pass


def test_tasks_are_served_without_a_socket() -> None:
    with serve(greet, shout) as client:
        pushed = client.push("greet", User(name="Ada"))
        posted = client.post("/shout", body="hello")
        healthy = client.get("/healthy")
        missing = client.get("/missing")

    assert (pushed.status, pushed.text) == (200, "OK")
    assert (posted.status, posted.text) == (200, "HELLO")
    assert (healthy.status, healthy.text) == (200, "ok")
    assert missing.status == 404


def test_a_source_is_served(sources: Sources) -> None:
    source = sources.write("main.py", "one")

    with serve(source) as client:
        response = client.push("one", b"hi")

    assert response.status == 200


def test_the_environment_does_not_change_what_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCAM_FAAS_MAX_BODY_BYTES", "1")

    with serve(shout) as client:
        response = client.post("/shout", body="hello")

    assert response.status == 200


def test_settings_and_publisher_are_served_with() -> None:
    topic = "projects/p/topics/dead"
    publisher = MemoryPublisher({topic: []})

    with serve(greet, settings=Settings(dead_letter_topic=topic), publisher=publisher) as client:
        response = client.push("greet", b"junk")

    assert response.status == 200
    assert publisher.topics[topic][0].data == b"junk"


def test_a_response_has_headers_in_lower_case_and_json() -> None:
    @message_handler(message_type=None)
    def later(data: bytes) -> None:
        raise Retry(timedelta(seconds=30))

    @raw_event
    def count(body: bytes) -> dict[str, int]:
        return {"count": len(body)}

    with serve(later, count) as client:
        retried = client.push("later")
        counted = client.post("/count", json={"a": 1})

    assert (retried.status, retried.headers["retry-after"]) == (429, "30")
    assert counted.json() == {"count": 8}


def test_an_unwrapped_push_is_served() -> None:
    with serve(greet) as client:
        assert client.push("greet", User(name="Ada"), wrapped=False).status == 200


def test_an_error_inside_serve_is_not_swallowed() -> None:
    with pytest.raises(KeyError), serve(shout):
        raise KeyError("own")


# --- the pytest plugin


def test_the_client_fixture_serves(ucam_faas_client: Callable[..., Client]) -> None:
    client = ucam_faas_client(greet)

    assert client.push("greet", User(name="Ada")).status == 200


def test_the_client_fixture_serves_several(ucam_faas_client: Callable[..., Client]) -> None:
    first, other = ucam_faas_client(greet), ucam_faas_client(shout)

    assert first.push("greet", User(name="Ada")).status == 200
    assert other.post("/", body="x").text == "X"


def test_the_other_fixtures_are_fresh(
    ucam_faas_publisher: MemoryPublisher, ucam_faas_clock: ManualClock
) -> None:
    assert ucam_faas_publisher.topics == {}
    assert ucam_faas_clock.monotonic() == 0
