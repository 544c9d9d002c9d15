"""The stand-in's cloud refuses, fails and forgets as Google and its provider do.

Each behaviour was read in the provider's source; see `stub/cloud.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from .attached import Attached, Operation
from .conftest import RESOURCES
from .runner import Terraform, TerraformError
from .test_provider import actions

pytestmark = pytest.mark.slow

SERVICE = "google_cloud_run_v2_service.orders"
TOPIC = "google_pubsub_topic.orders"
SUBSCRIPTION = "google_pubsub_subscription.orders"
GRANT = "google_pubsub_topic_iam_member.push"


def test_the_state_protects_a_service_and_not_the_configuration(resources: Terraform) -> None:
    resources.apply({"deletion_protection": True})

    with pytest.raises(TerraformError, match="without setting deletion_protection=false"):
        resources.destroy({"deletion_protection": False})
    resources.apply({"deletion_protection": False})
    resources.destroy()

    assert resources.show().resources == []


def test_other_resources_are_gone_before_a_protected_service_refuses(resources: Terraform) -> None:
    resources.apply({"deletion_protection": True})

    with pytest.raises(TerraformError):
        resources.destroy()

    assert [each.address for each in resources.show().resources if each.mode == "managed"] == [
        SERVICE
    ]


@pytest.mark.parametrize("target", [TOPIC, SUBSCRIPTION])
def test_prevent_refuses_a_deletion(resources: Terraform, target: str) -> None:
    resources.apply({"deletion_policy": "PREVENT"})

    with pytest.raises(TerraformError, match='without setting deletion_policy="DELETE"'):
        resources.run("destroy", "-json", "-auto-approve", f"-target={target}")

    assert {SUBSCRIPTION, TOPIC} <= {each.address for each in resources.show().resources}


def test_a_policy_is_planned_and_changes_without_a_request(resources: Terraform) -> None:
    plan = resources.plan()
    resources.apply()
    resources.apply({"deletion_policy": "PREVENT"})

    assert plan.at(TOPIC).values["deletion_policy"] == "DELETE"
    assert resources.show().at(TOPIC).values["deletion_policy"] == "PREVENT"
    assert {operation.action for operation in operations(resources)} == {"create"}


def test_abandoned_resources_exist_after_they_are_forgotten(resources: Terraform) -> None:
    resources.apply({"deletion_policy": "ABANDON"})

    resources.destroy()

    forgotten = {each.type for each in operations(resources) if each.action == "forget"}
    assert resources.show().resources == []
    assert forgotten == {"google_pubsub_topic", "google_pubsub_subscription"}
    with pytest.raises(TerraformError, match="409: projects/my-project/topics/orders already"):
        resources.apply()


def test_a_service_that_fails_to_start_is_tainted_and_its_replacement_refused(
    resources: Terraform,
) -> None:
    with pytest.raises(TerraformError, match="the container failed to start"):
        resources.apply({"image": "orders:fails", "deletion_protection": True})

    plan = resources.plan({"image": "orders:2", "deletion_protection": True})
    [change] = [each for each in plan.json["resource_changes"] if each["address"] == SERVICE]
    assert change["action_reason"] == "replace_because_tainted"
    with pytest.raises(TerraformError, match="cannot destroy service"):
        resources.apply({"image": "orders:2", "deletion_protection": True})


def test_an_untainted_service_is_changed_in_place(resources: Terraform) -> None:
    with pytest.raises(TerraformError):
        resources.apply({"image": "orders:fails", "deletion_protection": True})

    resources.run("untaint", SERVICE)
    resources.apply({"image": "orders:2", "deletion_protection": True})

    service = [each for each in operations(resources) if "services" in each.id]
    assert [(each.action, each.changed) for each in service] == [
        ("create", ()),
        ("update", ("template",)),
    ]


def test_a_release_that_fails_to_start_taints_nothing(resources: Terraform) -> None:
    resources.apply()

    with pytest.raises(TerraformError, match="Error waiting to update CloudRunV2Service"):
        resources.apply({"image": "orders:fails"})

    assert actions(resources.plan({"image": "orders:2"}).json, SERVICE) == {"update"}


def test_an_existing_name_is_refused_and_not_in_the_state(
    resources: Terraform, tmp_path: Path
) -> None:
    resources.apply()
    other = another_root(resources, tmp_path)

    with pytest.raises(TerraformError) as raised:
        other.apply()

    refused = [each.id for each in operations(other) if "409" in each.refused]
    assert len(raised.value.diagnostics) == len(refused) == 3
    assert [each.mode for each in other.show().resources] == ["data"]


def test_a_resource_that_others_deleted_is_planned_again(
    resources: Terraform, tmp_path: Path
) -> None:
    resources.apply()
    other = another_root(resources, tmp_path)
    (other.folder / "terraform.tfstate").write_text(
        (resources.folder / "terraform.tfstate").read_text()
    )

    other.destroy()

    assert actions(resources.plan().json) == {"create"}


def test_a_subscription_that_has_outlived_its_topic_is_replaced(resources: Terraform) -> None:
    resources.apply()
    resources.run("state", "rm", SUBSCRIPTION)
    resources.destroy()

    resources.run("import", SUBSCRIPTION, "projects/my-project/subscriptions/orders")

    assert resources.show().at(SUBSCRIPTION).values["topic"] == "_deleted-topic_"
    assert actions(resources.plan().json, SUBSCRIPTION) == {"delete", "create"}


def test_existing_resources_are_imported(resources: Terraform) -> None:
    resources.apply()
    member = "serviceAccount:orders-push@my-project.iam.gserviceaccount.com"
    ids = {
        TOPIC: "projects/my-project/topics/orders",
        SERVICE: "projects/my-project/locations/europe-west2/services/orders",
        GRANT: f"projects/my-project/topics/orders roles/pubsub.publisher {member}",
    }
    for address in ids:
        resources.run("state", "rm", address)

    for address, resource_id in ids.items():
        resources.run("import", address, resource_id)

    assert resources.show().at(SERVICE).values["deletion_protection"] is True
    assert actions(resources.plan({"deletion_protection": True}).json) == {"no-op"}


def test_a_grant_that_exists_is_the_same_grant(resources: Terraform, tmp_path: Path) -> None:
    """Deleting one of two takes it from both: the danger of a grant that changes its address."""
    resources.apply()
    copy = resources.folder / "copy.tf"
    copy.write_text(
        'resource "google_pubsub_topic_iam_member" "copy" {\n'
        f"  topic  = {GRANT}.topic\n"
        f"  role   = {GRANT}.role\n"
        f"  member = {GRANT}.member\n"
        "}\n"
    )
    resources.apply()

    copy.unlink()
    resources.apply()

    assert actions(resources.plan().json, GRANT) == {"create"}


def test_a_deleted_account_takes_its_grants(resources: Terraform, tmp_path: Path) -> None:
    resources.apply()
    resources.run("state", "rm", GRANT)
    member = "serviceAccount:orders-push@my-project.iam.gserviceaccount.com"

    resources.run("destroy", "-auto-approve", "-target=google_service_account.push")

    grant = f"projects/my-project/topics/orders roles/pubsub.publisher {member}"
    with pytest.raises(TerraformError, match="does not exist"):
        resources.run("import", GRANT, grant)


def test_a_cloud_starts_with_the_resources_of_a_state(resources: Terraform) -> None:
    resources.apply()
    environment = resources.environment
    assert isinstance(environment, Attached)
    state = resources.folder / "terraform.tfstate"

    same = replace(resources, environment=environment.with_cloud(state))

    assert actions(same.plan().json) == {"no-op"}
    assert operations(same) == []


def test_a_state_of_an_older_provider_gets_its_fields(resources: Terraform) -> None:
    resources.apply()
    file = resources.folder / "terraform.tfstate"
    state = json.loads(file.read_text())
    for resource in state["resources"]:
        for instance in resource["instances"]:
            instance["attributes"].pop("deletion_policy", None)
    file.write_text(json.dumps(state))

    assert actions(resources.plan().json) == {"no-op"}


def operations(terraform: Terraform) -> list[Operation]:
    assert isinstance(terraform.environment, Attached)
    return terraform.environment.operations()


def another_root(terraform: Terraform, folder: Path) -> Terraform:
    """Return another root module with the same resources, in the same cloud."""
    other = replace(terraform, folder=folder / "other")
    other.folder.mkdir()
    (other.folder / "main.tf").write_text(RESOURCES.read_text())
    other.init()
    return other
