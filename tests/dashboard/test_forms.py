"""Forms of payloads: a value, shown and submitted, is the same value again."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tests.dashboard.controls import submitted
from tests.deploy.payload_models import models, payloads, type_of
from ucam_faas.dashboard.forms import building, fields, reading
from ucam_faas.dashboard.forms.shapes import MISSING, Schema
from ucam_faas.dashboard.forms.values import UnfaithfulError, load, same
from ucam_faas.dashboard.render import Renderer

PAGES = Renderer([]).environment


def html_of(form: fields.Field) -> str:
    return str(PAGES.get_template("form.html").module.of(form))  # type: ignore[attr-defined]


def after_a_browser(schema: Schema, form: fields.Field) -> fields.Field:
    return building.of_submitted(schema, submitted(html_of(form)))


def round_trip(schema: Any, value: Any) -> Any:
    described = Schema(schema)
    form = after_a_browser(described, building.of_value(described, value))
    again = reading.value_of(form)
    assert reading.problems_of(form) == []
    return again


texts = st.text(
    st.characters() | st.sampled_from("\x00\r\n\t\x85\u2028\ufeff<>&\"'~/?#=%+\ud800"), max_size=8
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    shape = draw(models)
    return type_of(shape), draw(payloads(shape))


@given(typed_values())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_a_payload_of_a_model_comes_back_as_it_was(pair: tuple[Any, Any]) -> None:
    kind, value = pair

    assert same(round_trip(TypeAdapter(kind).json_schema(), value), value)


@given(models, values)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_any_other_value_comes_back_too_or_has_a_problem_at_a_field(shape: Any, value: Any) -> None:
    schema = Schema(TypeAdapter(type_of(shape)).json_schema())

    form = after_a_browser(schema, building.of_value(schema, value))

    again = reading.value_of(form)
    assert reading.problems_of(form) or same(again, value)


words = st.sampled_from(
    [
        *("type", "properties", "required", "items", "anyOf", "oneOf", "allOf", "enum", "const"),
        *("$ref", "$defs", "prefixItems", "additionalProperties", "patternProperties", "minItems"),
        *(
            "string",
            "object",
            "array",
            "integer",
            "null",
            "boolean",
            "#",
            "#/$defs/a",
            "a",
            "title",
        ),
        *("default", "description", "examples", "format", "date", "maxItems"),
    ]
)
hostile_schemas = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**9) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=20,
)


@given(hostile_schemas, values)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_no_schema_breaks_a_form(schema: Any, value: Any) -> None:
    described = Schema(schema)

    form = after_a_browser(described, building.of_value(described, value))
    again = reading.value_of(form)
    new = after_a_browser(described, building.empty_field(described, schema))

    assert reading.problems_of(form) or same(again, value)
    reading.value_of(new)


class Address(BaseModel):
    street: str = Field(description="And number")
    city: str


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str
    city: str = "Basel"


class Order(BaseModel):
    id: int
    name: str
    note: str | None = None
    express: bool
    address: Address | None = None
    payment: Annotated[Card | Transfer, Field(discriminator="kind")]
    lines: list[Address] = Field(default_factory=list, min_length=1)
    parts: list[Order] = []
    tags: dict[str, int] = {}


SCHEMA = Schema(Order.model_json_schema())


def part(form: fields.Field, path: str) -> fields.Field:
    for step in path.split("/"):
        form = next(inner for key, inner in form.parts if key == step)
    return form


def test_a_new_form_has_what_a_payload_needs_and_leaves_the_rest_out() -> None:
    controls = submitted(html_of(building.empty_field(SCHEMA, SCHEMA.root)))

    controls |= {"f/id": "7", "f/name": "Ada", "f/express": "true", "f/payment/number": "4111"}
    value = reading.value_of(building.of_submitted(SCHEMA, controls))

    assert value == {
        "id": 7,
        "name": "Ada",
        "express": True,
        "payment": {"kind": "card", "number": "4111"},
    }
    Order.model_validate(value)


VALUE = {
    "id": 7,
    "name": "Ada",
    "express": False,
    "address": {"street": "Rheinweg 1", "city": "Basel"},
    "payment": {"kind": "card", "number": "4111"},
    "lines": [{"street": "a", "city": "b"}, {"street": "c", "city": "d"}],
    "parts": [],
    "tags": {"red": 1},
}


def after_button(form: fields.Field, action: str) -> fields.Field:
    form = after_a_browser(SCHEMA, form)
    reading.act(SCHEMA, form, action)
    return after_a_browser(SCHEMA, form)


def test_buttons_add_and_remove_items_and_entries() -> None:
    form = building.of_value(SCHEMA, VALUE)

    form = after_button(form, "remove f/lines/0")
    form = after_button(form, "add f/tags")
    form = after_a_browser(SCHEMA, form)
    part(form, "tags").parts[1] = ("blue", part(form, "tags").parts[1][1])
    part(form, "tags/blue").text = "2"

    assert reading.value_of(form) == VALUE | {
        "lines": [{"street": "c", "city": "d"}],
        "tags": {"red": 1, "blue": 2},
    }


def test_a_button_chooses_another_variant_or_leaves_a_part_out() -> None:
    form = building.of_value(SCHEMA, VALUE)

    form = after_button(form, "choose f/payment 1")
    form = after_button(form, "choose f/address null")
    form = after_button(form, "choose f/lines absent")
    part(form, "payment/iban").text = "CH93"

    value = reading.value_of(form)
    assert value["payment"] == {"kind": "transfer", "iban": "CH93"}
    assert value["address"] is None
    assert "lines" not in value


@pytest.mark.parametrize(
    "action",
    [
        "",
        "add",
        "add f",
        "add f/id",
        "remove f",
        "remove f/lines/9",
        "remove f/id/0",
        "add f/x/y",
        "remove f/lines/-1",
        "choose f/payment 9",
        "choose f/name null",
        "choose",
        "remove f/tags/x",
    ],
)
def test_a_button_that_the_form_never_had_changes_nothing(action: str) -> None:
    assert reading.value_of(after_button(building.of_value(SCHEMA, VALUE), action)) == VALUE


def test_errors_of_the_model_are_at_the_fields_that_they_are_about() -> None:
    broken = {
        **VALUE,
        "id": "x",
        "payment": {"kind": "card", "number": 5},
        "lines": [{"street": "a", "city": "b"}, {"street": "c", "city": 6}],
        "tags": {"red": "r"},
        "parts": [{}],
    }
    form = building.of_value(SCHEMA, broken)

    with pytest.raises(ValidationError) as refused:
        Order.model_validate(broken)
    for error in refused.value.errors():
        reading.place(form, error["loc"], error["msg"])

    places = {path for path, _ in reading.problems_of(form)}
    assert places >= {
        "f/id",
        "f/payment/number",
        "f/lines/1/city",
        "f/tags/0",
        "f/parts/0/id",
        "f/parts/0/payment",
    }
    html = html_of(form)
    assert 'id="f/lines/1/city-problem">Input should be a valid string' in html
    assert 'aria-invalid="true" aria-describedby="f/lines/1/city-problem ' in html


class Several(BaseModel):
    size: int | Address
    other: list[int] | str


def test_errors_about_variants_that_were_not_chosen_are_left_out() -> None:
    schema = Schema(Several.model_json_schema())
    value = {"size": {"street": "a"}, "other": [1, 2]}
    form = building.of_value(schema, value)

    with pytest.raises(ValidationError) as refused:
        Several.model_validate(value)
    for error in refused.value.errors():
        reading.place(form, error["loc"], error["msg"])

    assert reading.problems_of(form) == [("f/size/city", "Field required")]


def test_an_error_about_nothing_in_the_form_is_at_its_top() -> None:
    form = building.of_value(SCHEMA, VALUE)

    reading.place(form, ["nothing", "here"], "Field required")
    reading.place(form, [], "the order is too old")

    assert form.problems == ["nothing.here: Field required", "the order is too old"]


def test_wrong_texts_are_kept_with_the_problem_beside_them() -> None:
    form = building.of_value(SCHEMA, VALUE)
    part(form, "id").text = "1e"
    part(form, "name").text = ""
    part(form, "tags/red").text = "0x1"

    form = after_a_browser(SCHEMA, form)
    reading.value_of(form)

    assert [path for path, _ in reading.problems_of(form)] == ["f/id", "f/name", "f/tags/0"]
    assert submitted(html_of(form))["f/id"] == "1e"


def test_a_key_that_occurs_twice_is_a_problem() -> None:
    controls = submitted(html_of(building.of_value(SCHEMA, {**VALUE, "tags": {"a": 1, "b": 2}})))

    form = building.of_submitted(SCHEMA, controls | {"f/tags/1=": "a"})
    reading.value_of(form)

    assert reading.problems_of(form) == [("f/tags/1", "The key 'a' occurs twice.")]


def test_an_empty_text_is_sent_where_the_person_says_so() -> None:
    form = building.of_value(SCHEMA, {**VALUE, "name": "", "note": ""})

    assert reading.value_of(after_a_browser(SCHEMA, form)) == {**VALUE, "name": "", "note": ""}


def test_properties_that_the_schema_does_not_name_are_kept() -> None:
    value = {**VALUE, "address": {"street": "a", "city": "b", "flat": [3]}}

    assert round_trip(SCHEMA.root, value) == value


def test_names_with_the_marks_of_controls_are_told_apart() -> None:
    names = ["a", "a?", "a#", "a=", "a%", "a+", "a/0", "a~10", "a~/0", ""]
    schema = {
        "type": "object",
        "properties": {name: {"anyOf": [{"type": "integer"}, {"type": "null"}]} for name in names},
    }
    value = {name: i for i, name in enumerate(names)}

    assert round_trip(schema, value) == value


def test_a_form_of_a_huge_payload_is_refused() -> None:
    value = {**VALUE, "tags": {str(i): i for i in range(building.MOST_FIELDS)}}

    with pytest.raises(building.TooLargeError):
        building.of_value(SCHEMA, value)
    with pytest.raises(building.TooLargeError):
        building.of_submitted(SCHEMA, {"f/tags#": "99999999"})


def test_a_schema_that_never_ends_is_cut_off() -> None:
    endless = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}},
        "required": ["next"],
    }

    form = building.empty_field(Schema(endless), endless)
    text = html_of(form)

    assert text.count("<textarea") == 1


def test_markup_in_a_schema_or_a_payload_is_text() -> None:
    bad = "</textarea></script><script>alert(1)</script>\"'>"
    schema = {
        "type": "object",
        "properties": {bad: {"type": "string", "title": bad, "description": bad, "default": bad}},
        "additionalProperties": {},
    }

    html = html_of(building.of_value(Schema(schema), {bad: f"{bad}\n", "x": bad}))

    assert "<script" not in html
    assert html.count("</textarea>") == 2
    assert submitted(html)["f+"] == json.dumps({"x": bad}, indent=2).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a": 1, "a": 2}', UnfaithfulError),
        ("[0.12345678901234567891]", UnfaithfulError),
        ("1e999", UnfaithfulError),
        ("NaN", ValueError),
        ("[" * 100_000, ValueError),
        ("1" * 5000, ValueError),
        ("", ValueError),
    ],
)
def test_json_that_a_form_would_change_is_refused(text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        load(text)


def test_a_missing_value_is_not_null() -> None:
    form = building.of_value(SCHEMA, {**VALUE, "note": None})

    assert reading.value_of(after_a_browser(SCHEMA, form)) == {**VALUE, "note": None}
    assert repr(MISSING) == "MISSING"
