"""Changes of protobuf messages: on the wire, a field's number is its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ucam_faas.deploy.payloads.compatibility import changes

from . import payload_protos as protos
from .conftest import payload_of
from .payload_models import Shape

ENUM = ("enum", ((0, "ZERO"), (1, "A")))


def shape(*fields: tuple[Any, ...]) -> Shape:
    """Return fields: number, name, and, if they matter, type, label and oneof."""
    return tuple((*field, *("int32", "singular", None)[len(field) - 2 :]) for field in fields)


def paths(old: Shape, new: Shape, reserved: tuple[int, ...] = ()) -> list[str]:
    differences = changes(
        payload_of(protos.class_of(old)), payload_of(protos.class_of(new, reserved))
    )
    return [change.path for change in differences]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (shape((1, "a")), shape(), ["a"]),
        (shape((1, "a")), shape((1, "b")), ["a"]),
        (shape((1, "a")), shape((2, "a")), ["a"]),
        (shape((1, "a")), shape((1, "a", "string")), ["a"]),
        (shape((1, "a", "int64")), shape((1, "a", "int32")), ["a"]),
        (shape((1, "a", "string")), shape((1, "a", ENUM)), ["a"]),
        (shape((1, "a", "string")), shape((1, "a", "double")), ["a"]),
        (shape((1, "a", ("message", ()))), shape((1, "a", ENUM)), ["a"]),
        (shape((1, "a")), shape((1, "a", "int32", "repeated")), ["a"]),
        (shape((1, "a", "int32", "repeated")), shape((1, "a")), ["a"]),
        (
            shape((1, "a"), (2, "b")),
            shape((1, "a", "int32", "singular", "pick"), (2, "b", "int32", "singular", "pick")),
            ["a, b"],
        ),
        (
            shape((1, "a", ("message", shape((3, "b"))))),
            shape((1, "a", ("message", shape((3, "b", "bytes"))))),
            ["a.b"],
        ),
        (shape((1, "a", ENUM)), shape((1, "a", ("enum", ENUM[1][:1]))), ["a"]),
        (
            shape((1, "a", ENUM)),
            shape((1, "a", ("enum", ((0, "ZERO"), (1, "B"))))),
            ["a"],
        ),
        (
            shape((1, "a", ENUM)),
            shape((1, "a", ("enum", ((0, "ZERO"), (2, "A"))))),
            ["a"],
        ),
    ],
)
def test_a_change_that_breaks_the_wire_format_is_reported(
    old: Shape, new: Shape, expected: list[str]
) -> None:
    assert paths(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (shape((1, "a")), shape((1, "a"), (2, "b"))),
        (shape((1, "a")), shape((1, "a", "int64"))),
        (shape((1, "a", ENUM)), shape((1, "a"))),
        (shape((1, "a")), shape((1, "a", "int32", "optional"))),
        (shape((1, "a", "string")), shape((1, "a", "bytes"))),
        (shape((1, "a", ENUM)), shape((1, "a", ("enum", (*ENUM[1], (2, "B")))))),
        (shape((1, "a")), shape((1, "a", "int32", "singular", "pick"), (2, "b"))),
    ],
)
def test_a_change_with_the_same_wire_format_is_no_change(old: Shape, new: Shape) -> None:
    assert paths(old, new) == []


def test_a_field_may_go_when_its_number_is_reserved() -> None:
    assert paths(shape((1, "a")), shape(), reserved=(1,)) == []


def test_a_field_may_not_move_to_another_number() -> None:
    assert paths(shape((1, "a")), shape((2, "a")), reserved=(1,)) == ["a"]


def test_a_number_stays_reserved() -> None:
    old = payload_of(protos.class_of((), reserved=(1, 2, 3)))
    new = payload_of(protos.class_of((), reserved=(1, 3)))

    assert [change.text for change in changes(old, new)] == [
        "no longer reserves the numbers 2 to 2: old values are lost or read as another field later"
    ]
    assert changes(new, old) == []


def test_a_new_field_of_an_old_message_may_not_be_required() -> None:
    old, new = payload_of(protos.class_of(())), payload_of(protos.class_of(shape((1, "a"))))
    new["messages"]["made.up.Top"]["fields"]["1"]["label"] = "required"

    assert [change.path for change in changes(old, new)] == ["a"]


EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@EXAMPLES
@given(st.data())
def test_a_value_that_reads_differently_in_the_new_message_is_reported(data: st.DataObject) -> None:
    old = data.draw(protos.shapes)
    new = data.draw(protos.mutations(old))
    before, after = protos.class_of(old), protos.class_of(new, data.draw(protos.reserved))
    message = before(**data.draw(protos.values_of(old)))

    differences = changes(payload_of(before), payload_of(after))

    assert changes(payload_of(before), payload_of(before)) == []
    assert differences or protos.is_same(
        old, message, new, after.FromString(message.SerializeToString())
    )
