"""Terraform plans, applies, replaces and refuses resources with the stand-in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .attached import attached_environment
from .fixtures import TYPES
from .runner import Terraform, TerraformError

pytestmark = pytest.mark.slow


def test_applied_resources_have_the_names_that_google_gives(resources: Terraform) -> None:
    state = resources.apply()

    number = state.outputs["number"]
    assert number.isdecimal()
    assert (
        state.at("google_pubsub_topic.orders").values["id"] == "projects/my-project/topics/orders"
    )
    assert state.at("google_pubsub_subscription.orders").values["topic"] == (
        "projects/my-project/topics/orders"
    )
    assert state.at("google_service_account.push").values["member"] == (
        "serviceAccount:orders-push@my-project.iam.gserviceaccount.com"
    )
    assert state.at("google_cloud_run_v2_service.orders").values["uri"] == (
        f"https://orders-{number}.europe-west2.run.app"
    )


def test_accounts_are_known_when_planned_and_ids_are_not(resources: Terraform) -> None:
    """As with Google's provider, which works out the email address by itself."""
    plan = resources.plan()

    email = "orders-push@my-project.iam.gserviceaccount.com"
    assert plan.at("google_service_account.push").values["email"] == email
    assert plan.at("google_pubsub_topic.orders").values["project"] == "my-project"
    assert "id" not in plan.at("google_pubsub_topic.orders").values


def test_an_applied_configuration_needs_no_change(resources: Terraform) -> None:
    resources.apply()

    assert actions(resources.plan().json) == {"no-op"}


def test_a_label_changes_in_place_and_a_name_replaces(resources: Terraform) -> None:
    resources.apply()

    relabelled = resources.plan({"labels": {"team": "accounts"}})
    renamed = resources.plan({"topic": "purchases"})

    assert actions(relabelled.json, "google_pubsub_topic.orders") == {"update"}
    assert actions(renamed.json, "google_pubsub_topic.orders") == {"delete", "create"}


def test_applied_resources_can_be_destroyed(resources: Terraform) -> None:
    resources.apply()

    resources.destroy()

    assert resources.show().resources == []


def test_a_fault_names_its_resource_its_file_and_googles_page(resources: Terraform) -> None:
    with pytest.raises(TerraformError) as raised:
        resources.plan({"topic": "1st orders"})

    [diagnostic] = raised.value.diagnostics
    assert diagnostic.address == "google_pubsub_topic.orders"
    assert diagnostic.file == "main.tf"
    assert "name is '1st orders'" in diagnostic.summary
    assert "Guidelines to name a topic" in diagnostic.summary


def test_the_process_ends_with_its_user(
    terraform_environment: Mapping[str, str], tmp_path: Path
) -> None:
    with attached_environment(TYPES, tmp_path) as environment:
        [attached] = json.loads(environment["TF_REATTACH_PROVIDERS"]).values()
        assert Path(f"/proc/{attached['Pid']}").exists() or not Path("/proc").exists()

    assert not Path(attached["Addr"]["String"]).exists()


def actions(plan: dict[str, Any], address: str | None = None) -> set[str]:
    return {
        action
        for change in plan["resource_changes"]
        if address in (None, change["address"])
        for action in change["change"]["actions"]
    }
