"""The rules on IAM grants; a value that the plan doesn't know yet breaks none of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.deploy.checks.terraform import resources
from ucam_faas.deploy.checks.terraform.grants import INVOKER, PUBLISHER, Grant, grants_of

ADA = "ada@p.iam.gserviceaccount.com"
TOPIC = "projects/p/topics/orders"


def grant(
    tmp_path: Path, *, kind: str = "pubsub_topic", how: str = "member", **values: Any
) -> Grant:
    """Return the grant of a resource with these values."""
    type_name = f"google_{kind}_iam_{how}"
    entry = {"address": f"{type_name}.x", "mode": "managed", "type": type_name, "name": "x"}
    root = {"resources": [{**entry, "values": values}]}
    text = json.dumps({"planned_values": {"root_module": root}})
    (only,) = grants_of(resources.parse(text, name="plan", directory=tmp_path))
    return only


ADAS_NEW_ACCOUNT = {
    "planned_values": {
        "root_module": {
            "resources": [
                {
                    "address": "google_service_account.ada",
                    "mode": "managed",
                    "type": "google_service_account",
                    "name": "ada",
                    "values": {"account_id": "ada", "project": "p"},
                },
                {
                    "address": "google_pubsub_topic_iam_member.x",
                    "mode": "managed",
                    "type": "google_pubsub_topic_iam_member",
                    "name": "x",
                    "values": {"topic": "orders", "role": PUBLISHER[0]},
                },
            ]
        }
    },
    "resource_changes": [
        {
            "address": "google_pubsub_topic_iam_member.x",
            "change": {"after_unknown": {"member": True}},
        }
    ],
    "configuration": {
        "root_module": {
            "resources": [
                {
                    "type": "google_pubsub_topic_iam_member",
                    "name": "x",
                    "expressions": {"member": {"references": ["google_service_account.ada.email"]}},
                }
            ]
        }
    },
}


def test_a_role_for_an_account_that_is_not_made_yet_is_for_that_account_only(
    tmp_path: Path,
) -> None:
    plan = resources.parse(json.dumps(ADAS_NEW_ACCOUNT), name="plan", directory=tmp_path)

    (granted,) = grants_of(plan)

    assert granted.gives("pubsub_topic", TOPIC, PUBLISHER, ADA)
    assert not granted.gives("pubsub_topic", TOPIC, PUBLISHER, "bob@p.iam.gserviceaccount.com")


@pytest.mark.parametrize(
    ("role", "member", "gives"),
    [
        ("roles/pubsub.publisher", f"serviceAccount:{ADA}", True),
        ("roles/pubsub.admin", f"serviceAccount:{ADA}", True),
        ("projects/p/roles/own", f"serviceAccount:{ADA}", True),
        ("roles/pubsub.publisher", "group:team@example.org", True),
        ("roles/pubsub.publisher", "allUsers", True),
        ("roles/pubsub.viewer", f"serviceAccount:{ADA}", False),
        ("roles/pubsub.publisher", "serviceAccount:bob@p.iam.gserviceaccount.com", False),
    ],
)
def test_a_role_for_somebody(tmp_path: Path, role: str, member: str, gives: bool) -> None:
    granted = grant(tmp_path, topic="orders", role=role, member=member)

    assert granted.gives("pubsub_topic", TOPIC, PUBLISHER, ADA) is gives


def test_a_binding_gives_a_role_to_each_of_its_members(tmp_path: Path) -> None:
    members = ["serviceAccount:bob@p.iam.gserviceaccount.com", f"serviceAccount:{ADA}"]

    granted = grant(tmp_path, how="binding", topic=TOPIC, role=PUBLISHER[0], members=members)

    assert granted.gives("pubsub_topic", "orders", PUBLISHER, ADA)


def test_a_policy_may_give_anything_to_anybody(tmp_path: Path) -> None:
    granted = grant(tmp_path, how="policy", topic=TOPIC, policy_data="…")

    assert granted.gives("pubsub_topic", TOPIC, PUBLISHER, ADA)
    assert not granted.gives("pubsub_topic", "projects/p/topics/other", PUBLISHER, ADA)


def test_a_grant_on_something_of_another_kind_gives_nothing(tmp_path: Path) -> None:
    granted = grant(tmp_path, topic="orders", role="roles/run.invoker", member=f"user:{ADA}")

    assert not granted.gives("cloud_run_v2_service", "orders", INVOKER, ADA)
