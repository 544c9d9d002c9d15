"""A collection with jobs, as the plan and Terraform make it, has no contradictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.terraform import fixtures
from tests.terraform.runner import Terraform

from .conftest import PLAN, SHOP, TERRAFORM_PLAN, Shop
from .seeded import CONFIG, FOR_ALL, Edit, option

pytestmark = pytest.mark.slow

STORE = f"""{FOR_ALL}

[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
"""
EDITS: list[Edit] = [(CONFIG, FOR_ALL, STORE), option('idempotent=True, sends=["pay_back"]')]


@pytest.fixture
def with_jobs(shop: Shop) -> Shop:
    """The collection with a store, a queue, and a task that sends; its plan is on disk."""
    for edit in EDITS:
        shop.edit(*edit)
    shop.path("pyproject.toml").write_text('[project]\nname = "shop"\n')
    shop.plan()
    return shop


@pytest.fixture
def infra(
    with_jobs: Shop, terraform_copies: fixtures.Copies, tmp_path_factory: pytest.TempPathFactory
) -> Terraform:
    """The root module of the collection, with the plan's file."""
    root = tmp_path_factory.mktemp("jobs")
    shutil.copytree(SHOP, root, dirs_exist_ok=True)
    terraform_copies.copy(".", root / "terraform")
    shutil.copy(with_jobs.path(PLAN), root / "infra" / PLAN)
    terraform = Terraform(root / "infra", terraform_copies.environment.with_cloud())
    terraform.init()
    return terraform


def test_a_collection_with_jobs_has_no_finding(with_jobs: Shop) -> None:
    assert with_jobs.check() == []


def test_terraforms_plan_of_a_collection_with_jobs_has_no_finding(
    with_jobs: Shop, infra: Terraform
) -> None:
    assert findings(with_jobs, infra) == []

    infra.apply()

    assert findings(with_jobs, infra) == []


def test_an_inbox_that_differs_in_terraform_is_found(with_jobs: Shop, infra: Terraform) -> None:
    """One is left out, and another has an attempt limit."""
    plan = json.loads(Path(infra.folder / PLAN).read_text())
    tasks = plan["tasks"]
    del tasks["pay_back"]["triggers"]["subscriptions"]["pay_back-inbox"]
    inbox = tasks["count_orders"]["triggers"]["subscriptions"]["count_orders-inbox"]
    inbox["dead_letter"] = {"max_attempts": 5}
    Path(infra.folder / PLAN).write_text(json.dumps(plan))

    texts = sorted(f"{each['rule']}: {each['what']}" for each in findings(with_jobs, infra))

    differs, missing = texts
    assert "the number of attempts is 5; the code and the configuration say absent" in differs
    assert missing.startswith("terraform-task-missing: ")
    assert "no subscription that pushes to /pay_back/inbox" in missing


def findings(shop: Shop, infra: Terraform) -> list[dict[str, Any]]:
    """Return the findings for Terraform's plan."""
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(infra.plan().json))
    return shop.check("--terraform", TERRAFORM_PLAN)
