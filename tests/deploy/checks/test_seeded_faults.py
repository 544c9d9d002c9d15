"""The mutation suite: every seeded fault is found, by the rule for it, at its line, and nothing
else is found."""

from __future__ import annotations

import json

import pytest

from ucam_faas.deploy.checks import RULES

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import LAST, SEEDS, Seed
from .seeded_by_hand import BY_HAND_SEEDS
from .seeded_jobs import JOB_SEEDS
from .seeded_load import LOAD_SEEDS
from .seeded_regions import REGION_SEEDS, REGION_TERRAFORM_SEEDS
from .seeded_stages import STAGE_SEEDS
from .seeded_telemetry import TELEMETRY_SEEDS, TELEMETRY_TERRAFORM_SEEDS
from .seeded_terraform import TERRAFORM_SEEDS, TerraformSeed
from .seeded_values import VALUE_SEEDS

ALL_SEEDS = [*SEEDS, *LOAD_SEEDS, *REGION_SEEDS, *STAGE_SEEDS, *TELEMETRY_SEEDS, *VALUE_SEEDS]
ALL_TERRAFORM_SEEDS = [
    *TERRAFORM_SEEDS,
    *BY_HAND_SEEDS,
    *REGION_TERRAFORM_SEEDS,
    *TELEMETRY_TERRAFORM_SEEDS,
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", ALL_SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_fault_is_found_at_its_line(shop: Shop, clean_plan: str, seed: Seed) -> None:
    for name in (PLAN, LAST):
        shop.path(name).write_text(clean_plan)
    for edit in seed.edits:
        shop.edit(*edit)
    if seed.planned:
        shop.plan()

    findings = shop.check("--against", LAST)

    assert {finding["rule"] for finding in findings} == {seed.rule, *seed.also}
    (first, *_) = (finding for finding in findings if finding["rule"] == seed.rule)
    assert (first["file"], first["line"]) == (seed.at[0], shop.line(*seed.at))
    assert seed.says in first["what"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", ALL_TERRAFORM_SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_fault_of_terraform_is_found(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, seed: TerraformSeed
) -> None:
    shop.path(PLAN).write_text(clean_plan)
    plan = terraform_plans.copy(made=seed.made)
    for change in seed.changes:
        change(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))
    if seed.file:
        shop.path(seed.file[0]).write_text(seed.file[1])

    findings = shop.check("--terraform", TERRAFORM_PLAN)

    assert {finding["rule"] for finding in findings} == {seed.rule, *seed.also}
    (first, *_) = (finding for finding in findings if finding["rule"] == seed.rule)
    assert (first["file"], first["line"]) == (seed.at[0], shop.line(*seed.at))
    assert seed.says in first["what"]


def test_every_rule_has_a_seeded_fault() -> None:
    """A rule without a seeded fault might never find anything."""
    seeded = {seed.rule for seed in (*ALL_SEEDS, *ALL_TERRAFORM_SEEDS, *JOB_SEEDS)}

    assert {rule.name for rule in RULES} == seeded


def test_rules_have_names_and_texts_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.finds.endswith((".", "…")), rule.name
        assert rule.why.endswith("."), rule.name
