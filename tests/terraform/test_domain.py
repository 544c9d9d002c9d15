"""The load balancer in front of HTTP tasks, as it changes."""

from __future__ import annotations

import json

import pytest

from .fixtures import MakeTerraform

pytestmark = pytest.mark.slow
DOMAIN = {"project": "my-project", "region": "europe-west2", "domain": "tasks.example.org"}


def test_a_service_that_goes_is_taken_from_the_routes_before_its_backend_is_deleted(
    terraform: MakeTerraform,
) -> None:
    """Google refuses to delete a backend that a URL map uses, and the apply would break off."""
    domain = terraform("modules/domain")
    domain.apply({**DOMAIN, "services": {"/*": "rooms", "/desks/*": "desks"}})
    variables = domain.folder / "fewer.tfvars.json"
    variables.write_text(json.dumps({**DOMAIN, "services": {"/*": "rooms"}}))

    output = domain.run("apply", "-json", "-auto-approve", f"-var-file={variables}")

    lines = map(json.loads, output.splitlines())
    done = [line["hook"]["resource"]["addr"] for line in lines if line["type"] == "apply_complete"]
    assert done == [
        "google_compute_url_map.this",
        'google_compute_backend_service.this["desks"]',
        'google_compute_region_network_endpoint_group.this["desks"]',
    ]
