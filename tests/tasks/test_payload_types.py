"""A decorator's message type parses payloads correctly, or is refused at import."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, NewType, TypedDict
from uuid import UUID

import attrs
import proto
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.api_pb2 import Method
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel
from typing_extensions import TypedDict as ExtendedTypedDict

from tests.support.sources import Sources
from ucam_faas import TaskDefinitionError, UCAMFAASCouldNotLoadTarget, message_handler
from ucam_faas.outcomes import Crashed, Done, InvalidPayload
from ucam_faas.tasks import registry
from ucam_faas.tasks.parsers import message_parser
from ucam_faas.testing import conclude, make_message


class User(BaseModel):
    name: str


class Point(NamedTuple):
    x: int
    y: int


class Colour(Enum):
    RED = "red"


class Order(ExtendedTypedDict):
    number: int


class Old(TypedDict):
    number: int


@attrs.define
class AttrsUser:
    name: str


class ProtoPlus(proto.Message):
    name = proto.Field(proto.STRING, number=1)


Pence = NewType("Pence", int)
Raw = NewType("Raw", bytes)
Member = NewType("Member", User)


@pytest.mark.parametrize(
    ("message_type", "data", "payload"),
    [
        (Order, b'{"number": 1}', {"number": 1}),
        (Point, b"[1, 2]", Point(1, 2)),
        (Colour, b'"red"', Colour.RED),
        (date, b'"2026-01-31"', date(2026, 1, 31)),
        (timedelta, b'"PT1H"', timedelta(hours=1)),
        (UUID, b'"12345678-1234-4234-8234-123456789abc"', UUID("12345678123442348234123456789abc")),
        (Decimal, b'"1.50"', Decimal("1.50")),
        (Path, b'"/a"', Path("/a")),
        (Any, b'{"a": [1]}', {"a": [1]}),
        (int | None, b"null", None),
        (Pence, b"21", 21),
        (Raw, b"\xff", b"\xff"),
        (Member, b'{"name": "Ada"}', User(name="Ada")),
    ],
    ids=str,
)
def test_a_type_that_pydantic_validates_reads_json(
    message_type: Any, data: bytes, payload: Any
) -> None:
    assert message_parser(message_type)(data) == payload


@pytest.mark.parametrize("message_type", [Order, Point, Colour, date, UUID, Decimal, Member])
def test_data_that_does_not_fit_the_type_is_an_invalid_payload(message_type: Any) -> None:
    @message_handler(message_type=message_type)
    def task(payload: Any) -> None:
        raise AssertionError("called")

    assert isinstance(conclude(task, b'"junk"').outcome, InvalidPayload)


async def parse_later(data: bytes) -> Any:
    return data


def parse_in_parts(data: bytes) -> Iterator[bytes]:
    yield data


class AsyncParser:
    async def __call__(self, data: bytes) -> Any:
        return data


class Name(str):
    pass


@pytest.mark.parametrize(
    ("message_type", "says"),
    [
        (AttrsUser, "AttrsUser(**json.loads(data))"),
        (Old, "from typing_extensions import TypedDict"),
        (Name, "bytes.decode"),
        (NewType("Text", str), "bytes.decode"),
        (parse_later, "plain def"),
        (AsyncParser(), "plain def"),
        (parse_in_parts, "plain def"),
        (list[AttrsUser], "AttrsUser"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_type_that_would_make_wrong_payloads_is_refused(message_type: Any, says: str) -> None:
    if message_type is Old and sys.version_info >= (3, 12):
        assert message_parser(Old)(b'{"number": 1}') == {"number": 1}
        return

    with pytest.raises(TaskDefinitionError) as caught:
        message_parser(message_type)

    assert says in str(caught.value)


def test_a_msgspec_struct_reads_json() -> None:
    msgspec = pytest.importorskip("msgspec")
    struct = msgspec.defstruct("struct", [("number", int)])
    parse = message_parser(struct)

    assert parse(b'{"number": 1}').number == 1
    with pytest.raises(msgspec.ValidationError):
        parse(b'{"number": "1"}')


# --- names of types


LATER = """
import ucam_faas
from pydantic import BaseModel
from dataclasses import dataclass

class Order(BaseModel):
    items: list["Item"]

@dataclass
class Basket:
    items: list["Item"]

@ucam_faas.message_handler(message_type=Order)
def orders(order: Order) -> int:
    return order.items[0].number

@ucam_faas.message_handler(message_type=Basket)
def baskets(basket: Basket) -> int:
    return basket.items[0].number
"""
ITEM = """
class Item(BaseModel):
    number: int
