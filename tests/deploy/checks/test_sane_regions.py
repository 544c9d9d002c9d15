"""Names with other projects and locations that are sound: the checks report nothing for them."""

from __future__ import annotations

import json

import pytest

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import CODE, Edit, setting, variable
from .seeded_regions import CONNECTOR, KEY, for_all
from .seeded_terraform import COUNT, SERVICE, put

HARMLESS: dict[str, tuple[Edit, ...]] = {
    "a connector and a key in the region": (
        setting("count_orders", f'vpc_access.connector = "{CONNECTOR.format("europe-west2")}"'),
        setting("pay_back", f'kms_key = "{KEY.format("europe-west2")}"'),
    ),
    "a global key": (setting("pay_back", f'kms_key = "{KEY.format("global")}"'),),
    "a key in a multi-region of the region": (
        setting("pay_back", f'kms_key = "{KEY.format("europe")}"'),
    ),
    "a subnetwork of a shared network's project": (
        for_all(
            'vpc_access.subnetwork = "projects/network-host/regions/europe-west2/subnetworks/main"'
        ),
    ),
    "a model that another region has": (
        variable("MODEL", "projects/my-project/locations/us-central1/publishers/google/models/m"),
    ),
    "a service of another region": (variable("API", "https://api-123.europe-west1.run.app"),),
    "a bucket for copies elsewhere": (variable("COPIES", "gs://backup-europe-west1"),),
    "a bucket without a region": (variable("EXPORTS", "gs://my-project-exports"),),
    "a secret and a channel with a project's number": (
        setting("pay_back", 'secrets = { TOKEN = "projects/123456/secrets/token" }'),
        for_all('alert_channels = ["projects/123456/notificationChannels/789"]'),
    ),
    "a project of a domain": (
        setting("count_orders", 'publishes_to = ["projects/cam.ac.uk:post-room/topics/letters"]'),
        ("ucam-faas.toml", 'publishes_to = ["refunds"]', ""),
    ),
    "Google's own account": (
        for_all('invokers = ["serviceAccount:123456-compute@developer.gserviceaccount.com"]'),
    ),
    "a message about regions": (variable("HINT", "europe-west5: see wiki"),),
    "an existing topic of another team": (
        ("ucam-faas.toml", "project =", 'ignore = ["topic-deleted:films"]\nproject ='),
        (
            "ucam-faas.toml",
            "[task.pay_back]",
            '[task.cut_film]\nignore = ["subscription-deleted"]\n\n[task.pay_back]',
        ),
        (CODE, 'topic="films"', 'topic="projects/film-studio/topics/films"'),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_a_sound_name_has_no_finding(shop: Shop, clean_plan: str, name: str) -> None:
    shop.path("last.json").write_text(clean_plan)
    for edit in HARMLESS[name]:
        shop.edit(*edit)
    shop.plan()

    assert shop.check("--against", "last.json") == []


@pytest.mark.slow
@pytest.mark.parametrize("host", ["europe-west2-docker.pkg.dev", "europe-docker.pkg.dev", "gcr.io"])
def test_an_image_of_the_region_has_no_finding(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, host: str
) -> None:
    shop.path(PLAN).write_text(clean_plan)
    plan = terraform_plans.copy(made=True)
    image = f"{host}/my-project/tasks/tasks:1"
    put(f"{COUNT}{SERVICE}", "template", "containers", "image", value=image)(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))

    assert shop.check("--terraform", TERRAFORM_PLAN) == []
