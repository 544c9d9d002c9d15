"""Sound configurations with several stages: the checks report nothing, whatever stage is named."""

from __future__ import annotations

import pytest

from .conftest import Shop
from .seeded import CONFIG, Edit, setting
from .seeded_stages import THREE, production, three


def for_all(line: str) -> Edit:
    """Add a line for all tasks and stages."""
    return CONFIG, 'region = "europe-west2"', f'region = "europe-west2"\n{line}'


def put(*pairs: str) -> Edit:
    """Return three stages after replacements."""
    text = THREE[2]
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        text = text.replace(old, new)
    return CONFIG, THREE[1], text


HARMLESS: dict[str, tuple[Edit, ...]] = {
    "three stages apart": (THREE,),
    "two stages in one project, one of them with a prefix": (
        put('project = "shop-test"', 'project = "shop-production"\nname_prefix = "test-"'),
    ),
    "a project of secrets for all stages": (
        THREE,
        for_all('secrets = { MAIL = "projects/shop-secrets/secrets/mail" }'),
    ),
    "a project of monitoring for all stages": (
        THREE,
        for_all('alert_channels = ["projects/shop-monitoring/notificationChannels/9"]'),
    ),
    "the results of tests, in production": (
        three('"exports", STAGE', '"production-test-results", STAGE'),
    ),
    "the results of tests, with the stage in the other stages": (
        put('"exports-', '"test-results-', '"exports"', '"test-results"'),
    ),
    "the results of tests, one bucket name for all": (
        THREE,
        for_all('environment = { RESULTS_BUCKET = "exam-test-results" }'),
    ),
    "a topic about tests": (
        THREE,
        for_all('publishes_to = ["projects/lab-4711/topics/blood-test"]'),
    ),
    "a team whose name is a stage's": (
        THREE,
        for_all('labels = { team = "test", service = "live-stream" }'),
    ),
    "a mode that is a stage's name": (
        three('STAGE = "test"', 'STAGE = "test", NODE_ENV = "production"'),
    ),
    "a variable with the word": (
        three('STAGE = "production"', 'STAGE = "production", GREETING = "only a test"'),
    ),
    "a short name for production": (three('"token" }', '"token-prod" }'),),
    "production's name for its own": (three('"exports", STAGE', '"exports-prd", STAGE'),),
    "two stages with one name in different projects": (
        put('"token-test"', '"token"', '"token-staging"', '"token"'),
    ),
    "a project whose id has another stage's word": (put("shop-production", "test-centre-4711"),),
    "a project whose id begins with another stage's": (put("shop-production", "shop-test-centre"),),
    "stores of jobs apart": (
        put(
            *('"exports-test"', '"e", UCAM_FAAS_JOB_STORE = "firestore:shop-test"'),
            *('"exports", ', '"e", UCAM_FAAS_JOB_STORE = "firestore:shop-production", '),
        ),
    ),
    "a store of jobs in a secret of each project": (
        THREE,
        for_all('secrets = { UCAM_FAAS_JOB_STORE = "job-store" }'),
    ),
    "stages of one project's regions, numbered": (
        put("[stage.test]", '[stage.test2]\nproject = "shop-test2"\n[stage.test]'),
    ),
    "no protection in a stage for tests": (
        three('"shop-test"', '"shop-test"\ndeletion_protection = false'),
    ),
    "protection that is off on purpose": (
        THREE,
        setting("cut_film", 'deletion_protection = false\nignore = ["protection-off"]'),
    ),
    "another stage's topic on purpose, in that stage only": (
        production('publishes_to = ["projects/shop-test/topics/audit"]\nignore = ["stage-mixed"]'),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_a_sound_configuration_of_stages_has_no_finding(shop: Shop, name: str) -> None:
    for edit in HARMLESS[name]:
        shop.edit(*edit)

    findings = {
        stage: [f"{finding['rule']} {finding['what']}" for finding in shop.check(*arguments)]
        for stage, arguments in (
            ("none", ()),
            ("test", ("--stage", "test")),
            ("production", ("--stage", "production")),
        )
    }

    assert findings == {"none": [], "test": [], "production": []}


def test_stages_with_other_tasks_may_be_in_one_project(shop: Shop) -> None:
    """Their tasks have other names, and aren't loaded."""
    shop.edit(
        *put("shop-staging", "shop-test", "[stage.test]", '[stage.test]\nsource = "other.py"')
    )
    shop.path("other.py").write_text("")

    assert shop.check() == []
