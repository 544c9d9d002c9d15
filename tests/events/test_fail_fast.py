"""Validation of large data stops at its first errors; valid data parses as before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import VERSION, BaseModel, Field, TypeAdapter, ValidationError, field_validator

from ucam_faas.events.fail_fast import LARGE_BYTES, LARGE_ITEMS, json_validator, python_validator
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.events.model_errors import MAX_DESCRIBED, describe
from ucam_faas.tasks.parsers import message_parser

MANY = 4000
RECURSIVE = tuple(map(int, VERSION.split(".")[:2])) >= (2, 13)
"""Models that hold themselves: pydantic 2.12 collects all of their errors."""


class Item(BaseModel):
    number: int


class Named(BaseModel):
    kind: Literal["named"] = "named"
    name: str


class Counted(BaseModel):
    kind: Literal["counted"] = "counted"
    count: int


class Tree(BaseModel):
    leaf: int = 0
    children: list[Tree] = []


class OddNames(BaseModel):
    """Fields that are named as the keys of pydantic's own schemas."""

    type: list[int]
    default: list[int] = [1]
    metadata: dict[str, int] = {"type": 1}


class Checked(BaseModel):
    numbers: list[int]

    @field_validator("numbers")
    @classmethod
    def _twice(cls, numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]


class Corner(tuple[int, int], Enum):
    TOP = (0, 1)


class Options(dict[str, str], Enum):
    NONE = {"type": "list"}  # noqa: RUF012  # a member


class WithEnums(BaseModel):
    """Enums whose members look like lists and dictionaries of pydantic's own schemas."""

    corner: Corner = Corner.TOP
    options: Options = Options.NONE
    numbers: list[int]


@dataclass
class Plain:
    items: list[Item]


Tagged = Annotated[Named | Counted, Field(discriminator="kind")]
VALID: dict[str, tuple[Any, Any]] = {
    "models": (list[Item], [{"number": 1}] * MANY),
    "dictionaries": (dict[str, Item], {str(n): {"number": n} for n in range(MANY)}),
    "a union": (list[Named | Counted], [{"kind": "counted", "count": 1}] * MANY),
    "a union of lists": (list[int] | list[str], ["1"] * (MANY - 1) + ["x"]),
    "a tagged union": (list[Tagged], [{"kind": "named", "name": "x"}] * MANY),
    "a recursive model": (Tree, {"children": [{"leaf": n} for n in range(MANY)]}),
    "odd names": (OddNames, {"type": list(range(MANY)), "metadata": {"x": 1}}),
    "enums": (WithEnums, {"numbers": list(range(MANY))}),
    "a validator": (Checked, {"numbers": list(range(MANY))}),
    "a dataclass": (Plain, {"items": [{"number": 1}] * MANY}),
    "a tuple": (tuple[int, ...], list(range(MANY))),
    "a set": (set[int], list(range(MANY))),
}


@pytest.mark.parametrize(("kind", "data"), VALID.values(), ids=VALID)
def test_valid_data_makes_the_same_value(kind: Any, data: Any) -> None:
    content, adapter = json.dumps(data).encode(), TypeAdapter(kind)
    assert len(content) > LARGE_BYTES

    from_json = json_validator(kind, _unused)(content)
    from_python = python_validator(kind, _unused)(data)

    expected = adapter.validate_json(content)
    assert from_json == expected
    assert type(from_json) is type(expected)
    assert from_python == adapter.validate_python(data)


WRONG: dict[str, tuple[Any, Any]] = {
    "models": (list[Item], [{}] * MANY),
    "nested": (list[list[Item]], [[{}] * MANY] * 3),
    "dictionaries": (dict[str, Item], {str(n): {} for n in range(MANY)}),
    **({"a recursive model": (Tree, {"children": [{"leaf": "x"}] * MANY})} if RECURSIVE else {}),
    "odd names": (OddNames, {"type": ["x"] * MANY, "default": ["x"] * MANY}),
    "a dataclass": (Plain, {"items": ["x"] * MANY}),
    "a tuple": (tuple[int, ...], ["x"] * MANY),
    "a set": (set[int], ["x"] * MANY),
}


@pytest.mark.parametrize(("kind", "data"), WRONG.values(), ids=WRONG)
def test_large_data_has_few_errors(kind: Any, data: Any) -> None:
    with pytest.raises(ValidationError) as of_json:
        json_validator(kind, _unused)(json.dumps(data).encode())
    with pytest.raises(ValidationError) as of_python:
        python_validator(kind, _unused)(data)

    assert of_json.value.error_count() <= 2
    assert of_python.value.error_count() <= 2


def test_small_data_has_all_of_its_errors() -> None:
    with pytest.raises(ValidationError) as raised:
        message_parser(list[Item])(b'[{}, {"number": "x"}, {"number": 1}, 7]')

    assert raised.value.error_count() == 3


@pytest.mark.parametrize("kind", [*[Tree] * RECURSIVE, list[Item], Plain, Item], ids=repr)
def test_parsers_of_messages_stop_early(kind: Any) -> None:
    content = json.dumps({"children": ["x"] * MANY, "items": ["x"] * MANY}).encode()
    content = b"[" + b",".join([b"{}"] * MANY) + b"]" if kind == list[Item] else content

    with pytest.raises(ValidationError) as raised:
        message_parser(kind)(content)

    assert raised.value.error_count() == 1


def test_a_models_own_way_to_read_json_is_kept() -> None:
    class Own(BaseModel):
        length: int

        @classmethod
        def model_validate_json(cls, json_data: Any, **_: Any) -> Own:
            return cls(length=len(json_data))

    assert message_parser(Own)(b"x" * (LARGE_BYTES + 1)).length == LARGE_BYTES + 1


@pytest.mark.parametrize("count", [2, LARGE_ITEMS + 1])
def test_a_message_stops_at_its_first_wrong_attribute(count: int) -> None:
    attributes = {str(number): number for number in range(count)}

    with pytest.raises(ValidationError) as raised:
        PubsubMessage.model_validate_json(json.dumps({"attributes": attributes}))

    assert raised.value.error_count() == 1


def test_unknown_fields_beyond_number_are_counted_only() -> None:
    """A model that forbids them collects them all, and describing each would take seconds."""

    class Strict(BaseModel, extra="forbid"):
        pass

    content = json.dumps({f"x{number}": 1 for number in range(MAX_DESCRIBED + 1)}).encode()

    with pytest.raises(ValidationError) as raised:
        message_parser(Strict)(content)

    assert describe(raised.value) == "10001 errors"


def _unused(data: Any) -> Any:
    raise AssertionError("large data has a validator of its own")
