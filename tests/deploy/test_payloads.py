"""Schemas of payloads are plain JSON, the same each time, with nothing private in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from pydantic import (
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PastDate,
    SecretStr,
    Strict,
)

from ucam_faas import (
    CloudEventType,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.tasks.payload_schemas import schema_of


def schema(message_type: Any, *, values: bool = False) -> Any:
    @message_handler(message_type=message_type)
    def work(payload: Any) -> None: ...

    described = schema_of(work.task, values=values)
    assert described == json.loads(json.dumps(described, allow_nan=False))
    return described


def field(kind: Any, **options: Any) -> Any:
    """Return the schema of a model's field."""
    annotations = {"__annotations__": {"a": kind}, "a": Field(**options)}
    model = type("Model", (BaseModel,), annotations)
    return next(iter(schema(model)["schema"]["properties"].values()))


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    """The goods that were bought."""

    number: int = Field(gt=0, examples=[7])
    password: SecretStr = SecretStr("hunter2")
    note: str = Field("hunter2", description="Anything.")
    colour: Colour = Colour.RED
    default: str = ""
    examples: list[float] = Field(default=[], examples=[[float("inf")]])


@dataclass
class Point:
    x: int


class NoSchema:
    """A type that pydantic doesn't know."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)


# --- JSON


@pytest.mark.parametrize("kind", [Order, Point, list[int], dict[str, Order], int | None])
def test_a_type_read_from_json_has_a_json_schema(kind: Any) -> None:
    assert schema(kind)["format"] == "json"


def test_the_schema_has_the_documented_descriptions() -> None:
    described = schema(Order)["schema"]

    assert described["description"] == "The goods that were bought."
    assert described["properties"]["note"] == {
        "title": "Note",
        "type": "string",
        "description": "Anything.",
    }
    assert described["required"] == ["number"]


def test_defaults_and_examples_are_left_out_and_fields_of_that_name_are_not() -> None:
    described = schema(Order)

    assert "hunter2" not in json.dumps(described)
    assert {"default", "examples"} < described["schema"]["properties"].keys()
    assert described["schema"]["properties"]["number"] == {
        "title": "Number",
        "type": "integer",
        "exclusiveMinimum": 0,
    }


def test_documents_get_defaults_and_examples_and_no_secret() -> None:
    properties = schema(Order, values=True)["schema"]["properties"]

    assert properties["note"]["default"] == "hunter2"
    assert properties["number"]["examples"] == [7]
    assert properties["password"]["default"] == "**********"


def test_a_schema_is_the_same_each_time() -> None:
    assert json.dumps(schema(Order)) == json.dumps(schema(Order))


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (AwareDatetime, {"tz_constraint": "aware"}),
        (PastDate, {"now_op": "past"}),
        (Annotated[date, Field(ge=date(2020, 1, 1))], {"ge": "2020-01-01"}),
        (Annotated[Decimal, Field(max_digits=4)], {"max_digits": 4}),
        (datetime, None),
    ],
)
def test_limits_that_json_schema_has_no_word_for_are_in_it(kind: Any, limits: Any) -> None:
    assert field(kind).get("x-limits") == limits


def test_strictness_is_in_it() -> None:
    class Strictly(BaseModel):
        model_config = ConfigDict(strict=True)
        a: int

    assert field(Annotated[int, Strict()])["x-strict"] is True
    assert schema(Strictly)["schema"]["x-strict"] is True
    assert "x-strict" not in schema(Order)["schema"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, None),
        ({"alias": "A"}, None),
        ({"validation_alias": AliasChoices("A", "b", AliasPath("c", 0))}, ["b", "c.0"]),
        ({"validation_alias": AliasPath("c", "d")}, ["c.d"]),
    ],
)
def test_the_other_names_of_a_field_are_in_it(options: dict[str, Any], names: Any) -> None:
    assert field(int, **options).get("x-also-named") == names


def test_a_field_that_is_read_from_its_name_and_its_alias_has_both() -> None:
    class Both(BaseModel):
        model_config = ConfigDict(populate_by_name=True, alias_generator=str.upper)
        a: int

    assert schema(Both)["schema"]["properties"]["A"]["x-also-named"] == ["a"]


def test_keys_of_maps_that_are_no_texts_are_in_it() -> None:
    assert field(dict[int, str])["x-keys"] == {"type": "integer"}
    assert "x-keys" not in field(dict[str, str])


def test_infinite_limits_are_none() -> None:
    assert field(Annotated[float, Field(le=float("inf"))]) == {"title": "A", "type": "number"}


# --- what is not known


@pytest.mark.parametrize(
    "decorate",
    [
        message_handler(message_type=None),
        message_handler(message_type=json.loads),
        message_handler(message_type=list[NoSchema]),
        raw_event,
        cloud_event,
        cloud_event_handler(event_data_parser=str),
        http(path="/work"),
    ],
)
def test_a_payload_known_only_to_the_tasks_code_has_no_schema(
    decorate: Callable[..., Any],
) -> None:
    @decorate
    def work(payload: Any) -> None: ...

    assert schema_of(work.task) is None


def test_the_data_of_a_cloud_event_are_known_by_their_type() -> None:
    parser = CloudEventType(event_type="com.example.created", event_data_model=Point)

    @cloud_event_handler(event_data_parser=parser)
    def work(payload: Any) -> None: ...

    described = schema_of(work.task)
    assert described is not None
    assert (described["format"], described["event_type"]) == ("json", "com.example.created")
    assert list(described["schema"]["properties"]) == ["x"]


# --- protobuf


def message_class(text: str, name: str, **options: Any) -> Any:
    """Make a class from a FileDescriptorProto in text format."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", **options)
    text_format.Parse(text, file)
    pool = descriptor_pool.DescriptorPool()
    timestamp = descriptor_pb2.FileDescriptorProto(
        name="google/protobuf/timestamp.proto", package="google.protobuf"
    )
    timestamp.message_type.add(name="Timestamp")
    pool.Add(timestamp)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


