"""Data of both encodings and both languages follow their definition, or don't."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import HealthCheck, given, settings, strategies as st

from ucam_faas.emulator.schemas.compiling import compile_definition
from ucam_faas.emulator.schemas.definitions import (
    AVRO,
    BINARY,
    JSON,
    PROTOCOL_BUFFER,
    Definition,
    DefinitionError,
    MismatchError,
)


def avro(schema: Any) -> Definition:
    return compile_definition(AVRO, json.dumps(schema))


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, type: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type, **more}


PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "string", "bytes")


@st.composite
def avro_schemas(draw: st.DrawFn) -> Any:
    """Random schemas; each named type has a name of its own."""
    names = iter(f"N{number}" for number in range(1000))

    def make(depth: int) -> Any:
        kinds = PRIMITIVES if depth == 0 else (*PRIMITIVES, *(["array", "map", "enum", "fixed"]),
                                               *("record", "record", "union"))  # fmt: skip
        kind = draw(st.sampled_from(kinds))
        if kind == "array":
            return {"type": "array", "items": make(depth - 1)}
        if kind == "map":
            return {"type": "map", "values": make(depth - 1)}
        if kind == "enum":
            return {"type": "enum", "name": next(names), "symbols": ["A", "B"]}
        if kind == "fixed":
            return {"type": "fixed", "name": next(names), "size": draw(st.integers(1, 5))}
        if kind == "record":
            count = draw(st.integers(1, 3))  # fastavro fails to write an empty one as JSON
            fields = [field(f"f{number}", make(depth - 1)) for number in range(count)]
            return record(*fields, name=next(names), namespace=draw(st.sampled_from(["", "a.b"])))
        if kind == "union":
            return ["null", draw(st.sampled_from(["string", "int"])), make_named(depth - 1)]
        return kind

    def make_named(depth: int) -> Any:
        return record(field("inner", make(depth)), name=next(names))

    return make(draw(st.integers(0, 3)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(avro_schemas())
def test_what_fastavro_writes_is_valid_in_both_encodings(schema: Any) -> None:
    definition = avro(schema)
    parsed = fastavro.parse_schema(schema)
    value = generate_one(parsed)
    binary, text = io.BytesIO(), io.StringIO()
    fastavro.schemaless_writer(binary, parsed, value)
    fastavro.json_writer(text, parsed, [value])
    data = binary.getvalue()

    definition.check(data, BINARY)
    definition.check(text.getvalue().encode(), JSON)
    for wrong in [data + b"\0", *([data[:-1]] if data else [])]:
        with pytest.raises(MismatchError):
            definition.check(wrong, BINARY)
    with pytest.raises(MismatchError):
        definition.check(text.getvalue().encode() + b" 1", JSON)
    assert definition.break_with(avro(schema)) is None


@settings(max_examples=100, deadline=None)
@given(avro_schemas(), st.binary(max_size=20) | st.text(max_size=20).map(str.encode))
def test_no_data_break_a_check(schema: Any, data: bytes) -> None:
    definition = avro(schema)
    for encoding in (JSON, BINARY):
        try:
            definition.check(data, encoding)
        except MismatchError:
            continue


SCALARS = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "double": st.floats(allow_nan=False, allow_infinity=False),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(SCALARS)), max_size=5), st.data())
def test_messages_of_protobuf_are_valid_in_both_encodings(
    types: list[str], data: st.DataObject
) -> None:
    fields = [f"{kind} f{number} = {number};" for number, kind in enumerate(types, 1)]
    definition = compile_definition(
        PROTOCOL_BUFFER, f'syntax = "proto3"; message M {{ {" ".join(fields)} }}'
    )
    values = {f"f{n}": data.draw(SCALARS[kind]) for n, kind in enumerate(types, 1)}
    message = definition._class(**values)  # type: ignore[attr-defined]  # the only way in

    definition.check(json.dumps(values).encode(), JSON)
    definition.check(message.SerializeToString(), BINARY)
    with pytest.raises(MismatchError):
        definition.check(json.dumps({**values, "other": 1}).encode(), JSON)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_no_data_break_a_check_of_protobuf(data: bytes) -> None:
    definition = compile_definition(
        PROTOCOL_BUFFER, 'syntax = "proto2"; message M { required M m = 1; map<string, M> n = 2; }'
    )
    for encoding in (JSON, BINARY):
        with pytest.raises(MismatchError):  # the message within a message has no end
            definition.check(data, encoding)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(
    ["syntax", "=", '"proto3"', ";", "message", "M", "{", "}", "int32", "a", "1", "map", "<", ">",
     ",", "enum", "oneof", "reserved", "to", "max", "[", "]", "-", "group", "optional"]
)).map(" ".join))  # fmt: skip
def test_no_text_breaks_the_parsers(text: str) -> None:
    for kind in (AVRO, PROTOCOL_BUFFER):
        try:
            compile_definition(kind, text)
        except DefinitionError:
            continue


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (["null", "int"], {"int": 1}),
        ([record(field("a", "int"), namespace="x.y"), "null"], {"x.y.R": {"a": 1}}),
        ([{"type": "array", "items": "int"}, "null"], {"array": [1]}),
        (record(field("next", ["null", "R"])), {"next": {"R": {"next": None}}}),
        ({"type": "int", "logicalType": "date"}, 2.0),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4}, "\u00e9"),
        ({"type": {"type": "string"}}, "x"),
        (record(field("logicalType", "int")), {"logicalType": 1}),
        ({"type": "map", "values": "long"}, {"a": -(2**63)}),
        ("double", 1),
    ],
)
def test_values_of_avros_json(schema: Any, value: Any) -> None:
    avro(schema).check(json.dumps(value).encode(), JSON)


@pytest.mark.parametrize(
    ("schema", "data", "reason"),
    [
        ("int", b"true", "The message: expected a value of the type int, found bool."),
        ("int", b"1.5", "expected a value of the type int"),
        ("double", b"NaN", "NaN isn't JSON"),
        ("double", b"1e999", "expected a value of the type double"),
        ("bytes", '"\u0100"'.encode(), "expected a value of the type bytes"),
        ({"type": "fixed", "name": "F", "size": 2}, b'"a"', "2 bytes"),
        (["null", "int"], b"1", 'expected null or {"int": …}, found int.'),
        (["null", "int"], b'{"null": null}', "found dict"),
        (["int"], b"null", "found null"),
        (record(field("a", {"type": "array", "items": "int"})), b'{"a": [1, ""]}', "a[1]: "),
        (record(field("a", "int", default=1)), b"{}", "a is missing."),
        ("string", b"[" * 100_000, "aren't JSON"),
        ("string", b"\xff", "aren't JSON"),
    ],
)
def test_a_mismatch_says_where_and_what(schema: Any, data: bytes, reason: str) -> None:
    with pytest.raises(MismatchError) as raised:
        avro(schema).check(data, JSON)

    assert reason in str(raised.value)


def test_json_where_binary_is_expected_is_named() -> None:
    with pytest.raises(MismatchError, match="look like JSON"):
        avro(record(field("id", "string"))).check(b'{"id": "17"}', BINARY)


def test_a_mismatch_does_not_tell_the_value() -> None:
    with pytest.raises(MismatchError) as raised:
        avro(record(field("a", "int"))).check(b'{"a": "secret"}', JSON)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        None,
        5,
        {"type": "record", "name": "R"},
        record(field("a", "int"), field("a", "int")),
        ["int", "int"],
        ["int", ["null"]],
        record(field("a", "Unknown")),
        record(field("a", "int", default="x")),
        {"type": "enum", "name": "E", "symbols": ["a b"]},
        {"type": "array"},
    ],
    ids=str,
)
def test_texts_that_are_no_avro_schema(schema: Any) -> None:
    with pytest.raises(DefinitionError):
        avro(schema)


BASE = record(field("a", "int"), field("b", "string", default=""))


@pytest.mark.parametrize(
    "other",
    [
        BASE,
        record(field("a", "int")),
        record(field("a", "int"), field("c", ["null", "int"], default=None)),
        record(field("a", "int"), name="R", namespace="other"),
        record(field("a", {"type": "int", "logicalType": "date"})),
        record(field("b", "bytes", default=""), field("a", "int")),
    ],
    ids=str,
)
def test_avro_changes_that_both_sides_can_read(other: Any) -> None:
    assert avro(BASE).break_with(avro(other)) is None
    assert avro(other).break_with(avro(BASE)) is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (record(field("a", "long")), "a is of the type"),
        (record(field("a", "string")), "a is of the type"),
        (record(field("b", "string", default="")), "a has no default"),
        (record(field("a", "int"), field("c", "int")), "c has no default"),
        (record(field("a", "int"), name="S"), "has the name"),
        (record(field("a", ["null", "string"])), "a is of the type"),
        ("string", "the message is of the type"),
    ],
    ids=str,
)
def test_avro_changes_that_one_side_cannot_read(other: Any, reason: str) -> None:
    assert reason in str(avro(other).break_with(avro(BASE)))
    assert avro(BASE).break_with(avro(other))


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def test_avro_enums_fixed_and_recursive_types() -> None:
    node = record(field("next", ["null", "R"], default=None))
    more = record(*node["fields"], field("x", "int", default=0))
    fixed = {"type": "fixed", "name": "F", "size": 2}

    assert avro(node).break_with(avro(more)) is None
    assert "symbol B" in str(avro(enum("A")).break_with(avro(enum("A", "B"))))
    default = {"default": "A"}
    assert avro(enum("A", **default)).break_with(avro(enum("A", "B", **default))) is None
    assert "size" in str(avro(fixed).break_with(avro({**fixed, "size": 3})))


def test_a_renamed_avro_field_needs_an_alias_on_both_sides() -> None:
    old = record(field("a", "int", aliases=["z"]))
    new = record(field("z", "int", aliases=["a"]))

    assert avro(old).break_with(avro(new)) is None
    assert avro(old).break_with(avro(record(field("z", "int"))))


def proto(*fields: str, name: str = "M") -> Definition:
    return compile_definition(
        PROTOCOL_BUFFER, f'syntax = "proto3"; message {name} {{ {" ".join(fields)} }}'
    )


KIND = "Kind kind = 1; enum Kind { A = 0; B = 1; %s }"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("string a = 1;", "string a = 1; bool b = 2;", None),
        ("string a = 1;", "string a = 1; optional bool b = 2;", None),
        ("string a = 1; M b = 2;", "string a = 1;", None),
        (KIND % "", KIND % "C = 2;", None),
        ("M m = 1;", "M m = 1; string x = 2;", None),
        ("string a = 1;", "bytes a = 1;", "another type"),
        ("string a = 1;", "string b = 1;", "another name"),
        ("string a = 1;", "string a = 2;", "another number"),
        ("string a = 1;", "repeated string a = 1;", "is repeated, and was optional"),
        ("string a = 1;", "string a = 1; repeated M b = 2;", "is added"),
        ("string a = 1; map<string, M> b = 2;", "string a = 1;", "is removed"),
        (KIND % "C = 2;", KIND % "", "the value C"),
        (KIND % "C = 2;", KIND % "C = 3;", "the value C"),
        ("N n = 1; message N { int32 a = 1; }", "N n = 1; message N { bool a = 1; }", "type"),
        ("A n = 1; message A {}", "B n = 1; message B {}", "M.A is M.B now"),
    ],
)
def test_changes_of_protobuf(old: str, new: str, reason: str | None) -> None:
    problem = proto(new).break_with(proto(old))

    assert problem is None if reason is None else reason in str(problem)


LIST = record(field("next", ["null", "R"]))


def doubling() -> Any:
    """Return a record of two records of two records, and so on: 2 to the 60 values, and no byte."""
    inner: Any = record(name="R0")
    for level in range(1, 60):
        fields = field("a", inner), field("b", f"R{level - 1}")
        inner = record(*fields, name=f"R{level}")
    return inner


@pytest.mark.parametrize(
    ("schema", "data", "encoding"),
    [
        pytest.param(LIST, b"\x02" * 200_000 + b"\0", BINARY, id="a deep list"),
        pytest.param(record(field("r", "R")), b"", BINARY, id="a record of itself"),
        pytest.param(
            {"type": "array", "items": "null"}, b"\xfe" * 9 + b"\1\0", BINARY, id="2**62 nulls"
        ),
        pytest.param(doubling(), b"", BINARY, id="many empty records"),
        pytest.param(
            LIST, b'{"next":{"R":' * 450 + b'{"next":null}' + b"}}" * 450, JSON, id="deep JSON"
        ),
    ],
)
def test_avro_data_that_would_exhaust_the_process_are_refused(
    schema: Any, data: bytes, encoding: str
) -> None:
    definition = avro(schema)

    with pytest.raises(MismatchError, match=r"nested|take no byte"):
        definition.check(data, encoding)


def test_avro_data_may_be_deep_and_have_many_values_without_bytes() -> None:
    deep = b"\x02" * 90 + b"\0"
    nulls = b"\x80\x80\x08\0"  # 65536 of them

    avro(LIST).check(deep, BINARY)
    avro({"type": "array", "items": "null"}).check(nulls, BINARY)