"""


def test_types_may_be_defined_below_the_task(sources: Sources) -> None:
    file = sources.root / "later_main.py"
    file.write_text(LATER + ITEM)

    for task in registry.load(str(file)):
        assert conclude(task, b'{"items": [{"number": 7}]}').value == 7


def test_a_type_that_is_defined_nowhere_is_an_error_at_start(sources: Sources) -> None:
    file = sources.root / "never_main.py"
    file.write_text(LATER)

    with pytest.raises((TaskDefinitionError, UCAMFAASCouldNotLoadTarget)) as caught:
        registry.load(str(file))

    assert "Order names the type 'Item', which isn't defined" in str(caught.value)


def test_a_model_that_is_not_complete_is_a_crash_and_no_bad_data() -> None:
    """Where no source was loaded, such as in tests: the message isn't to blame."""

    class Unfinished(BaseModel):
        item: Nowhere  # type: ignore[name-defined]  # noqa: F821

    @message_handler(message_type=Unfinished)
    def task(payload: Unfinished) -> None:
        raise AssertionError("called")

    assert isinstance(conclude(task, b'{"item": 1}').outcome, Crashed)


# --- protobuf


def with_required_field() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="required.proto", package="t", syntax="proto2")
    message = file.message_type.add(name="Required")
    message.field.add(name="number", number=1, type=5, label=2)
    message.field.add(name="note", number=2, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Required"))


def test_a_protobuf_message_without_a_required_field_is_an_invalid_payload() -> None:
    required = with_required_field()
    seen: list[Any] = []
    task = message_handler(message_type=required)(collecting(seen))

    whole = conclude(task, required(number=1).SerializeToString())
    partial = conclude(task, required(note="x").SerializePartialToString())

    assert isinstance(whole.outcome, Done)
    assert isinstance(partial.outcome, InvalidPayload)
    assert len(seen) == 1


def collecting(seen: list[Any]) -> Any:
    def task(payload: Any) -> None:
        seen.append(payload)

    return task


@pytest.mark.parametrize("encoding", ["JSON", "BINARY", None])
def test_protobuf_messages_are_read_in_the_encoding_of_their_topics_schema(
    encoding: str | None,
) -> None:
    seen: list[Any] = []
    task = message_handler(message_type=Struct)(collecting(seen))
    sent = Struct()
    sent.update({"name": "Ada"})
    data = json.dumps({"name": "Ada"}).encode() if encoding == "JSON" else sent.SerializeToString()
    attributes = {"googclient_schemaencoding": encoding} if encoding else {}

    conclusion = conclude(task, make_message(data, attributes=attributes))

    assert isinstance(conclusion.outcome, Done)
    assert seen == [sent]


def test_json_of_a_protobuf_message_needs_no_attribute() -> None:
    """A job, and a message that is published again, have lost it."""
    seen: list[Any] = []
    task = message_handler(message_type=Struct)(collecting(seen))

    conclude(task, make_message(b'{"name": "Ada"}'))

    assert [dict(message) for message in seen] == [{"name": "Ada"}]


def test_json_of_something_else_is_no_empty_protobuf_message() -> None:
    """No schema of a topic has checked it."""
    task = message_handler(message_type=Method)(collecting([]))

    conclusion = conclude(task, make_message(b'{"number": 17}'))

    assert isinstance(conclusion.outcome, InvalidPayload)


@pytest.mark.parametrize(
    "data",
    [b"{}", b'{"name": ""}', b'{"name": "Ada", "newer": 1}', b'\n  {"name": "Ada"}'],
    ids=["empty", "only defaults", "a field of a newer version", "after space"],
)
def test_other_json_of_a_protobuf_message_is_read_without_the_attribute(data: bytes) -> None:
    seen: list[Any] = []
    task = message_handler(message_type=Method)(collecting(seen))

    conclude(task, make_message(data))

    assert [message.name for message in seen] == [json.loads(data).get("name", "")]


@pytest.mark.parametrize(
    ("data", "attributes"),
    [
        pytest.param(b"\n{" + b"x" * 123, {}, id="a text of 123 bytes"),
        pytest.param(b'\n{"value": "Ada"}' + b" " * 108, {}, id="a text like JSON"),
        pytest.param(b"{\x7c\n\x01a", {}, id="a group first"),
        pytest.param(b"{\x7c\n\x01a", {"googclient_schemaencoding": "BINARY"}, id="said to be so"),
    ],
)
def test_a_binary_message_with_a_brace_is_not_taken_for_json(
    data: bytes, attributes: dict[str, str]
) -> None:
    seen: list[Any] = []
    task = message_handler(message_type=StringValue)(collecting(seen))

    conclude(task, make_message(data, attributes=attributes))

    assert seen == [StringValue.FromString(data)]


@pytest.mark.parametrize("attributes", [{}, {"googclient_schemaencoding": "JSON"}])
def test_broken_json_of_a_protobuf_message_is_an_invalid_payload(
    attributes: dict[str, str],
) -> None:
    task = message_handler(message_type=Struct)(collecting([]))

    conclusion = conclude(task, make_message(b"{", attributes=attributes))

    assert isinstance(conclusion.outcome, InvalidPayload)


def test_a_proto_plus_class_reads_both_encodings() -> None:
    seen: list[Any] = []
    task = message_handler(message_type=ProtoPlus)(collecting(seen))
    sent = ProtoPlus(name="Ada")

    conclude(task, ProtoPlus.serialize(sent))
    conclude(
        task, make_message(b'{"name": "Ada"}', attributes={"googclient_schemaencoding": "JSON"})
    )

    assert seen == [sent, sent]
    assert isinstance(seen[0], ProtoPlus)
