"""The service in the cloud: Terraform's plan of a collection with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ucam_faas
from tests.http_jobs import tasks
from tests.terraform import fixtures
from tests.terraform.cases import IMAGE
from tests.terraform.fixtures import MakeTerraform
from tests.terraform.grants import broad_grants_in, grants_in
from tests.terraform.needs import unmet_needs
from ucam_faas.deploy import layers
from ucam_faas.deploy.plan import make

pytestmark = pytest.mark.slow

terraform_environment = fixtures.terraform_environment
terraform_copies = fixtures.terraform_copies
terraform = fixtures.terraform

CALLERS = "group:crm@example.org"
CONFIGURATION = f"""
project = "my-project"
region = "europe-west2"

[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west1/queues/delays"

[task.crm]
invokers = ["{CALLERS}"]
ingress = "all"
"""


def test_its_callers_call_it_alone_and_it_sends_to_its_tasks_alone(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    (tmp_path / "ucam-faas.toml").write_text(CONFIGURATION)
    crm = ucam_faas.jobs_over_http(tasks.charge, tasks.ship, name="crm")
    collection = [function.task for function in (tasks.charge, tasks.private, tasks.ship, crm)]
    plan = make(collection, layers.read(tmp_path), None, app="shop")

    state = terraform("modules/collection").apply({**plan.to_json(), "container_image": IMAGE})

    grants = grants_in(state)
    assert {(grant.role, grant.on) for grant in grants if grant.who == "crm-runtime"} == {
        ("pubsub.publisher", "topic charge-inbox"),
        ("pubsub.publisher", "topic ship-inbox"),
        ("datastore.user", "database jobs"),
        ("cloudtasks.enqueuer", "queue delays"),
        ("iam.serviceAccountUser", "account crm-runtime"),
    }
    assert {grant.on for grant in grants if grant.who == CALLERS} == {"service crm"}
    assert {grant.who for grant in grants if grant.on == "service crm"} == {CALLERS}
    assert unmet_needs(state) == []
    assert broad_grants_in(state) == []
