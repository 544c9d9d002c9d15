"""Two payloads exclude each other only if that is certain."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from tests.deploy.conftest import payload_of
from ucam_faas.deploy.payloads.overlap import clash


class Colour(Enum):
    RED = "red"


def model(extra: Any = None, /, **fields: Any) -> type[BaseModel]:
    config = ConfigDict(extra=extra) if extra else None
    return create_model("Model", __config__=config, **fields)  # type: ignore[no-any-return]


class Tree(BaseModel):
    value: int
    parts: list[Tree] = []


REQUIRED: dict[str, tuple[Any, Any, str]] = {
    "a text and a number": (model(id=str), model(id=int), "id"),
    "a text and an optional number": (model(id=str), model(id=(int | None, None)), "id"),
    "an optional text and a number": (model(id=(str, "")), model(id=float), "id"),
    "a list and an object": (model(id=list[int]), model(id=dict[str, int]), "id"),
    "different constants": (model(kind=Literal["a"]), model(kind=Literal["b", "c"]), "kind"),
    "a constant and an enum": (model(kind=Literal["a"]), model(kind=Colour), "kind"),
    "a field that is refused": (model(id=str, vat=int), model("forbid", id=str), "vat"),
    "an inner field": (model(user=model(id=str)), model(user=model(id=int)), "user.id"),
    "each of two forms": (model(id=str) | model(id=list[str]), model(id=int), "id"),
    "a value of a map": (list[int], model(id=int), ""),
}


@pytest.mark.parametrize("name", REQUIRED)
def test_payloads_that_exclude_each_other(name: str) -> None:
    first, second, path = REQUIRED[name]
    payloads = payload_of(first), payload_of(second)

    reason, turned = clash(*payloads), clash(*reversed(payloads))

    assert reason is not None
    assert turned is not None
    assert (reason.path, turned.path) == (path, path)
    assert {reason.first, reason.second} == {turned.first, turned.second}


BOTH: dict[str, tuple[Any, Any]] = {
    "the same": (model(id=str), model(id=str)),
    "other fields": (model(id=str), model(bill=int)),
    "an optional field of another type": (model(id=(str, "")), model(id=(int, 0))),
    "an integer and a number": (model(id=int), model(id=float)),
    "a number and a switch": (model(id=int), model(id=bool)),
    "a time and a number": (model(at=datetime), model(at=int)),
    "one of two forms": (model(id=str) | model(id=int), model(id=int)),
    "constants with one in common": (model(k=Literal["a", "b"]), model(k=Literal["b", "c"])),
    "a refused field that is optional": (model(id=str, v=(int, 0)), model("forbid", id=str)),
    "a field with an alias": (
        model(order_id=(str, Field(alias="id"))),
        model("forbid", id=(str, Field(alias="id"))),
    ),
    "anything": (model(id=Any), model(id=int)),
    "lists of different things": (model(id=list[int]), model(id=list[str])),
    "trees": (Tree, Tree),
}


@pytest.mark.parametrize("name", BOTH)
def test_payloads_that_a_message_may_suit_both(name: str) -> None:
    first, second = map(payload_of, BOTH[name])

    assert clash(first, second) is None
    assert clash(second, first) is None


def test_an_unknown_payload_excludes_none() -> None:
    assert clash(None, payload_of(model(id=int))) is None


def test_events_of_different_types_exclude_each_other() -> None:
    payload = payload_of(model(id=int))

    assert clash({**payload, "event_type": "a"}, {**payload, "event_type": "b"}) is not None
