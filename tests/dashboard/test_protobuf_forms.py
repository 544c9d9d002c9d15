"""Forms of protobuf messages: they show the JSON form, and the binary form is sent."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from hypothesis import HealthCheck, given, settings, strategies as st

import ucam_faas
from tests.dashboard.controls import submitted
from tests.deploy import payload_protos as protos
from ucam_faas.dashboard import editor
from ucam_faas.dashboard.editor import Editor
from ucam_faas.dashboard.render import Renderer
from ucam_faas.tasks.payload_schemas import form_schema

PAGES = Renderer([]).environment


def order_class() -> Any:
    """Return a message class that has one field of each sort."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    line = file.message_type.add(name="Line")
    line.field.add(name="unit_price", number=1, type=field.TYPE_INT32, json_name="unitPrice")
    colour = file.enum_type.add(name="Colour")
    colour.value.add(name="UNKNOWN", number=0)
    colour.value.add(name="RED", number=1)
    order = file.message_type.add(name="Order")
    counts = order.nested_type.add(name="CountsEntry")
    counts.options.map_entry = True
    counts.field.add(name="key", number=1, type=field.TYPE_STRING)
    counts.field.add(name="value", number=2, type=field.TYPE_INT64)
    order.oneof_decl.add(name="pick")
    order.oneof_decl.add(name="_note")
    order.field.add(name="big", number=1, type=field.TYPE_INT64)
    order.field.add(name="lines", number=2, type_name=".shop.Line", label=3)
    order.field.add(name="colour", number=3, type=field.TYPE_ENUM, type_name=".shop.Colour")
    order.field.add(name="picture", number=4, type=field.TYPE_BYTES)
    order.field.add(name="counts", number=5, type_name=".shop.Order.CountsEntry", label=3)
    order.field.add(name="post", number=6, type=field.TYPE_STRING, oneof_index=0)
    order.field.add(name="shop", number=7, type=field.TYPE_STRING, oneof_index=0)
    note = order.field.add(name="note", number=8, type=field.TYPE_STRING, oneof_index=1)
    note.proto3_optional = True
    order.field.add(name="at", number=9, type_name=".google.protobuf.Timestamp")
    order.field.add(name="line", number=10, type_name=".shop.Line")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


Order = order_class()


def schema_of(kind: Any) -> Any:
    """Return the schema of a task that takes a message class, after a way through JSON."""

    @ucam_faas.message_handler(message_type=kind)
    def store(message: Any) -> None: ...

    return editor.json_schema(json.loads(json.dumps(form_schema(store.task))))


SCHEMA = schema_of(Order)


def html_of(edited: Editor) -> str:
    return str(PAGES.get_template("form.html").module.editor(edited))  # type: ignore[attr-defined]


def press(
    schema: Any, edited: Editor, button: str, original: bytes | None = None, **typed: str
) -> Editor:
    controls = {**submitted(html_of(edited)), **typed}
    return editor.submitted(schema, controls, original, button)


def test_a_form_of_a_message_makes_its_binary_form() -> None:
    form = editor.opened(SCHEMA, None)
    for button in ("choose f/lines 0", "add f/lines", "choose f/counts 0", "add f/counts"):
        form = press(SCHEMA, form, button)
    form = press(SCHEMA, form, "choose f/line 0")

    typed = {
        "f/big": "9007199254740993", "f/lines/0/unitPrice": "5", "f/colour": '"RED"',
        "f/picture": "/w==", "f/counts/0=": "ely", "f/counts/0": "-3", "f/shop": "north",
        "f/at": "2026-01-31T09:00:00Z", "f/note": "", "f/note?": "0", "f/line/unitPrice": "7",
    }  # fmt: skip
    done = press(SCHEMA, form, "send", **typed)

    assert done.faults == []
    assert done.data is not None
    message = Order.FromString(done.data)
    assert (message.big, message.lines[0].unit_price, message.colour) == (9007199254740993, 5, 1)
    assert (message.picture, dict(message.counts), message.shop) == (b"\xff", {"ely": -3}, "north")
    assert (message.at.ToJsonString(), message.line.unit_price) == ("2026-01-31T09:00:00Z", 7)
    assert (message.HasField("note"), message.HasField("post")) == (True, False)


def test_a_message_shows_its_fields_and_their_rules() -> None:
    html = html_of(editor.opened(SCHEMA, Order(big=2**60, colour=1).SerializeToString()))

    assert submitted(html)["f/big"] == str(2**60)
    assert '<option value="&#34;RED&#34;" selected>RED</option>' in html
    assert html.count("At most one of post, shop.") == 2


