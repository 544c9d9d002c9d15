"""Values become Avro: from plain JSON, from Avro's own, and made up."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import HealthCheck, given, settings

from tests.emulator.schemas.test_definitions import avro_schemas, field, record
from ucam_faas.emulator.schemas.avro import AvroDefinition
from ucam_faas.emulator.schemas.definitions import BINARY, JSON, MismatchError

ORDER = record(
    field("id", "string"),
    field("note", ["null", "string"], default=None),
    field("pence", ["long", "double"]),
    field("picture", "bytes", default=""),
    name="Order",
)


def avro(schema: Any) -> AvroDefinition:
    return AvroDefinition(json.dumps(schema))


def written(schema: Any, value: Any) -> bytes:
    """Return a value as fastavro writes it."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(schema), value)
    return file.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(avro_schemas())
def test_avros_json_becomes_the_binary_data_that_fastavro_writes(schema: Any) -> None:
    parsed = fastavro.parse_schema(schema)
    value, text = generate_one(parsed), io.StringIO()
    fastavro.json_writer(text, parsed, [value])

    binary = avro(schema).encode(json.loads(text.getvalue()), BINARY)

    assert binary == written(schema, value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(avro_schemas())
def test_data_that_are_made_up_are_valid_in_both_encodings(schema: Any) -> None:
    definition = avro(schema)
    for encoding in (JSON, BINARY):
        definition.check(definition.encode(definition.sample(), encoding), encoding)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(avro_schemas())
def test_binary_data_become_plain_json_and_binary_data_again(schema: Any) -> None:
    definition = avro(schema)
    binary = definition.encode(definition.sample(), BINARY)

    plain = json.loads(json.dumps(definition.decode(binary)))

    assert definition.encode(plain, BINARY) == binary


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ({"id": "17", "pence": 5}, {"id": "17", "note": None, "pence": 5, "picture": b""}),
        (
            {"id": "", "note": "new", "pence": 0.5, "picture": "\u00e9"},
            {"id": "", "note": "new", "pence": 0.5, "picture": b"\xe9"},
        ),
        (
            {"id": "", "note": {"string": "new"}, "pence": {"double": 1}},
            {"id": "", "note": "new", "pence": ("double", 1.0), "picture": b""},
        ),
    ],
    ids=["defaults", "unions without names", "unions with names"],
)
def test_plain_json_becomes_avro(plain: Any, value: Any) -> None:
    definition = avro(ORDER)

    assert definition.encode(plain, BINARY) == written(ORDER, value)
    definition.check(definition.encode(plain, JSON), JSON)


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ({"pence": 1}, "id is missing."),
        ({"id": "17", "pence": 1, "notes": "x"}, "notes isn't a field of the schema."),
        ({"id": "17", "pence": "1"}, 'pence: expected {"long": …} or {"double": …}, found str.'),
        ({"id": 17, "pence": 1}, "id: expected a value of the type string, found int."),
        ({"id": "\ud800", "pence": 1}, "A text has half a character."),
        ([], "The message: expected an object, found list."),
    ],
)
def test_other_json_is_refused_with_the_place(plain: Any, reason: str) -> None:
    with pytest.raises(MismatchError) as caught:
        avro(ORDER).encode(plain, BINARY)

    assert str(caught.value) == reason


def test_a_schema_that_refers_to_itself_has_a_sample() -> None:
    schema = record(field("next", ["null", "Node"]), field("all", {"type": "array", "items": "Node"}), name="Node")  # fmt: skip # noqa: E501
    definition = avro(schema)

    definition.check(definition.encode(definition.sample(), BINARY), BINARY)


def test_values_that_nest_too_deep_are_refused() -> None:
    value: Any = None
    for _ in range(100_000):
        value = {"next": value}

    with pytest.raises(MismatchError, match="The data are nested too deep"):
        avro(record(field("next", ["null", "Node"]), name="Node")).encode(value, BINARY)
