"""A sample is accepted by the task that it is for: it is printed to be sent."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import ipaddress
import json
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from google.protobuf import type_pb2, wrappers_pb2
from google.protobuf.struct_pb2 import Struct
from pydantic import (
    AfterValidator,
    AnyUrl,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    RootModel,
    create_model,
    model_validator,
)

from ucam_faas import message_handler
from ucam_faas.events.envelopes import decode
from ucam_faas.outcomes import Done
from ucam_faas.tasks.samples import NoSampleError, accepted_sample, sample_data, sample_push
from ucam_faas.tasks.task import Task
from ucam_faas.testing import conclude


class Colour(enum.Enum):
    RED = "red"


class Address(BaseModel):
    street: str
    number: int | None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


@dataclass
class NameAndAge:
    name: Annotated[str, Field(min_length=1)]
    age: Annotated[int, Field(ge=18)]


class Tree(BaseModel):
    name: str
    children: list[Tree]
    parent: Tree | None = None


def task_for(message_type: Any) -> Task:
    @message_handler(message_type=message_type)
    def task(payload: Any) -> None: ...

    return task.task


PLAIN = [
    str,
    int,
    float,
    bool,
    bytes,
    None,
    Any,
    int | None,
    int | str,
    list[int],
    list[Address],
    dict[str, int],
    set[int],
    Address,
    Address | None,
    Colour,
    Literal["a", "b"],
    datetime.datetime,
    datetime.date,
    datetime.time,
    uuid.UUID,
    AnyUrl,
    decimal.Decimal,
    Annotated[list[int], Field(min_length=2)],
    Annotated[int, Field(examples=[42])],
    Tree,
]
CONSTRAINED = [
    Annotated[int, Field(ge=18)],
    Annotated[int, Field(gt=18)],
    Annotated[int, Field(le=-1)],
    Annotated[float, Field(gt=2.5)],
    Annotated[int, Field(multiple_of=5)],
    Annotated[str, Field(min_length=10)],
    Annotated[str, Field(max_length=2)],
    tuple[int, str],
    datetime.timedelta,
    ipaddress.IPv4Address,
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Annotated[float, Field(gt=0, lt=0.1)],
    Annotated[int, Field(ge=100, le=200, multiple_of=7)],
    Annotated[str, Field(pattern=r"^[A-Z]{2}\d{4}$")],
    Annotated[str, Field(pattern=r"^(?:crs|usr)id-[a-z]+\d+$", min_length=12, max_length=14)],
    Annotated[str, Field(pattern=r"[^@\s]+@[^@\s]+\.(ac|org)\.uk$")],
    Annotated[str, Field(pattern="colou?r", min_length=5)],
    Annotated[list[Annotated[str, Field(pattern=r"^\w{3}$")]], Field(min_length=3)],
    Annotated[set[Annotated[int, Field(ge=0, le=3)]], Field(min_length=4)],
    Annotated[set[Annotated[str, Field(max_length=1)]], Field(min_length=5)],
    Annotated[set[Colour], Field(min_length=1)],
    Annotated[dict[str, Address], Field(min_length=2)],
    Annotated[dict[Annotated[str, Field(pattern=r"^k\d+$")], int], Field(min_length=2)],
    Annotated[list[Annotated[Cat | Dog, Field(discriminator="kind")]], Field(min_length=2)],
    Annotated[list[list[Annotated[int, Field(gt=5)]]], Field(min_length=1)],
    Json[list[int]],
    Base64Bytes,
    NameAndAge,
    ipaddress.IPv6Network,
    uuid.UUID,
    Annotated[decimal.Decimal, Field(max_digits=3, decimal_places=1, gt=10)],
    Annotated[bytes, Field(min_length=3)],
]


@pytest.mark.parametrize("kind", PLAIN + CONSTRAINED, ids=lambda kind: str(kind)[-60:])
def test_a_sample_is_accepted_by_its_model(kind: Any) -> None:
    model = create_model("Model", value=(kind, ...))

    data = sample_data(task_for(model))

    model.model_validate_json(data)


def test_a_sample_has_only_the_required_fields() -> None:
    class Model(BaseModel):
        needed: int
        optional: int = 5

    assert json.loads(sample_data(task_for(Model))) == {"needed": 1}


def test_a_sample_has_the_names_of_the_wire() -> None:
    class Model(BaseModel):
        user_name: str = Field(alias="userName")

    assert set(json.loads(sample_data(task_for(Model)))) == {"userName"}


def test_a_root_model_has_a_sample() -> None:
    Numbers = RootModel[list[int]]

    Numbers.model_validate_json(sample_data(task_for(Numbers)))


@pytest.mark.parametrize(
    "kind",
    [list[int], Annotated[list[Annotated[int, Field(gt=5)]], Field(min_length=1)], NameAndAge],
    ids=str,
)
def test_a_sample_is_made_for_a_type_that_is_no_model(kind: Any) -> None:
    task = task_for(kind)

    assert task.parse is not None
    task.parse(sample_data(task))


def test_a_sample_of_a_protobuf_message_has_a_value_in_each_field() -> None:
    """It has the first field of a oneof, and a few levels of a recursive field."""
    data = accepted_sample(task_for(type_pb2.Type))

    message = type_pb2.Type.FromString(data)
    assert message.name == "text"
    assert list(message.oneofs) == ["text"]
    assert message.fields[0].kind != 0
    assert message.source_context.file_name == "text"


def test_googles_well_known_types_have_samples() -> None:
    assert Struct.FromString(sample_data(task_for(Struct)))["name"] == "text"
    kind = wrappers_pb2.Int64Value
    assert kind.FromString(sample_data(task_for(kind))).value == 1


def test_a_pattern_that_only_some_branches_match_is_searched_for() -> None:
    even = AfterValidator(lambda text: text if len(text) % 2 == 0 else 1 / 0)

    class Model(BaseModel):
        model_config = ConfigDict(regex_engine="python-re")

        code: Annotated[str, Field(pattern=r"^(a|bb)(?!c)[a-d]$"), even] | int

    task = task_for(Model)

    assert json.loads(accepted_sample(task))["code"] in ("aa", "ab", "ad")


def test_optional_fields_are_filled_in_where_the_model_wants_one_of_them() -> None:
    class Model(BaseModel):
        email: str | None = None
        phone: str | None = None

        @model_validator(mode="after")
        def _has_one(self) -> Model:
            if self.email is None and self.phone is None:
                raise ValueError("email or phone")
            return self

    assert json.loads(accepted_sample(task_for(Model)))["email"] == "text"


@dataclass
class Sum:
    numbers: list[int]


def parse_sum(data: bytes) -> Sum:
    return Sum(**json.loads(data))


def parse_capitals(data: bytes) -> str:
    raise ValueError("capitals, please")


def test_a_parsers_return_type_describes_its_data() -> None:
    assert json.loads(accepted_sample(task_for(parse_sum))) == {"numbers": []}


@pytest.mark.parametrize("parser", [json.loads, bytes.decode, int])
def test_for_a_parser_that_says_nothing_usual_data_are_tried(parser: Any) -> None:
    parser(accepted_sample(task_for(parser)))


def test_a_sample_that_is_refused_is_shown_with_the_reason() -> None:
    with pytest.raises(NoSampleError) as caught:
        accepted_sample(task_for(parse_capitals))

    assert caught.value.tried == b"hello"
    assert str(caught.value.error) == "capitals, please"


def test_a_pattern_without_a_match_is_the_reason() -> None:
    class Model(BaseModel):
        code: str = Field(pattern=r"^a{5}$", max_length=2)

    with pytest.raises(NoSampleError, match="no text") as caught:
        accepted_sample(task_for(Model))

    assert caught.value.tried is None


def test_samples_are_the_same_each_time() -> None:
    class Model(BaseModel):
        code: str = Field(pattern=r"^[a-z]{3}\d$", min_length=4)
        others: set[Annotated[str, Field(pattern=r"^\w{4}$")]] = Field(min_length=3)

    task = task_for(Model)

    assert accepted_sample(task) == accepted_sample(task)


def test_bytes_and_functions_have_a_sample() -> None:
    assert sample_data(task_for(None)) == b"hello"
    assert sample_data(task_for(len)) == b"hello"


def test_a_model_without_a_schema_does_no_harm() -> None:
    # The sample is printed when a server starts: it must not keep it from starting.
    class Own:
        pass

    class Model(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)

        value: Annotated[Own, BeforeValidator(lambda value: Own())]

    assert isinstance(sample_data(task_for(Model)), bytes)


def test_a_sample_push_is_handled_by_the_task() -> None:
    class Model(BaseModel):
        name: str

    @message_handler(message_type=Model)
    def task(payload: Model) -> None: ...

    envelope = decode(sample_push(task.task).encode(), {"content-type": "application/json"})

    assert envelope.message is not None
    assert isinstance(conclude(task, envelope.message).outcome, Done)
    assert base64.b64encode(envelope.message.data).decode() in sample_push(task.task)
