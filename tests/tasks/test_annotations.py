"""The annotation of a handler's parameter is its message type."""

from __future__ import annotations

import enum
import io
import json
import sys
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import (
    IO,
    TYPE_CHECKING,
    Annotated,
    Any,
    NewType,
    Optional,
    Protocol,
    TypeVar,
)

import pytest
from cloudevents.http import CloudEvent
from flask import Request
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ucam_faas import (
    PubsubMessage,
    Retry,
    TaskCollection,
    TaskDefinitionError,
    cloud_event_handler,
    message_handler,
    raw_event,
)
from ucam_faas.testing import run

if TYPE_CHECKING:
    from decimal import Decimal

AnyT = TypeVar("AnyT")
Pence = NewType("Pence", int)


class Order(BaseModel):
    number: int


class LargeOrder(Order):
    pass


@dataclass
class Point:
    x: int


class Named(TypedDict):
    name: str


class Colour(enum.Enum):
    RED = "red"


class Numbered(Protocol):
    number: int


class Blob:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and other.data == self.data

    __hash__ = None  # type: ignore[assignment]


def taking(annotation: Any) -> Any:
    """Return a function whose parameter is annotated so."""

    def take(payload: Any) -> None:
        SEEN.append(payload)

    take.__annotations__ = {"payload": annotation}
    return take


SEEN: list[Any] = []

