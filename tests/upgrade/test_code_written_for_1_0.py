"""Code from the documentation of 1.0, or of its users: it imports, and behaves as before."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloudevents import abstract
from cloudevents.conversion import to_json
from cloudevents.http import CloudEvent
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import ucam_faas
from ucam_faas import (
    MESSAGE_CONTEXT,
    AbortedExecutionResult,
    CloudEventHandlerExecutionInfo,
    CompletedExecutionResult,
    ExecutionAbortedException,
    ExecutionInfo,
    ExecutionStatus,
    JsonRepresentation,
    MessageHandlerExecutionInfo,
    MessagePublishedData,
    StructlogJsonExecutionResultLogger,
    UCAMFAASException,
    cloud_event,
    cloud_event_handler,
    message_handler,
)
from ucam_faas.contexts import contextual_default_factory, contextvar_activator
from ucam_faas.events.execution_info import SerialisableException
from ucam_faas.tasks import registry
from ucam_faas.testing import Client, make_cloud_event, make_message, make_message_event, serve

if TYPE_CHECKING:
    from cloudevents.abstract import CloudEvent as AnyCloudEvent


class Order(BaseModel):
    number: int


# --- modules


@pytest.mark.parametrize(
    "module", ["cloud_events", "execution_info", "gcp_pubsub", "handler_execution", "messages"]
)
def test_a_module_of_1_0_has_the_names_of_the_package(module: str) -> None:
    old = importlib.import_module(f"ucam_faas.{module}")

    renamed = {"PUBSUB_CLOUD_EVENT_TOPIC_PATTERN"}
    for name in set(old.__all__) - renamed:
        assert getattr(old, name) is getattr(ucam_faas, name)


# --- infos


class OrderInfo(MessageHandlerExecutionInfo):
    tenant: str = Field(
        default_factory=contextual_default_factory(
            MESSAGE_CONTEXT,
            fn=lambda context: context.pubsub_message.attributes["tenant"],
        )
    )


def test_a_default_info_is_made_of_the_context() -> None:
    @message_handler(message_type=Order, create_default_info=OrderInfo.from_context)
    def handle(order: Order) -> None: ...

    info = handle.execute(
        make_message_event(make_message({"number": 1}, attributes={"tenant": "a"}))
    )

    assert isinstance(info, OrderInfo)
    assert info.tenant == "a"


def test_a_default_from_a_context_that_is_not_set_says_what_to_do() -> None:
    empty: ContextVar[str] = ContextVar("empty")

    with pytest.raises(LookupError, match="default_fn") as caught:
        contextual_default_factory(empty)()

    assert contextual_default_factory(empty, default_fn=lambda _: "none")() == "none"
    with contextvar_activator(empty)("full"):
        assert contextual_default_factory(empty)() == "full"
    assert caught.value.__notes__


def test_an_info_takes_fields_of_any_type() -> None:
    class Connection:
        pass

    class OwnInfo(ExecutionInfo):
        connection: Connection

    connection = Connection()

    assert OwnInfo(connection=connection).connection is connection


def test_a_result_takes_its_reason_first_and_may_be_changed() -> None:
    result = AbortedExecutionResult("orders.duplicate")
    result.duration_seconds = 1.5

    info = ExecutionInfo(execution=result)

    assert info.execution is result
    assert result.reason == "orders.duplicate"
    assert CompletedExecutionResult() == CompletedExecutionResult(duration_seconds=None)


def test_an_exception_may_be_text() -> None:
    info = ExecutionInfo(execution=AbortedExecutionResult("r", exception="it broke"))

    assert info.model_dump(mode="json")["execution"]["exception"] == "it broke"
    assert ExecutionInfo.model_validate_json(info.model_dump_json()) == info


def test_an_exception_stays_one_in_python_and_is_its_traceback_in_json() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(
        SerialisableException, config={"arbitrary_types_allowed": True}
    )
    error = ValueError("because")

    assert adapter.dump_python(error) is error
    assert json.loads(adapter.dump_json(error)) == "ValueError: because\n"


# --- messages


def test_a_message_in_a_python_value_is_decoded() -> None:
    """The data of a CloudEvent is such a value; its text was taken for the data itself."""
    published = MessagePublishedData.model_validate({"message": {"data": "aGk="}})

    assert published.message.data == b"hi"
    with pytest.raises(ValidationError, match="data"):
        MessagePublishedData.model_validate({"message": {"data": "not base64"}})


def test_a_message_has_googles_names_by_alias() -> None:
    message = make_message(b"hi", message_id="7", ordering_key="k")

    dumped = message.model_dump(mode="json", by_alias=True)

    assert set(dumped) == {
        *("@type", "data", "attributes", "messageId", "publishTime", "orderingKey")
    }


# --- .execute


@message_handler(message_type=Order)
def ship(order: Order) -> ExecutionInfo | None:
    if order.number == 0:
        return ExecutionInfo(execution=AbortedExecutionResult("orders.none"))
    if order.number == 1:
        raise ValueError("one is too few")
    if order.number == 2:
        info = ExecutionInfo(execution=AbortedExecutionResult("orders.two"), seen=2)
        raise ExecutionAbortedException("two", 2, execution_info=info)
    return None


def test_execute_returns_an_aborted_info_that_the_function_returned() -> None:
    info = ship.execute(make_message_event({"number": 0}))

    assert info.execution.status is ExecutionStatus.ABORTED
    assert info.execution.reason == "orders.none"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (make_message_event({"number": 1}), "ship handler threw an exception"),
        (make_message_event({"number": 1}), "ValueError: one is too few"),
        (make_message_event({"number": "x"}), "message_parser failed to parse message"),
        (make_message_event({"number": "x"}), "Input should be a valid integer"),
        (make_cloud_event({}), "ship input parser rejected input"),
    ],
)
def test_execute_raises_with_the_texts_of_1_0(event: Any, text: str) -> None:
    with pytest.raises(ExecutionAbortedException, match=text):
        ship.execute(event)


def test_execute_raises_what_the_function_raised_to_abort() -> None:
    with pytest.raises(ExecutionAbortedException) as caught:
        ship.execute(make_message_event({"number": 2}))

    assert caught.value.args == ("two", 2)
    assert caught.value.execution_info.model_dump()["seen"] == 2


def test_an_aborted_exception_shows_its_arguments_and_its_info() -> None:
    info = ExecutionInfo()

    error = ExecutionAbortedException("a", 1, execution_info=info)

    assert repr(error) == f"ExecutionAbortedException('a', 1, execution_info={info!r})"
    assert isinstance(error, UCAMFAASException)


# --- loggers


class _OnlyNumbers(StructlogJsonExecutionResultLogger):
    def get_result_json(self, execution_info: ExecutionInfo) -> dict[str, Any]:
        return {"number": super().get_result_json(execution_info)["number"]}


def test_a_logger_may_choose_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = _OnlyNumbers(json_representation=JsonRepresentation.WIDE_FLAT)

    with caplog.at_level("INFO", logger="ucam_faas"):
        logger(ExecutionInfo(number=3, secret="x"))

    [record] = caplog.records
    assert record.__dict__["fields"] == {"execution_info": {"number": 3}}


# --- parsers


def test_a_cloud_event_type_takes_its_arguments_by_position() -> None:
    @cloud_event_handler(event_data_parser=ucam_faas.CloudEventType("com.example.order", Order))
    def handle(order: Order) -> CloudEventHandlerExecutionInfo:
        return CloudEventHandlerExecutionInfo(number=order.number)

    info = handle.execute(make_cloud_event({"number": 3}, type="com.example.order"))

    assert info.model_dump()["number"] == 3


# --- @cloud_event


@cloud_event
def take_data(data: dict[str, int]) -> str:
    return type(data).__name__


@cloud_event
def take_anything(data: Any) -> str:
    return type(data).__name__


@cloud_event
def take_unannotated(data):  # type: ignore[no-untyped-def]
    return type(data).__name__


@cloud_event
def take_event(event: CloudEvent) -> str:
    return type(event).__name__


@cloud_event
def take_any_event(event: abstract.CloudEvent | None) -> str:
    return type(event).__name__


@cloud_event
def take_event_of_a_checked_name(event: AnyCloudEvent, also: int = 0) -> str:
    return type(event).__name__


@pytest.mark.parametrize(
    ("task", "payload"),
    [
        (take_data, "dict"),
        (take_anything, "dict"),
        (take_unannotated, "dict"),
        (take_event, "CloudEvent"),
        (take_any_event, "CloudEvent"),
        (take_event_of_a_checked_name, "CloudEvent"),
    ],
)
def test_the_annotation_decides_what_a_cloud_event_task_gets(
    task: Any, payload: str, ucam_faas_client: Callable[..., Client]
) -> None:
    event = make_cloud_event({"a": 1})

    response = ucam_faas_client(task).post(
        "/", body=to_json(event), headers={"content-type": "application/cloudevents+json"}
    )

    assert response.text == payload
    assert task(event) == payload


def test_a_cloud_event_task_may_be_called_with_its_data() -> None:
    assert take_data({"a": 1}) == "dict"


# --- lambdas and callable objects

UNNAMED = """
import functools
import ucam_faas

