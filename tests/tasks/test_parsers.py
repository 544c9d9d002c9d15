"""A decorator's type or callable becomes a parser, or is refused at import."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel, RootModel, ValidationError

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.outcomes import MalformedEvent, WrongEventType
from ucam_faas.tasks.parsers import CloudEventType, message_parser
from ucam_faas.testing import make_cloud_event


class User(BaseModel):
    name: str


class Users(RootModel[list[User]]):
    pass


def test_a_pydantic_model_reads_json() -> None:
    parse = message_parser(User)

    assert parse(b'{"name": "Ada"}') == User(name="Ada")


def test_a_root_model_reads_json() -> None:
    parse = message_parser(Users)

    assert parse(b'[{"name": "Ada"}]') == Users([User(name="Ada")])


@pytest.mark.parametrize("data", [b"", b"{}", b"Ada", b'{"name": 5}', b"\xff"])
def test_data_that_is_not_the_model_is_rejected(data: bytes) -> None:
    parse = message_parser(User)

    with pytest.raises(ValidationError):
        parse(data)


def test_a_protobuf_message_reads_its_binary_form() -> None:
    sent = Struct()
    sent.update({"name": "Ada"})
    parse = message_parser(Struct)

    message = parse(sent.SerializeToString())

    assert message == sent


def test_empty_data_is_a_protobuf_message_of_defaults() -> None:
    assert message_parser(StringValue)(b"") == StringValue()


def test_data_that_is_no_protobuf_message_is_rejected() -> None:
    parse = message_parser(StringValue)

    with pytest.raises(Exception, match="pars"):
        parse(b"\xff\xff\xff")


@pytest.mark.parametrize(
    ("message_type", "data", "payload"),
    [(int, b"21", 21), (json.loads, b"[1]", [1]), (lambda data: data[::-1], b"ab", b"ba")],
)
def test_a_callable_makes_the_payload(message_type: Any, data: bytes, payload: Any) -> None:
    assert message_parser(message_type)(data) == payload


def test_an_exception_of_a_callable_is_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        message_parser(int)(b"x")


@pytest.mark.parametrize("data", [b"", b"\x00\xff"])
def test_none_is_the_bytes(data: bytes) -> None:
    assert message_parser(None)(data) == data


@pytest.mark.parametrize("message_type", [5, "User", [User], {"name": str}], ids=repr)
def test_an_unsuitable_message_type_is_refused_with_the_suitable_kinds(message_type: Any) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        message_parser(message_type)

    assert f"message_type={message_type!r}" in str(caught.value)
    assert "pydantic model" in str(caught.value)


def test_an_event_of_the_type_is_validated() -> None:
    parse = CloudEventType(event_type="t", event_data_model=User)

    payload = parse(make_cloud_event({"name": "Ada"}, type="t"))

    assert payload == User(name="Ada")


def test_an_event_may_hold_any_type_that_pydantic_validates() -> None:
    parse = CloudEventType(event_type="t", event_data_model=list[int])

    assert parse(make_cloud_event(["1", 2], type="t")) == [1, 2]


def test_an_event_of_another_type_is_refused_with_the_type_that_is_taken() -> None:
    parse = CloudEventType(event_type="t", event_data_model=User)

    with pytest.raises(WrongEventType) as caught:
        parse(make_cloud_event({"name": "Ada"}, type="other"))

    assert caught.value.reason == "type: expected 't'"


def test_data_that_is_not_the_events_model_is_malformed_without_its_value() -> None:
    parse = CloudEventType(event_type="t", event_data_model=User)

    with pytest.raises(MalformedEvent) as caught:
        parse(make_cloud_event({"name": ["secret"]}, type="t"))

    assert caught.value.reason == "name: string_type"


def test_a_model_that_pydantic_cannot_validate_is_refused_at_once() -> None:
    class Unknown:
        pass

    with pytest.raises(Exception, match="Unknown"):
        CloudEventType(event_type="t", event_data_model=Unknown)
