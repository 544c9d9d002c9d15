"""Terraform's plan of a stage names nothing of another stage's project."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import CONFIG
from .seeded_stages import ONE
from .seeded_terraform import COUNT, SERVICE, Change, add, put

pytestmark = pytest.mark.slow
STAGES = '[stage.test]\nproject = "shop-test"\n\n[stage.production]\n'


def check(shop: Shop, clean_plan: str, plan: dict[str, Any], *changes: Change) -> list[str]:
    shop.edit(CONFIG, ONE, STAGES)
    shop.path(PLAN).write_text(clean_plan)
    for change in changes:
        change(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))
    findings = shop.check("--stage", "production", "--terraform", TERRAFORM_PLAN)
    return [f"{finding['rule']} {finding['what']}" for finding in findings]


MIXED: dict[str, Change] = {
    "a topic in the project of another stage": add(
        "google_pubsub_topic", "audit", name="audit", project="shop-test"
    ),
    "a role on another stage's secret": add(
        "google_secret_manager_secret_iam_member",
        "token",
        project="my-project",
        secret_id="projects/shop-test/secrets/token",
        role="roles/secretmanager.secretAccessor",
        member="serviceAccount:web@my-project.iam.gserviceaccount.com",
    ),
    "another stage's key": put(
        f"{COUNT}{SERVICE}",
        "template",
        "encryption_key",
        value="projects/shop-test/locations/europe-west2/keyRings/r/cryptoKeys/k",
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_thing_of_another_stage_is_found(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, name: str
) -> None:
    findings = check(shop, clean_plan, terraform_plans.copy(made=True), MIXED[name])

    assert [finding.split()[0] for finding in findings] == ["stage-mixed"]
    assert "names shop-test, the project of the stage 'test'" in findings[0]


def test_a_plan_of_one_stage_has_no_finding(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans
) -> None:
    shared = add("google_pubsub_topic", "audit", name="audit", project="shop-shared")

    assert check(shop, clean_plan, terraform_plans.copy(made=True), shared) == []
