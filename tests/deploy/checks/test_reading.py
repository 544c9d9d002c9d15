"""The facts that the rules read from plans and filters; Terraform isn't needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from ucam_faas.deploy.checks import plan_file
from ucam_faas.deploy.checks.filters import matches_nothing
from ucam_faas.deploy.checks.terraform import resources
from ucam_faas.deploy.checks.terraform.deployments import SERVICE, pushed_to
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN
from ucam_faas.gcp import filters

KEYS = st.text(max_size=4)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none() | st.integers() | st.text(max_size=6),
        lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=2),
        max_leaves=8,
    ),
    max_size=4,
)


@given(DOCUMENTS)
def test_each_key_of_a_plan_has_its_line(document: dict[str, object]) -> None:
    text = json.dumps(document, indent=1, sort_keys=True)

    lines = plan_file.lines_of(text)

    assert {path[0] for path in lines} == document.keys()
    for path, line in lines.items():
        key, indent = json.dumps(path[-1]), " " * len(path)
        assert text.splitlines()[line - 1].startswith(f"{indent}{key}:")


def test_a_place_that_is_not_in_the_plan_is_the_nearest_above(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{\n "tasks": {\n  "a": {}\n }\n}')

    plan = plan_file.read(file)

    assert plan.place("tasks", "a", "function", "memory").line == 3
    assert plan.place("topics").line == 1


PLAN = {
    "planned_values": {
        "root_module": {
            "child_modules": [
                {
                    "address": 'module.a["x.module.y"]',
                    "resources": [
                        {
                            "address": 'module.a["x.module.y"].google_service_account.push',
                            "mode": "managed",
                            "type": "google_service_account",
                            "name": "push",
                            "values": {"account_id": "pusher", "project": "p"},
                        },
                        {
                            "address": 'module.a["x.module.y"].google_pubsub_subscription.s',
                            "mode": "managed",
                            "type": "google_pubsub_subscription",
                            "name": "s",
                            "values": {"name": "s", "push_config": [{"oidc_token": [{}]}]},
                        },
                    ],
                }
            ]
        }
    },
    "resource_changes": [
        {
            "address": 'module.a["x.module.y"].google_pubsub_subscription.s',
            "change": {
                "after_unknown": {
                    "id": True,
                    "push_config": [{"oidc_token": [{"service_account_email": True}]}],
                }
            },
        }
    ],
    "configuration": {
        "root_module": {
            "module_calls": {
                "a": {
                    "module": {
                        "resources": [
                            {
                                "type": "google_pubsub_subscription",
                                "name": "s",
                                "expressions": {
                                    "push_config": [
                                        {
                                            "oidc_token": [
                                                {
                                                    "service_account_email": {
                                                        "references": [
                                                            "google_service_account.push.email"
                                                        ]
                                                    }
                                                }
                                            ]
                                        }
                                    ]
                                },
                            }
                        ]
                    }
                }
            }
        }
    },
}
"""As Terraform writes it before anything is made."""


def test_values_are_known_unknown_or_absent(tmp_path: Path) -> None:
    plan = resources.parse(json.dumps(PLAN), name="plan", directory=tmp_path)

    (subscription,) = plan.of("google_pubsub_subscription")

    assert subscription.get("name") == "s"
    assert subscription.get("id") is UNKNOWN
    assert subscription.get("push_config", "oidc_token", "service_account_email") is UNKNOWN
    assert subscription.get("push_config", "push_endpoint") is None
    assert subscription.get("retry_policy", "minimum_backoff") is None


def test_an_account_that_is_not_made_yet_has_its_email(tmp_path: Path) -> None:
    plan = resources.parse(json.dumps(PLAN), name="plan", directory=tmp_path)
    (subscription,) = plan.of("google_pubsub_subscription")

    account = plan.account(subscription, "push_config", "oidc_token", "service_account_email")

    assert account == "pusher@p.iam.gserviceaccount.com"


def test_a_push_leads_to_the_one_service_that_has_its_endpoint(tmp_path: Path) -> None:
    def resource(type_name: str, name: str, **values: object) -> dict[str, object]:
        address = {"address": f"{type_name}.{name}", "type": type_name, "name": name}
        return {**address, "mode": "managed", "values": values}

    endpoint = {"push_endpoint": "https://orders.run.app/projects/p/topics/t"}
    made = [
        resource(SERVICE, "orders", uri="https://orders.run.app"),
        resource(SERVICE, "refunds", uri="https://refunds.run.app"),
        resource("google_pubsub_subscription", "s", push_config=[endpoint]),
    ]
    text = json.dumps({"planned_values": {"root_module": {"resources": made}}})
    plan = resources.parse(text, name="plan", directory=tmp_path)
    (subscription,) = plan.of("google_pubsub_subscription")

    service = pushed_to(plan, subscription)

    assert service is not None
    assert service.name == "orders"


def test_a_resource_of_a_module_stands_where_the_module_is_called(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('\nmodule "b" {\n}\n\nmodule "a" {\n}\n')

    plan = resources.parse(json.dumps(PLAN), name="plan", directory=tmp_path)

    assert {resource.place.line for resource in plan.resources} == {5}


# --- filters

COMPARISONS = st.one_of(
    st.builds("attributes:{}".format, st.sampled_from("ab")),
    st.builds(
        'attributes.{} = "{}"'.format, st.sampled_from("ab"), st.sampled_from(["", "x", "xy"])
    ),
    st.builds('attributes.{} != "{}"'.format, st.sampled_from("ab"), st.sampled_from(["x", "xy"])),
    st.builds(
        'hasPrefix(attributes.{}, "{}")'.format,
        st.sampled_from("ab"),
        st.sampled_from(["x", "xyz"]),
    ),
)
TERMS = st.builds("{}{}".format, st.sampled_from(["", "NOT "]), COMPARISONS)
FILTERS = st.builds(
    lambda terms, joint: joint.join(terms),
    st.lists(TERMS, min_size=1, max_size=4),
    st.sampled_from([" AND ", " OR "]),
)
VALUES = st.none() | st.sampled_from(["", "x", "xy", "xyz", "xyzz", "z"])


@given(FILTERS, VALUES, VALUES)
def test_a_filter_that_a_message_passes_is_never_said_to_match_nothing(
    text: str, first: str | None, second: str | None
) -> None:
    values = {"a": first, "b": second}
    message = {key: value for key, value in values.items() if value is not None}

    if filters.parse(text)(message):
        assert not matches_nothing(text)


@pytest.mark.parametrize(
    "text",
    [
        'attributes.a = "x" AND attributes.a = "y"',
        'attributes.a = "x" AND NOT attributes:a',
        'hasPrefix(attributes.a, "x") AND NOT hasPrefix(attributes.a, "x")',
        'attributes.a = "xy" AND NOT (hasPrefix(attributes.a, "x") OR attributes:b)',
        'attributes."a b" = "x" AND attributes."a b" != "x"',
    ],
)
def test_a_filter_that_contradicts_itself_matches_nothing(text: str) -> None:
    assert matches_nothing(text)


@pytest.mark.parametrize(
    "text", ["attributes:a", "NOT attributes:a", 'attributes.a != ""', 'attributes.a = ""']
)
def test_a_filter_that_asks_for_little_matches_something(text: str) -> None:
    assert not matches_nothing(text)


def test_a_filter_that_takes_too_long_to_decide_is_not_judged() -> None:
    text = " AND ".join(f'attributes.{key} = "{key}"' for key in "abcdefgh")

    assert not matches_nothing(f'{text} AND attributes.a = "x"')