PAYLOADS: list[tuple[Any, Any, Any]] = [
    (Order, {"number": 1}, Order(number=1)),
    ("Order", {"number": 1}, Order(number=1)),
    (Point, {"x": 1}, Point(1)),
    (Named, {"name": "Ada"}, {"name": "Ada"}),
    (Colour, json.dumps("red"), Colour.RED),
    (StringValue, StringValue(value="a"), StringValue(value="a")),
    (Annotated[StringValue, "a name"], StringValue(value="a"), StringValue(value="a")),
    (bytes, b"raw", b"raw"),
    (Annotated[bytes, "a picture"], b"raw", b"raw"),
    (Pence, "21", 21),
    (Annotated[int, Field(gt=3)], "4", 4),
    (Optional[Order], "null", None),  # noqa: UP045  # one of the ways to write it
    (Order | None, {"number": 1}, Order(number=1)),
    ("list[Order] | None", [{"number": 1}], [Order(number=1)]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (Any, {"a": [1]}, {"a": [1]}),
    (Blob, b"raw", Blob(b"raw")),
]


@pytest.mark.parametrize(
    ("annotation", "data", "payload"), PAYLOADS, ids=lambda value: repr(value)[:40]
)
def test_the_annotation_works_as_message_type_would(
    annotation: Any, data: Any, payload: Any
) -> None:
    SEEN.clear()

    info = run(message_handler(taking(annotation)), data)

    assert info.execution.status == "COMPLETED", info
    assert [payload] == SEEN


def test_data_that_do_not_fit_the_annotation_are_rejected() -> None:
    info = run(message_handler(taking(Annotated[int, Field(gt=3)])), "3")

    assert info.execution.reason == "ucam_faas.user-data-invalid"


def test_options_may_be_given_without_a_message_type() -> None:
    task = message_handler(topic="orders")(taking(Order)).task

    assert (task.message_type, task.trigger.topic) == (Order, "orders")


def test_a_collections_decorator_infers_too() -> None:
    assert TaskCollection().message_handler(taking(Order)).task.message_type is Order


def test_a_class_of_the_function_around_is_resolved() -> None:
    class Local(BaseModel):
        number: int

    @message_handler
    def store(order: Local) -> None: ...

    assert store.task.message_type is Local


def test_a_return_type_for_type_checkers_only_is_no_matter() -> None:
    @message_handler
    def price(order: Order) -> Decimal:
        raise NotImplementedError

    assert price.task.message_type is Order


def test_bytes_have_no_message_type_as_with_none() -> None:
    assert message_handler(taking(bytes)).task.message_type is None
    assert message_handler(message_type=bytes)(taking(bytes)).task.message_type is None


def test_a_handler_without_an_argument_takes_any_message() -> None:
    calls: list[int] = []

    @message_handler
    def clean_up() -> None:
        calls.append(1)

    run(clean_up, b"whatever")

    assert clean_up.task.message_type is None
    assert calls == [1]


@pytest.mark.parametrize("kind", [raw_event, message_handler], ids=["raw_event", "message_handler"])
def test_a_task_without_an_argument_runs_async_and_unnamed(kind: Any) -> None:
    async def count() -> int:
        return 7

    tasks = [kind(count), kind(lambda: 7)]

    assert [run(task).execution.status for task in tasks] == ["COMPLETED", "COMPLETED"]


def test_an_async_task_without_an_argument_returns_its_outcome() -> None:
    @raw_event
    async def count() -> Retry:
        return Retry("busy")

    assert run(count).execution.status == "ABORTED"


# --- what is refused


def refused(annotation: Any, **options: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        message_handler(**options)(taking(annotation))
    return str(caught.value)


def test_a_parameter_without_annotation_needs_a_message_type() -> None:
    def store(order): ...  # type: ignore[no-untyped-def]

    with pytest.raises(TaskDefinitionError, match="annotate its parameter, or write") as caught:
        message_handler(store)

    assert "store" in str(caught.value)


@pytest.mark.parametrize("annotation", ["Decimal", "Nowhere", "Order[", "list[Nowhere]"])
def test_an_annotation_that_cannot_be_resolved_is_refused_with_its_text(annotation: str) -> None:
    message = refused(annotation)

    assert repr(annotation) in message
    assert message.startswith("task 'take': ")
    assert "TYPE_CHECKING" in message


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [
        (PubsubMessage, "MESSAGE_CONTEXT"),
        (CloudEvent, "@ucam_faas.cloud_event"),
        (Request, "@ucam_faas.http"),
    ],
)
def test_the_envelope_is_no_payload(annotation: Any, hint: str) -> None:
    assert hint in refused(annotation)


@pytest.mark.parametrize("annotation", [str, dict, list, bool, object])
def test_a_class_that_makes_no_sense_of_bytes_is_refused(annotation: type) -> None:
    assert annotation.__name__ in refused(annotation)


@pytest.mark.parametrize(
    ("annotation", "message_type"),
    [
        (str, Order),
        (Point, Order),
        (LargeOrder, Order),
        (Order, None),
        (bytes, Order),
        (str, int),
        (list[int], list[str]),
        (list[int], dict[str, int]),
        (Point | None, Order),
        ("Point", StringValue),
    ],
)
def test_a_message_type_that_contradicts_the_annotation_is_refused_with_both(
    annotation: Any, message_type: Any
) -> None:
    message = refused(annotation, message_type=message_type)

    names = [getattr(kind, "__name__", str(kind)) for kind in (annotation, message_type or bytes)]
    for name in names if message_type else names[:1]:
        assert name.rpartition(".")[2] in message


@pytest.mark.parametrize(
    ("annotation", "message_type"),
    [
        (Order, Order),
        (Order, LargeOrder),
        (Order | None, Order),
        (Annotated[Order, "…"], Order),
        (Numbered, Order),
        (AnyT, Order),
        (object, Order),
        (Any, None),
        (dict[str, int], Any),
        (int, Any),
        (bytes, None),
        (bytes | None, None),
        ("Nowhere", Order),
        (float, int),
        (Pence, int),
        (int, Pence),
        (Sequence[int], list[int]),
        (Mapping[str, Any], Named),
        (Named, dict[str, str]),
        (IO[bytes], io.BytesIO),
        (list[int], json.loads),
        (Order, lambda data: Order(number=1)),
    ],
)
def test_a_message_type_that_the_annotation_allows_is_taken(
    annotation: Any, message_type: Any
) -> None:
    message_handler(message_type=message_type)(taking(annotation))


# --- types that can't be read, and parsers of another type


@pytest.mark.parametrize(
    ("annotation", "parts"),
    [
        (StringValue | None, "StringValue is a protobuf message, and a message can't be a part"),
        (list[StringValue], "Write StringValue alone."),
    ],
)
def test_a_protobuf_message_in_another_type_is_refused_with_the_type_to_write(
    annotation: Any, parts: str
) -> None:
    assert parts in refused(annotation)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic reads it from Python 3.12 on")
def test_a_typed_dict_that_pydantic_cannot_read_is_refused_with_the_import_to_write() -> None:
    Line = typing.TypedDict("Line", {"number": int})  # noqa: UP013

    message = refused(Line)

    assert message.startswith("task 'take': message_type=Line: pydantic can't read a typing.Typed")
    assert "`from typing_extensions import TypedDict`" in message


class Parent: ...


class Child(Parent): ...


class Stranger: ...


def to_child(data: Any) -> Child: ...


def to_parent(data: Any) -> Parent: ...


def to_none(data: Any) -> None: ...


def to_anything(data: Any): ...  # type: ignore[no-untyped-def]


def to_nowhere(data: Any) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821


def by_message(parser: Any, annotation: Any) -> Any:
    return message_handler(message_type=parser)(taking(annotation))


def by_event(parser: Any, annotation: Any) -> Any:
    return cloud_event_handler(event_data_parser=parser)(taking(annotation))


@pytest.mark.parametrize("decorate", [by_message, by_event])
@pytest.mark.parametrize(
    ("parser", "annotation"), [(to_child, Stranger), (to_parent, int), (to_none, Child)]
)
def test_a_parser_of_an_unrelated_class_is_refused(
    decorate: Any, parser: Any, annotation: Any
) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        decorate(parser, annotation)

    assert f"annotated with {annotation.__name__}, and its parser {parser.__name__}" in str(
        caught.value
    )


@pytest.mark.parametrize("decorate", [by_message, by_event])
@pytest.mark.parametrize(
    ("parser", "annotation"),
    [
        (to_child, Child),
        (to_child, Parent),
        (to_parent, Child),
        (to_child, Child | None),
        (to_child, Sequence),
        (to_child, Any),
        (to_anything, Child),
        (to_nowhere, Child),
        (json.loads, Child),
    ],
)
def test_a_parser_that_may_return_the_parameters_type_is_taken(
    decorate: Any, parser: Any, annotation: Any
) -> None:
    assert decorate(parser, annotation).task.name == "take"


def test_the_name_of_a_type_has_no_modules() -> None:
    class Order(BaseModel):
        pass

    def takes(kind: Any) -> str:
        return message_handler(message_type=kind)(lambda order: None).task.takes

    assert takes(Order) == "Order"
    assert takes(list[Order]) == "list[Order]"
    assert takes(Order | None) == "Order | None"
    assert takes(typing.Literal["a.b"]) == "Literal['a.b']"