@pytest.mark.parametrize(
    ("typed", "path", "text"),
    [
        ({"f/big": "many"}, "f/big", "invalid literal for int"),
        ({"f/at": "soon"}, "f/at", "Failed to parse timestamp"),
        ({"f/post": "a", "f/shop": "b"}, "f", "multiple"),
        ({"f/lines/0/unitPrice": "0.5"}, "f/lines/0/unitPrice", "0.5"),
    ],
)
def test_a_value_that_the_message_cannot_hold_is_said_at_its_field(
    typed: dict[str, str], path: str, text: str
) -> None:
    form = press(SCHEMA, editor.opened(SCHEMA, None), "choose f/lines 0")
    form = press(SCHEMA, form, "add f/lines")

    refused = press(SCHEMA, form, "send", **typed)

    ((place, _, problem),) = refused.faults
    assert (place, refused.data) == (path, None)
    assert text in problem


def test_a_message_is_edited_as_json_too() -> None:
    form = editor.opened(SCHEMA, Order(big=5).SerializeToString())
    text = press(SCHEMA, form, "mode text", Order(big=5).SerializeToString())

    done = press(SCHEMA, text, "send", b"\x08\x05", text='{"big": "6"}')
    broken = press(SCHEMA, text, "send", b"\x08\x05", text='{"size": 6}')
    array = press(SCHEMA, text, "send", b"\x08\x05", text="[1]")

    assert done.data == Order(big=6).SerializeToString()
    assert (broken.data, array.data) == (None, None)
    assert 'no field named "size"' in broken.problems[0]
    assert array.problems == ["expected a JSON object"]


@pytest.mark.parametrize("data", [b"\xa8\x1f\x01", b"\xff", b'{"size": 1}'])
def test_a_payload_that_its_json_would_change_is_kept(data: bytes) -> None:
    opened = editor.opened(SCHEMA, data)

    assert (opened.mode, opened.data) == (editor.KEPT, data)
    assert press(SCHEMA, opened, "send", data).data == data


def test_a_message_that_came_as_json_is_edited_and_stays_json() -> None:
    """The schema of its topic may want that, and is another owner's."""
    data = b'{"big":"5"}'
    form = editor.opened(SCHEMA, data)

    same = press(SCHEMA, form, "send", data)
    changed = press(SCHEMA, form, "send", data, **{"f/big": "6"})
    wrong = press(SCHEMA, form, "send", data, **{"f/big": "many"})

    assert form.mode == editor.FORM
    assert same.data == data
    assert json.loads(changed.data or b"")["big"] == "6"
    assert (wrong.data, [path for path, _, _ in wrong.faults]) == (None, ["f/big"])


def test_a_new_message_is_json_where_the_schema_of_its_topic_wants_that() -> None:
    @ucam_faas.message_handler(message_type=Order)
    def store(message: Any) -> None: ...

    topic = {"type": "PROTOCOL_BUFFER", "definition": "", "encoding": "JSON"}
    schema = editor.json_schema(form_schema(store.task), topic)

    done = press(schema, editor.opened(schema, None), "send", **{"f/big": "6"})

    assert json.loads(done.data or b"") == {"big": "6"}


def test_a_message_of_googles_types_that_holds_itself_has_a_form() -> None:
    message = type_pb2.Type(name="a", fields=[type_pb2.Field(number=3, name="b")])
    data = message.SerializeToString()
    schema = schema_of(type_pb2.Type)

    same = press(schema, editor.opened(schema, data), "send", data)
    changed = press(schema, editor.opened(schema, data), "send", data, **{"f/name": "c"})

    message.name = "c"
    assert same.data == data
    assert changed.data == message.SerializeToString()


WELL_KNOWN = [
    wrappers_pb2.StringValue(value="a"),
    wrappers_pb2.Int64Value(value=2**60),
    wrappers_pb2.DoubleValue(value=math.nan),
    timestamp_pb2.Timestamp(seconds=5, nanos=1),
    duration_pb2.Duration(seconds=5),
    field_mask_pb2.FieldMask(paths=["a_b"]),
    struct_pb2.Struct(fields={"a": struct_pb2.Value(string_value="b")}),
    struct_pb2.Value(number_value=1.5),
    struct_pb2.ListValue(values=[struct_pb2.Value(bool_value=True)]),
    empty_pb2.Empty(),
]


@pytest.mark.parametrize("message", WELL_KNOWN, ids=lambda message: type(message).__name__)
def test_a_type_with_a_json_form_of_its_own_has_a_form(message: Any) -> None:
    schema = schema_of(type(message))

    sent = press(schema, editor.opened(schema, message.SerializeToString()), "send")

    assert sent.data == message.SerializeToString()


def test_an_array_isnt_taken_for_an_empty_message_of_googles() -> None:
    schema = schema_of(type_pb2.Type)
    text = editor.opened(schema, None, editor.TEXT)

    assert press(schema, text, "send", text="[1]").problems == ["expected a JSON object"]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_any_message_is_the_same_after_its_form(data: st.DataObject) -> None:
    shape = data.draw(protos.shapes)
    kind = protos.class_of(shape)
    message = kind(**data.draw(protos.values_of(shape)))
    schema = schema_of(kind)
    opened = editor.opened(schema, message.SerializeToString())

    # No original: nothing but the form makes the message.
    sent = press(schema, opened, "send")

    assert sent.data is not None, sent.faults
    assert kind.FromString(sent.data) == message