class Count:
    def __init__(self):
        self.seen = 0
    def __call__(self, data):
        self.seen += 1
        return self.seen

class Later:
    async def __call__(self, data):
        return data.decode()

def add(number, data):
    return number + len(data)

handler = ucam_faas.message_handler(message_type=None)
count = handler(Count())
later = handler(Later())
add_two = handler(functools.partial(add, 2))
shout = ucam_faas.raw_event(lambda body: body.upper())
"""


def test_lambdas_and_callable_objects_are_tasks_named_after_what_they_are_bound_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    (tmp_path / "unnamed_tasks.py").write_text(UNNAMED)

    with serve(tmp_path / "unnamed_tasks.py") as client:
        statuses = [client.push(name, b"x").status for name in ("count", "later", "add_two")]
        shouted = client.post("/shout", body="x").text

    assert statuses == [200, 200, 200]
    assert shouted == "X"
    [target] = registry.load(str(tmp_path / "unnamed_tasks.py"), "count")
    assert (target.name, target.trigger and target.trigger.topic) == ("count", "count")


def test_an_unnamed_task_runs_before_it_has_a_name() -> None:
    task = message_handler(message_type=None)(lambda data: len(data))

    assert task(b"four") == 4
    assert task.execute(make_message_event(b"four")).result == 4
