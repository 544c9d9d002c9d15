"""A collection without contradictions has no findings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.deploy.conftest import Project

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans

EXAMPLES = Path(__file__).parents[3] / "example_tasks"


@pytest.mark.parametrize("stage", [[], ["--stage", "production"]])
def test_the_clean_collection_has_no_finding(shop: Shop, stage: list[str]) -> None:
    result = shop.project.run("plan", *stage)
    assert result.exit_code == 0, result.output

    result = shop.run(*stage)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("No contradiction found: 5 tasks")


def test_the_clean_collection_has_no_finding_without_a_plan_on_disk(shop: Shop) -> None:
    assert shop.check() == []


@pytest.mark.slow
@pytest.mark.parametrize("made", [False, True])
def test_terraforms_plan_of_the_clean_collection_has_no_finding(
    shop: Shop, terraform_plans: TerraformPlans, made: bool
) -> None:
    shop.plan()
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(terraform_plans.copy(made=made)))

    assert shop.check("--terraform", TERRAFORM_PLAN) == []


@pytest.mark.slow
def test_the_example_tasks_have_no_finding(project: Project) -> None:
    project.write("ucam-faas.toml", 'ignore = ["lanes-without-inbox"]')  # which needs a job store
    planned = project.run("plan", str(EXAMPLES))
    assert planned.exit_code == 0, planned.output

    result = project.run("check", str(EXAMPLES))

    assert result.exit_code == 0, result.output
    assert re.match(r"No contradiction found: \d+ tasks, ucam-faas.toml, " + PLAN, result.stdout)
