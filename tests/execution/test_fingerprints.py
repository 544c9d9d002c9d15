"""Failures with one cause have one fingerprint, which holds nothing of their data."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ValidationError

from ucam_faas.execution.fingerprints import MAX_LINKS, Fault, fault_of
from ucam_faas.outcomes import Crashed, DeadLetter, InvalidPayload, TimedOut


class Item(BaseModel):
    price: int
    prices: dict[str, int] = {}


class Order(BaseModel):
    items: list[Item]
    name: str


def fault(error: BaseException | None, *, task: str = "pay", outcome: Any = None) -> Fault:
    return fault_of(task, outcome or Crashed(), error)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """Return an error that was raised here."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def elsewhere(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def rejected(payload: Any) -> Fault:
    try:
        Order.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return fault_of("pay", InvalidPayload("text"), error)
    raise AssertionError("it is valid")


def loaded(code: str, file: Path | str, name: str) -> Any:
    module = ModuleType(name)
    exec(compile(code, str(file), "exec"), vars(module))
    return module


TEXTS = st.text(max_size=40)


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS)
def test_the_text_of_an_error_does_not_count(first: str, other: str) -> None:
    faults = [fault(raised(ValueError(text), KeyError(text))) for text in (first, other)]

    assert faults[0] == faults[1]
    assert faults[0].fingerprint == faults[1].fingerprint


@settings(max_examples=100, deadline=None)
@given(
    st.builds(Fault, TEXTS, TEXTS, st.lists(TEXTS).map(tuple), TEXTS),
    st.builds(Fault, TEXTS, TEXTS, st.lists(TEXTS).map(tuple), TEXTS),
)
def test_faults_with_another_part_have_another_fingerprint(first: Fault, other: Fault) -> None:
    assert (first.fingerprint == other.fingerprint) == (first == other)


@settings(max_examples=100, deadline=None)
@given(st.builds(Fault, TEXTS, TEXTS, st.lists(TEXTS).map(tuple), TEXTS))
def test_a_fingerprint_begins_with_its_version_and_fits_a_column(fault: Fault) -> None:
    version, _, digest = fault.fingerprint.partition(":")

    assert (version, len(digest)) == ("1", 16)
    assert int(digest, 16) >= 0
    assert len(fault.summary) <= 300


def test_version_1_is_frozen() -> None:
    """Dead letters of an earlier release have them: change the rules with the version."""
    crash = Fault("pay", "crashed", ("builtins.KeyError", "shop.NoStock"), "shop.orders.price")
    payload = Fault("pay", "invalid_payload", ("p.E",), fields=("items.*.price: int_parsing",))

    assert crash.fingerprint == "1:492410ed6908f15e"
    assert payload.fingerprint == "1:4d106de357945aec"


def test_another_task_outcome_type_cause_or_place_is_another_fault() -> None:
    faults = [
        fault(raised(ValueError())),
        fault(raised(ValueError()), task="refund"),
        fault(raised(ValueError()), outcome=TimedOut()),
        fault(raised(KeyError())),
        fault(raised(ValueError(), KeyError())),
        fault(elsewhere(ValueError())),
    ]

    assert len({each.fingerprint for each in faults}) == len(faults)


def test_the_line_and_the_frames_between_do_not_count(tmp_path: Path) -> None:
    code = "def price(): raise KeyError\ndef run(depth): run(depth - 1) if depth else price()"
    files = [tmp_path / "one.py", tmp_path / "two.py"]
    shops = [loaded(f"{'#' * n}\n" * n + code, files[n], "shop.orders") for n in range(2)]

    faults = []
    for depth, shop in enumerate(shops):
        with pytest.raises(KeyError) as caught:
            shop.run(depth)
        faults.append(fault(caught.value))

    assert faults[0] == faults[1]
    assert faults[0].summary == "KeyError at shop.orders.price"


def test_the_place_is_in_the_users_code_and_not_in_a_library() -> None:
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("[")

    assert fault(caught.value).place == f"{__name__}.{caught.traceback[0].name}"


@pytest.mark.parametrize(("root", "place"), [("", "tests"), ("shop", "shop.price")])
def test_installed_code_is_the_users_only_if_its_task_is_there(root: str, place: str) -> None:
    file = "/usr/lib/python3/site-packages/shop.py"
    shop = loaded("def price():\n    raise KeyError", file, "shop")

    with pytest.raises(KeyError) as caught:
        shop.price()

    assert fault_of("pay", Crashed(), caught.value, root=root).place.startswith(place)


def test_the_cause_says_the_place_where_the_error_has_none() -> None:
    error = LookupError()
    error.__cause__ = raised(KeyError())

    assert fault(error).summary == f"LookupError at {__name__}.raised"


def test_a_chain_that_leads_to_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert fault(first).types == ("builtins.ValueError", "builtins.KeyError")


def test_a_long_chain_is_cut() -> None:
    error: BaseException = ValueError()
    for _ in range(100):
        error = raised(KeyError(), error)

    assert len(fault(error).types) == MAX_LINKS


def test_the_errors_of_a_group_count_in_any_order() -> None:
    groups = [[KeyError(), ValueError()], [ValueError(), KeyError(), KeyError()]]

    first, other = (fault(raised(ExceptionGroup("texts", group))) for group in groups)

    assert first == other
    assert first.types == ("builtins.ExceptionGroup[builtins.KeyError,builtins.ValueError]",)
    assert first.summary == f"ExceptionGroup at {__name__}.raised"


def test_an_outcome_that_was_raised_has_its_place() -> None:
    outcome = DeadLetter("of order 17")

    assert fault(raised(outcome), outcome=outcome).summary == f"DeadLetter at {__name__}.raised"


def test_an_outcome_without_an_error_has_its_name() -> None:
    assert fault(None, outcome=TimedOut()).summary == "timed_out"


def test_of_a_rejected_payload_the_places_and_kinds_of_errors_count() -> None:
    first = rejected({"items": [{"price": "a@example.org"}], "name": 3})
    other = rejected({"items": [{"price": 1}, {"price": "x"}], "name": None})
    third = rejected({"items": [{"price": 1}]})

    assert first == other
    assert first.fields == ("items.*.price: int_parsing", "name: string_type")
    assert third.fields == ("name: missing",)
    assert first.summary == "invalid_payload: items.*.price: int_parsing; name: string_type"
    assert "example" not in repr(first)


def test_numbered_keys_of_a_payload_do_not_count() -> None:
    faults = [
        rejected({"items": [{"price": 1, "prices": {key: "x"}}], "name": ""})
        for key in ("order17", "order18", "a@example.org")
    ]

    assert faults[0] == faults[1]
    assert faults[2].fields == ("items.*.prices.*: int_parsing",)


def test_a_payload_with_too_many_errors_has_a_fingerprint() -> None:
    assert rejected({"items": [{}] * 20_000, "name": ""}).fingerprint
