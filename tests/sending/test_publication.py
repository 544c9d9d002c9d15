"""`task.publish(…)`: a payload, as the task takes it, on the task's topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel, Field

from ucam_faas import (
    Schedule,
    TaskDefinitionError,
    cloud_event,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.testing import MemoryPublisher, run, serve


class Order(BaseModel):
    number: int = Field(gt=0)
    placed: date = Field(date(2026, 1, 31), alias="placedOn")


@dataclass
class Point:
    x: int


def parse_pair(data: bytes) -> tuple[str, ...]:
    return tuple(data.decode().split(","))


def taking(message_type: Any) -> Any:
    @message_handler(message_type=message_type, topic="things")
    def take(payload: Any) -> None: ...

    return take


@pytest.fixture
def things(ucam_faas_publisher: MemoryPublisher) -> list[Any]:
    return ucam_faas_publisher.topics.setdefault("things", [])


@pytest.mark.parametrize(
    ("message_type", "payload", "data"),
    [
        (Order, Order(number=1), b'{"number":1,"placedOn":"2026-01-31"}'),
        (Order, {"number": 1}, b'{"number":1,"placedOn":"2026-01-31"}'),
        (Order, b'{"number": 1}', b'{"number": 1}'),
        (Point, Point(3), b'{"x":3}'),
        (list[date], [date(2026, 1, 31)], b'["2026-01-31"]'),
        (Order | None, None, b"null"),
        (Any, {"a": [1]}, b'{"a":[1]}'),
        (StringValue, StringValue(value="a"), b"\n\x01a"),
        (None, b"raw", b"raw"),
        (int, 7, b"7"),
        (parse_pair, b"a,b", b"a,b"),
        (json.loads, b"[1]", b"[1]"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_the_payload_is_serialised_by_the_message_type(
    message_type: Any, payload: Any, data: bytes, things: list[Any]
) -> None:
    message_id = taking(message_type).publish(payload, attributes={"kind": "x"}, ordering_key="k")

    (message,) = things
    assert (message.data, message.attributes) == (data, {"kind": "x"})
    assert (message.message_id, message.ordering_key) == (message_id, "k")


def test_raw_and_event_tasks_take_bytes(ucam_faas_publisher: MemoryPublisher) -> None:
    @raw_event(topic="things")
    def raw(body: bytes) -> None: ...

    @cloud_event(topic="things")
    def event(data: Any) -> None: ...

    ucam_faas_publisher.topics["things"] = []

    raw.publish(b"a")
    event.publish(b"b")

    assert [message.data for message in ucam_faas_publisher.topics["things"]] == [b"a", b"b"]


def test_a_task_without_a_parameter_is_published_to_without_a_payload(things: list[Any]) -> None:
    @message_handler(topic="things")
    def clean_up() -> None: ...

    clean_up.publish()

    assert things[0].attributes == {"ucam_faas_trigger": "publish"}


def test_a_missing_payload_is_refused_where_the_task_takes_one(things: list[Any]) -> None:
    with pytest.raises(TypeError, match=r"'take' takes Order, and got no payload"):
        taking(Order).publish()

    assert things == []


def test_an_ordering_key_that_is_no_text_is_refused(things: list[Any]) -> None:
    with pytest.raises(TypeError, match=r"ordering_key=5: expected a text"):
        taking(None).publish(b"x", ordering_key=5)


@pytest.mark.parametrize(
    ("message_type", "payload", "error", "part"),
    [
        (
            Order,
            {"number": "secret"},
            ValueError,
            "'take' rejects the payload: number: int",
        ),
        (Order, Point(1), ValueError, "'take' rejects the payload"),
        (Order, b"secret", ValueError, "'take' rejects the payload"),
        (StringValue, "secret", TypeError, "takes StringValue: a payload of type str"),
        (None, "secret", TypeError, "takes bytes: a payload of type str"),
        (parse_pair, ("secret", "b"), TypeError, "takes bytes: a payload of type tuple"),
        (int, "secret", TypeError, "takes int: a payload of type str"),
        (None, b"", ValueError, "without data or an attribute"),
        (None, b"x" * (10 * 1024 * 1024 + 1), ValueError, "at most"),
    ],
)
def test_a_payload_that_the_task_does_not_take_is_refused_without_its_values(
    message_type: Any, payload: Any, error: Any, part: str, things: list[Any]
) -> None:
    with pytest.raises(error) as caught:
        taking(message_type).publish(payload)

    assert part in str(caught.value)
    assert "secret" not in str(caught.value)
    assert things == []


@pytest.mark.parametrize("attributes", [{"googx": "1"}, {"a": 1}, {"": "x"}])
def test_attributes_that_pubsub_refuses_are_refused(attributes: Any, things: list[Any]) -> None:
    with pytest.raises(ValueError, match="attribute"):
        taking(None).publish(b"x", attributes=attributes)


def test_a_task_without_a_topic_cannot_be_published_to() -> None:
    @http(path="/rooms")
    def rooms() -> str:
        return ""

    @raw_event(run_as="cloud-run-job")
    def rebuild() -> None: ...

    with pytest.raises(TaskDefinitionError, match="'rooms' is an HTTP task, and has no topic"):
        rooms.publish()
    with pytest.raises(TaskDefinitionError, match="'rebuild' is a Cloud Run job"):
        rebuild.publish()


# --- from a task


@message_handler(topic="things")
def store(order: Order) -> None: ...


@message_handler(publishes=[store])
def split(numbers: list[int]) -> int:
    for number in numbers:
        store.publish(Order(number=number))
    return len(numbers)


def test_a_task_that_runs_publishes_to_the_fixture(things: list[Any]) -> None:
    info = run(split, "[1, 2]")

    assert info.result == 2
    assert [json.loads(message.data)["number"] for message in things] == [1, 2]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_task_that_is_served_publishes_to_its_clients_publisher(kind: str) -> None:
    @message_handler
    async def split_later(numbers: list[int]) -> None:
        split(numbers)

    publisher = MemoryPublisher({"things": []})
    task = split if kind == "sync" else split_later

    with serve(task, publisher=publisher) as client:
        response = client.push(task.__name__, [1])

    assert response.status == 200
    assert len(publisher.topics["things"]) == 1


def test_a_test_without_a_publisher_is_an_error_with_the_fix() -> None:
    info = run(split, "[1]")

    assert isinstance(info.execution.exception, ConfigurationError)
    assert "ucam_faas_publisher" in str(info.execution.exception)


def test_a_topic_that_is_missing_is_named(ucam_faas_publisher: MemoryPublisher) -> None:
    with pytest.raises(PublishError, match="things"):
        store.publish(Order(number=1))


def test_the_message_in_hand_does_not_decide_how_the_payload_is_checked(things: list[Any]) -> None:
    """Its encoding attribute says that its own data is JSON."""
    from ucam_faas.testing import make_message

    names = taking(StringValue)

    @message_handler(message_type=StringValue)
    def forward(name: StringValue) -> None:
        names.publish(name)

    message = make_message('"a"', attributes={"googclient_schemaencoding": "JSON"})
    info = run(forward, message)

    assert info.execution.status == "COMPLETED"
    assert things[0].data == b"\n\x01a"


def test_schedules_and_publications_carry_different_triggers() -> None:
    @message_handler(schedule=[Schedule("0 3 * * *")])
    def tidy() -> None: ...

    assert tidy.task.trigger is not None
    assert tidy.task.trigger.schedules[0].attributes == {"ucam_faas_trigger": "schedule"}


# --- publishes=


@pytest.mark.parametrize("target", [5, None, "a b", json.loads])
def test_a_target_that_is_neither_task_nor_topic_is_refused(target: Any) -> None:
    with pytest.raises(TaskDefinitionError):
        message_handler(publishes=[target])(lambda payload: None)


def test_a_target_without_a_decorator_is_named() -> None:
    def charge(pence: int) -> None: ...

    with pytest.raises(TaskDefinitionError, match="'charge' is a function without a decorator"):
        message_handler(publishes=[charge])(lambda payload: None)


def test_a_target_without_a_topic_is_refused() -> None:
    @http(path="/rooms")
    def rooms() -> str:
        return ""

    with pytest.raises(TaskDefinitionError, match="'rooms' is an HTTP task"):
        raw_event(publishes=[rooms])(lambda body: None)
