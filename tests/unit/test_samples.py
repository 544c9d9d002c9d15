"""A sample is accepted by the task that it is for: it is printed to be sent."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import ipaddress
import json
import uuid
from typing import Annotated, Any, Literal

import pytest
from google.protobuf.struct_pb2 import Struct
from pydantic import AnyUrl, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, create_model

from ucam_faas import message_handler
from ucam_faas.envelopes import decode
from ucam_faas.outcomes import Done
from ucam_faas.samples import sample_data, sample_push
from ucam_faas.task import Task
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
]


@pytest.mark.parametrize("kind", PLAIN + CONSTRAINED, ids=lambda kind: str(kind)[-60:])
def test_a_sample_is_accepted_by_its_model(kind: Any) -> None:
    model = create_model("Model", value=(kind, ...))

    data = sample_data(task_for(model))

    model.model_validate_json(data)


def test_a_sample_has_what_is_required_only() -> None:
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


def test_a_protobuf_message_has_a_sample() -> None:
    assert Struct.FromString(sample_data(task_for(Struct))) == Struct()


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
