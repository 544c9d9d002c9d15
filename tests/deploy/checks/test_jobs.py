"""A collection with jobs: Terraform's plan has no contradictions, and each fault in it is found."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.terraform import fixtures
from tests.terraform.runner import Terraform

from .conftest import PLAN, SHOP, TERRAFORM_PLAN, Shop
from .seeded import Edit
from .seeded_jobs import EDITS, JOB_SEEDS, SHARED_ACCOUNT, SHARED_SEEDS
from .seeded_terraform import TerraformSeed

pytestmark = pytest.mark.slow

PROJECT = '[project]\nname = "shop"\n'
SHARED_EDITS = [*EDITS, SHARED_ACCOUNT]


class Plans(NamedTuple):
    """The plan's file, and Terraform's plans before and after the deployment."""

    text: str
    before: dict[str, Any]
    after: dict[str, Any]


def plans_of(edits: Sequence[Edit], root: Path, copies: fixtures.Copies) -> Plans:
    """Deploy the collection with these edits, in a folder and in a separate process."""
    shutil.copytree(SHOP, root, dirs_exist_ok=True)
    for name, old, new in edits:
        file = root / name
        file.write_text(file.read_text().replace(old, new))
    (root / "pyproject.toml").write_text(PROJECT)
    command = [sys.executable, "-m", "ucam_faas", "plan", "--output", f"infra/{PLAN}"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    copies.copy(".", root / "terraform")
    terraform = Terraform(root / "infra", copies.environment.with_cloud())
    terraform.init()
    before = terraform.plan().json
    terraform.apply()
    return Plans((root / "infra" / PLAN).read_text(), before, terraform.plan().json)


@pytest.fixture(scope="module")
def plans(terraform_copies: fixtures.Copies, tmp_path_factory: pytest.TempPathFactory) -> Plans:
    """The plans of the collection with jobs."""
    return plans_of(EDITS, tmp_path_factory.mktemp("jobs"), terraform_copies)


@pytest.fixture(scope="module")
def shared_plans(
    terraform_copies: fixtures.Copies, tmp_path_factory: pytest.TempPathFactory
) -> Plans:
    """The plans of the collection with jobs, whose wakes an account of all tasks publishes."""
    return plans_of(SHARED_EDITS, tmp_path_factory.mktemp("jobs"), terraform_copies)


def written(shop: Shop, edits: Sequence[Edit], text: str) -> Shop:
    """Return the collection with these edits and this plan."""
    for edit in edits:
        shop.edit(*edit)
    shop.path("pyproject.toml").write_text(PROJECT)
    shop.path(PLAN).write_text(text)
    return shop


def findings(shop: Shop, terraform_plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the findings for Terraform's plan."""
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(terraform_plan))
    return shop.check("--terraform", TERRAFORM_PLAN)


def test_a_collection_with_jobs_has_no_finding(shop: Shop, plans: Plans) -> None:
    assert written(shop, EDITS, plans.text).check() == []


@pytest.mark.parametrize("made", [False, True])
def test_terraforms_plan_of_a_collection_with_jobs_has_no_finding(
    shop: Shop, plans: Plans, made: bool
) -> None:
    written(shop, EDITS, plans.text)

    assert findings(shop, plans.after if made else plans.before) == []


@pytest.mark.parametrize("made", [False, True])
def test_terraforms_plan_with_an_account_for_wakes_has_no_finding(
    shop: Shop, shared_plans: Plans, made: bool
) -> None:
    written(shop, SHARED_EDITS, shared_plans.text)

    assert findings(shop, shared_plans.after if made else shared_plans.before) == []


@pytest.mark.parametrize("seed", JOB_SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_fault_of_jobs_is_found(shop: Shop, plans: Plans, seed: TerraformSeed) -> None:
    check_seed(written(shop, EDITS, plans.text), plans, seed)


@pytest.mark.parametrize("seed", SHARED_SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_fault_of_an_account_for_wakes_is_found(
    shop: Shop, shared_plans: Plans, seed: TerraformSeed
) -> None:
    check_seed(written(shop, SHARED_EDITS, shared_plans.text), shared_plans, seed)


def check_seed(shop: Shop, plans: Plans, seed: TerraformSeed) -> None:
    """Assert that a fault, and nothing else, is found."""
    plan = copy.deepcopy(plans.after)
    for change in seed.changes:
        change(plan)
    if seed.file:
        shop.path(seed.file[0]).write_text(seed.file[1])

    reported = findings(shop, plan)

    assert {finding["rule"] for finding in reported} == {seed.rule, *seed.also}
    assert any(seed.says in finding["what"] for finding in reported), reported
    if seed.at[0]:
        assert (reported[0]["file"], reported[0]["line"]) == (seed.at[0], shop.line(*seed.at))
