"""Changes of payloads: edits that may break old messages are reported; safe edits pass."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import (
    AliasChoices,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    Strict,
    TypeAdapter,
    ValidationError,
    create_model,
)

from ucam_faas import CloudEventType, ConfigurationError, cloud_event_handler
from ucam_faas.deploy.payloads.changes import Change
from ucam_faas.deploy.payloads.compatibility import changes
from ucam_faas.tasks.payload_schemas import schema_of

from . import payload_protos as protos
from .conftest import payload_of
from .payload_models import Shape, models, mutations, payloads, type_of


def between(old: Any, new: Any) -> list[Change]:
    return changes(payload_of(old), payload_of(new))


def paths(old: Any, new: Any) -> list[str]:
    return sorted({change.path for change in between(old, new)})


def model(name: str = "Model", /, **fields: Any) -> Any:
    """Return a model: a field is a type, or a type and its default (or Field)."""
    definitions = {
        key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in fields.items()
    }
    return create_model(name, **definitions)


ADDRESS, OTHER_ADDRESS = model("Address", zip=str), model("Address", zip=int)
LONGER_ADDRESS = model("Address", zip=str, country=str)
CAT = model("Cat", kind=Literal["cat"], lives=int)
DOG = model("Dog", kind=Literal["dog"], name=str)
OTHER_CAT = model("Cat", kind=Literal["cat"], lives=str)
PLAIN_CAT = model("Cat", lives=int)
KITTY = model("Kitty", kind=Literal["cat"], lives=int)
DEFAULT_CAT = model("Cat", kind=(Literal["cat"], "cat"), lives=int)
DEFAULT_DOG = model("Dog", kind=(Literal["dog"], "dog"), name=str)


class Numbers(BaseModel):
    value: int
    children: list[Numbers] = []


class Texts(BaseModel):
    value: str
    children: list[Texts] = []


class Ping(BaseModel):
    pong: Pong | None = None


class Pong(BaseModel):
    ping: Ping | None = None
    number: int = 0


class OtherPing(BaseModel):
    pong: OtherPong | None = None


class OtherPong(BaseModel):
    ping: OtherPing | None = None
    number: str = ""


def closed(**fields: Any) -> Any:
    definitions = {name: (kind, ...) for name, kind in fields.items()}
    return create_model("Model", __config__=ConfigDict(extra="forbid"), **definitions)


def named(*names: str) -> Any:
    return (int, Field(validation_alias=AliasChoices(*names)))


def limited(kind: Any, **limits: Any) -> Any:
    return Annotated[kind, Field(**limits)]


def told_apart(union: Any) -> Any:
    return Annotated[union, Field(discriminator="kind")]


# --- what breaks, each with its place


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (model(a=int, b=str), model(a=int), ["b"]),
        (model(a=int), model(a=str), ["a"]),
        (model(a=int), model(a=int, b=str), ["b"]),
        (model(a=(int, 3)), model(a=int), ["a"]),
        (model(a=int), model(b=int), ["a", "b"]),
        (model(a=int), model(b=list[int]), ["a", "b"]),
        (model(a=int), closed(a=int), [""]),
        (model(a=int), model(a=(int, Field(alias="A"))), ["A", "a"]),
        (model(a=named("A", "a")), model(a=named("A")), ["a"]),
        (list[int], list[str], ["[]"]),
        (Numbers, Texts, ["children[].value", "value"]),
    ],
)
def test_a_breaking_change_is_reported_at_its_place(
    old: Any, new: Any, expected: list[str]
) -> None:
    assert paths(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # values
        (Literal["x", "y"], Literal["x"], ["a"]),
        (Literal["x", "y"], Literal["x"] | int, ["a"]),
        (str, Literal["x"], ["a"]),
        (Literal["x", "y"], limited(str, pattern="x"), ["a"]),
        (Literal[1, 5], limited(int, le=3), ["a"]),
        # limits
        (int, limited(int, le=3), ["a"]),
        (limited(int, le=4), limited(int, le=3), ["a"]),
        (limited(float, ge=0), limited(float, gt=0), ["a"]),
        (limited(int, multiple_of=2), limited(int, multiple_of=4), ["a"]),
        (str, limited(str, pattern="x"), ["a"]),
        (str, limited(str, max_length=3), ["a"]),
        (str, limited(str, min_length=1), ["a"]),
        (list[int], limited(list[int], min_length=1), ["a"]),
        (list[int], set[int], ["a"]),
        (int, Annotated[int, Strict()], ["a"]),
        (datetime, AwareDatetime, ["a"]),
        (Decimal, limited(Decimal, max_digits=3), ["a"]),
        (AnyUrl, HttpUrl, ["a"]),
        # types
        (float, int, ["a"]),
        (str, date, ["a"]),
        (date, datetime, ["a"]),
        (Any, int, ["a"]),
        (int, list[int], ["a"]),
        (str, Decimal, ["a"]),
        (Json[list[int]], Json[list[str]], ["a"]),
        # unions
        (int | None, int, ["a"]),
        (int | str, str, ["a"]),
        (int | None, str | None, ["a"]),
        (CAT | DOG, CAT, ["a.kind", "a.lives", "a.name"]),
        (CAT | DOG, OTHER_CAT | DOG, ["a.lives"]),
        (PLAIN_CAT | ADDRESS, PLAIN_CAT | OTHER_ADDRESS, ["a.zip"]),
        (
            DEFAULT_CAT | DEFAULT_DOG,
            told_apart(DEFAULT_CAT | DEFAULT_DOG),
            ["a.kind"],
        ),
        # nested
        (model(b=ADDRESS), model(b=OTHER_ADDRESS), ["a.b.zip"]),
        (list[ADDRESS], list[OTHER_ADDRESS], ["a[].zip"]),
        (dict[str, ADDRESS], dict[str, LONGER_ADDRESS], ["a.*.country"]),
        (ADDRESS | None, OTHER_ADDRESS | None, ["a.zip"]),
        (tuple[int, str], tuple[int, int], ["a"]),
        (tuple[int, str], tuple[int], ["a"]),
        (tuple[int, ...], tuple[int, int], ["a"]),
        # maps
        (dict[str, int], dict[int, int], ["a"]),
        (dict[str, int], dict[Literal["x"], int], ["a"]),
        (dict[str, int], dict[limited(str, pattern="x"), int], ["a", "a.*"]),
        (dict[str, str], ADDRESS, ["a.*", "a.zip"]),
        (closed(zip=str), dict[int, str], ["a", "a.zip"]),
    ],
)
def test_a_breaking_change_of_a_field_is_reported_at_its_place(
    old: Any, new: Any, expected: list[str]
) -> None:
    assert paths(model(a=old), model(a=new)) == expected


def test_a_change_far_down_in_models_that_hold_one_another_is_found() -> None:
    assert "pong.number" in paths(Ping, OtherPing)


class Leaf(BaseModel):
    up: list[Branch]


class Branch(BaseModel):
    leaf: Leaf
    value: int


class OtherLeaf(BaseModel):
    up: list[OtherBranch]


class OtherBranch(BaseModel):
    leaf: OtherLeaf
    value: str


def test_an_assumption_made_at_one_place_does_not_hold_at_another() -> None:
    """`a` has another alternative, so Branch need not fit; `b` has none."""
    old = model(a=model("Box", branch=Branch), b=Leaf)
    new = model(a=model("Box", branch=OtherBranch) | Any, b=OtherLeaf)

    assert paths(old, new) == ["b.up[].value"]


# --- what does not


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (model(a=int), model(a=int, b=(str, ""))),
        (model(a=int), model(a=(int, 3))),
        (model(a=int), model(a=named("A", "a"))),
        (model("A", a=(int, Field(1, description="x"))), model("B", a=(int, Field(2, title="y")))),
        (closed(a=int), model(a=int)),
        (Numbers, Numbers),
        (Ping, Ping),
    ],
)
def test_a_model_that_accepts_every_old_message_is_no_change(old: Any, new: Any) -> None:
    assert between(old, new) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (int, float),
        (int, Any),
        (int, int | None),
        (int, int | str),
        (int | str, str | int | None),
        (Literal["x"], Literal["y", "x"]),
        (Literal["x", "y"], str),
        (Literal["x", "y"], Literal["x"] | Literal["y", "z"]),
        (Literal["x", 1], str | int),
        (limited(int, gt=0), limited(int, ge=0)),
        (limited(int, le=3), limited(int, le=4)),
        (limited(str, pattern="x", min_length=2), str),
        (limited(int, multiple_of=4), limited(int, multiple_of=2)),
        (UUID, str),
        (str, bytes),
        (AwareDatetime, datetime),
        (set[int], list[int]),
        (CAT, CAT | DOG),
        (CAT | DOG, DOG | KITTY),
        (CAT | DOG, told_apart(CAT | DOG)),
        (dict[Literal["x"], int], dict[str, int]),
    ],
)
def test_a_field_that_takes_every_old_value_is_no_change(old: Any, new: Any) -> None:
    assert between(model(a=old), model(a=new)) == []


def test_a_field_that_accepts_both_names_can_be_renamed() -> None:
    class Renamed(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        user_name: int = Field(alias="userName")

    assert between(model(user_name=int), Renamed) == []


# --- schemas that users write themselves


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ({"type": ["integer", "null"]}, {"type": ["integer", "null"]}, 0),
        ({"type": ["integer", "null"]}, {"type": "integer"}, 1),
        ({"type": "integer", "minimum": 1}, {"allOf": [{"minimum": 1}, {"minimum": 5}]}, 1),
        ({"type": "integer"}, {"type": "integer", "not": {"const": 3}}, 1),
        ({"type": "integer", "not": {"const": 3}}, {"type": "integer", "not": {"const": 3}}, 0),
        ({"type": "integer"}, {"$ref": "elsewhere.json"}, 1),
        ({"$ref": "elsewhere.json"}, {"$ref": "elsewhere.json"}, 0),
        ({"type": "integer"}, False, 1),
        (False, {"type": "integer"}, 0),
        ({"type": "integer"}, True, 0),
        ({"type": "integer", "x-note": 1}, {"type": "integer", "x-note": 2}, 0),
        ({"type": "string", "discriminator": "kind"}, {"type": "string"}, 0),
    ],
)
def test_a_schema_not_proved_compatible_is_a_change(old: Any, new: Any, count: int) -> None:
    differences = changes({"format": "json", "schema": old}, {"format": "json", "schema": new})

    assert len(differences) == count


# --- whole payloads


def test_another_format_is_a_change() -> None:
    proto = protos.class_of(((1, "a", "int32", "singular", None),))

    assert paths(model(a=int), proto) == paths(proto, model(a=int)) == [""]


def test_another_type_of_cloud_event_is_a_change() -> None:
    def payload(event_type: str) -> Any:
        @cloud_event_handler(
            event_data_parser=CloudEventType(event_type=event_type, event_data_model=CAT)
        )
        def work(payload: Any) -> None: ...

        return schema_of(work.task)

    assert changes(payload("a"), payload("a")) == []
    assert [change.path for change in changes(payload("a"), payload("b"))] == [""]


def test_of_bytes_nothing_is_known() -> None:
    assert changes(None, payload_of(CAT)) == changes(payload_of(CAT), None) == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (model(a=int), model(), "a is gone: its values in old messages are dropped or refused"),
        (model(), model(a=int), "a is required now: old messages without it are refused"),
        (list[int], list[str], "[] was integer, is string now: old messages are refused"),
        (
            Literal["x", "y"],
            Literal["y"],
            ' was "x", may only be "y" now: other old messages are refused',
        ),
        (model(), closed(), " refuses unknown fields now, which it ignored or kept"),
        (
            limited(int, le=4),
            limited(int, le=3),
            " has the limit maximum 3, which was 4: other old messages are refused",
        ),
        (dict[str, int], model(a=(int, 1)), "* was a map, and has fixed fields now: old messages"),
        (dict[str, int], model(), "* are dropped now, unless the model knows their names"),
    ],
)
def test_a_change_describes_its_effect_on_old_messages(old: Any, new: Any, text: str) -> None:
    (change,) = between(old, new)

    assert f"{change.path} {change.text}".startswith(text)


def test_a_change_suggests_a_fix() -> None:
    (change,) = between(model(user=model("User", zip=str)), model(user=model("User", zip=int)))

    assert change.message == (
        "user.zip was string, is integer now: old messages are refused. Take both forms until no "
        "old message is left: an optional field, OLD | NEW, validation_alias=AliasChoices(NEW, "
        "OLD), in protobuf a new number. Or give the new form a task and a topic of its own."
    )


HOLDS_ITSELF = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}


@pytest.mark.parametrize(
    "old",
    [
        {},
        {"format": "json"},
        {"format": "protobuf"},
        {"format": "json", "schema": HOLDS_ITSELF},
    ],
    ids=str,
)
def test_a_payload_that_no_plan_has_written_is_an_error_that_says_so(old: dict[str, Any]) -> None:
    new = {"format": old.get("format", "json"), "schema": {"type": "object"}, "message": "M"}

    with pytest.raises(ConfigurationError, match="not as `ucam-faas plan` writes it"):
        changes(old, new)


# --- made-up models

EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@EXAMPLES
@given(models)
def test_equal_models_have_no_changes(shape: Shape) -> None:
    assert between(type_of(shape), type_of(shape)) == []


@pytest.mark.slow
@EXAMPLES
@given(st.data())
def test_all_data_that_the_new_model_refuses_or_drops_is_reported(data: st.DataObject) -> None:
    old = data.draw(models)
    new = data.draw(mutations(old))
    before, after = type_of(old), type_of(new)
    differences = between(before, after)
    for _ in range(3):
        payload = json.dumps(data.draw(payloads(old)))

        assert differences or not takes(before, payload) or takes(after, payload)
    assert differences or names(old) <= names(new)


def takes(kind: Any, payload: str) -> bool:
    try:
        TypeAdapter(kind).validate_json(payload)
    except ValidationError:
        return False
    return True


def names(shape: Shape) -> set[str]:
    return {alias or name for name, _, _, alias in shape[3]}
