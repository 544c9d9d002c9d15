"""A collection without contradictions, on disk, and Terraform's plans of it."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.deploy.conftest import Project
from tests.terraform import fixtures
from tests.terraform.runner import Terraform

SHOP = Path(__file__).with_name("shop")
PLAN = "ucam-faas.auto.tfvars.json"
TERRAFORM_PLAN = "infra/plan.json"

terraform_environment = fixtures.terraform_environment
terraform_copies = fixtures.terraform_copies


class Shop:
    """The collection in the working directory, and the command line in it."""

    def __init__(self, project: Project, collection: Path = SHOP) -> None:
        self.project = project
        shutil.copytree(collection, project.root, dirs_exist_ok=True)

    def path(self, name: str) -> Path:
        return self.project.root / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs exactly once."""
        text = self.path(name).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        self.path(name).write_text(text.replace(old, new))

    def line(self, name: str, text: str) -> int:
        """Return the line of the first appearance of a text."""
        before, there, _ = self.path(name).read_text().partition(text)
        assert there, f"{text!r} is not in {name}"
        return before.count("\n") + 1

    def plan(self, *arguments: str) -> None:
        """Write the plan's file."""
        result = self.project.run("plan", "--overwrite", *arguments)
        assert result.exit_code == 0, result.output

    def check(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the findings."""
        result = self.run(*arguments, "--json")
        assert result.exit_code in (0, 1), result.output
        findings: list[dict[str, Any]] = json.loads(result.stdout)
        assert result.exit_code == bool(findings)
        return findings

    def run(self, *arguments: str) -> Result:
        return self.project.run("check", *arguments)


@pytest.fixture
def shop(project: Project) -> Shop:
    """The collection without contradictions, and without a plan on disk."""
    return Shop(project)


@pytest.fixture(scope="session")
def clean_plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The plan's file of the collection without contradictions, made in a separate process."""
    root = tmp_path_factory.mktemp("clean-plan")
    shutil.copytree(SHOP, root, dirs_exist_ok=True)
    plan = [sys.executable, "-m", "ucam_faas", "plan", "--output", PLAN]
    subprocess.run(plan, cwd=root, check=True, capture_output=True)
    return (root / PLAN).read_text()


@dataclass(frozen=True, slots=True)
class TerraformPlans:
    """The output of `terraform show -json` for the collection, before and after its deployment."""

    before: dict[str, Any]
    after: dict[str, Any]

    def copy(self, *, made: bool) -> dict[str, Any]:
        return copy.deepcopy(self.after if made else self.before)


@pytest.fixture(scope="session")
def terraform_shop(
    terraform_copies: fixtures.Copies, tmp_path_factory: pytest.TempPathFactory, clean_plan: str
) -> Terraform:
    """The collection's root module, initialised, with its plan's file."""
    root = tmp_path_factory.mktemp("terraform-shop")
    shutil.copytree(SHOP, root, dirs_exist_ok=True)
    terraform_copies.copy(".", root / "terraform")
    (root / "infra" / PLAN).write_text(clean_plan)
    terraform = Terraform(root / "infra", terraform_copies.environment)
    terraform.init()
    return terraform


@pytest.fixture(scope="session")
def terraform_plans(terraform_shop: Terraform) -> TerraformPlans:
    """Terraform's plans of the collection."""
    before = terraform_shop.plan().json
    terraform_shop.apply()
    return TerraformPlans(before, terraform_shop.plan().json)
