"""Google's limits hold, and invented values are believable."""

from __future__ import annotations

from typing import Any

import pytest

from .stub.invention import Identity, complete, foresee, load_identities
from .stub.validation import Rule, load_rules, validate
from .stub.values import UNKNOWN

RULE: dict[str, Any] = {"types": ["a"], "source": "a page", "at": "block.value"}
NO_BLOCK: dict[str, Any] = {"attributes": {}, "block_types": {}}


@pytest.mark.parametrize(
    ("limit", "good", "bad"),
    [
        ({"matches": "[a-z]+"}, "abc", "ABC"),
        ({"one_of": ["a", "b"]}, "b", "c"),
        ({"range": (1, 5)}, 5, 6),
        ({"seconds": (10, 60)}, "10s", "9.5s"),
        ({"seconds": (10, 60)}, "10.5s", "10"),
        ({"seconds": (0, 600), "multiple_of_seconds": 60}, "120s", "90s"),
        ({"exactly_one_of": ["x", "y"]}, {"x": [1]}, {"x": [1], "y": [2]}),
        ({"exactly_one_of": ["x", "y"]}, {"x": UNKNOWN, "y": UNKNOWN}, {"x": []}),
        ({"at_most_one_of": ["x", "y"]}, {"x": None}, {"x": "1", "y": "2"}),
    ],
)
def test_a_rule_holds(limit: dict[str, Any], good: Any, bad: Any) -> None:
    rule = Rule(**RULE, **limit)

    for value in (good, None, UNKNOWN):
        assert validate("a", NO_BLOCK, {"block": [{"value": value}]}, [rule]) == []
    [finding] = validate("a", NO_BLOCK, {"block": [{}, {"value": bad}]}, [rule])
    assert finding.path == ("block", 1, "value")
    assert finding.message.endswith("(a page)")
    assert validate("b", NO_BLOCK, {"block": [{"value": bad}]}, [rule]) == []


@pytest.mark.slow
def test_a_rule_is_about_something_that_is_there(schema: dict[str, Any]) -> None:
    """A rule with a misspelt place would never fail."""
    astray = [
        f"{name}: {rule.at}"
        for rule in load_rules()
        for name in rule.types
        if name in schema["resources"] and not is_place(schema["resources"][name]["block"], rule)
    ]

    assert astray == []


def test_invented_values_are_the_same_each_time() -> None:
    identity = load_identities()["google_service_account"]
    value = {"account_id": "push", "project": UNKNOWN, "email": UNKNOWN, "id": UNKNOWN}
    block = {"attributes": {name: {"type": "string"} for name in value}, "block_types": {}}

    first, second = (
        complete(block, value, identity=identity, defaults={"project": "p"}) for _ in range(2)
    )

    assert first == second
    assert first["email"] == "push@p.iam.gserviceaccount.com"
    assert first["id"] == "projects/p/serviceAccounts/push@p.iam.gserviceaccount.com"


def test_values_that_depend_on_unknown_values_are_not_foreseen() -> None:
    identity = Identity({"id": "{name}", "email": "{name}@x"}, frozenset({"email"}))
    value = {"name": UNKNOWN, "email": UNKNOWN}

    assert foresee(value, identity=identity, defaults={}) == value
    assert foresee({**value, "name": "a"}, identity=identity, defaults={})["email"] == "a@x"


def is_place(block: dict[str, Any], rule: Rule) -> bool:
    for name in rule.at.split(".") if rule.at else []:
        if name in block["attributes"]:
            # An element of a map ends the way.
            return True
        if name not in block["block_types"]:
            return False
        block = block["block_types"][name]["block"]
    return all(name in block["attributes"] | block["block_types"] for name in rule.group)