RICH = """
dependency: "google/protobuf/timestamp.proto"
message_type {
  name: "Top"
  field { name: "n" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "many" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "maybe" number: 3 type: TYPE_BOOL label: LABEL_OPTIONAL
          proto3_optional: true oneof_index: 1 }
  field { name: "one" number: 4 type: TYPE_BYTES label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "up" number: 5 type: TYPE_MESSAGE type_name: ".test.Top" label: LABEL_OPTIONAL }
  field { name: "kind" number: 6 type: TYPE_ENUM type_name: ".test.Top.Kind"
          label: LABEL_OPTIONAL }
  field { name: "at" number: 7 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp"
          label: LABEL_OPTIONAL }
  oneof_decl { name: "pick" }
  oneof_decl { name: "_maybe" }
  enum_type { name: "Kind" value { name: "NONE" number: 0 } value { name: "SOME" number: 1 }
              reserved_range { start: 2 end: 3 } }
  reserved_range { start: 9 end: 12 }
  reserved_name: "gone"
}
"""


def test_a_protobuf_message_is_described_by_its_wire_format() -> None:
    described = schema(message_class(RICH, "Top", syntax="proto3"))

    assert (described["format"], described["message"]) == ("protobuf", "test.Top")
    assert described["imports"] == ["google/protobuf/timestamp.proto"]
    top = described["messages"]["test.Top"]
    assert list(described["messages"]) == ["test.Top"]
    assert top["fields"] == {
        "1": {"name": "n", "type": "int32", "label": "singular"},
        "2": {"name": "many", "type": "string", "label": "repeated"},
        "3": {"name": "maybe", "type": "bool", "label": "optional"},
        "4": {"name": "one", "type": "bytes", "label": "singular", "oneof": "pick"},
        "5": {"name": "up", "type": "test.Top", "label": "singular"},
        "6": {"name": "kind", "type": "test.Top.Kind", "label": "singular"},
        "7": {"name": "at", "type": "google.protobuf.Timestamp", "label": "singular"},
    }
    assert (top["reserved_numbers"], top["reserved_names"]) == ([[9, 11]], ["gone"])
    assert described["enums"]["test.Top.Kind"] == {
        "values": {"0": ["NONE"], "1": ["SOME"]},
        "reserved_numbers": [[2, 3]],
    }


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"syntax": "proto2"}, "label: LABEL_REQUIRED"),
        (
            {"syntax": "editions", "edition": "EDITION_2023"},
            "label: LABEL_OPTIONAL options { features { field_presence: LEGACY_REQUIRED } }",
        ),
    ],
)
def test_required_is_required_in_proto2_and_in_the_editions(
    options: dict[str, Any], text: str
) -> None:
    proto = f'message_type {{ name: "M" field {{ name: "a" number: 1 type: TYPE_INT32 {text} }} }}'

    described = schema(message_class(proto, "M", **options))

    assert described["messages"]["test.M"]["fields"]["1"]["label"] == "required"
