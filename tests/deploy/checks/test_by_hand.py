"""Hand-written Terraform: attributes that it leaves out have Google's defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.conftest import Project
from tests.terraform.runner import Terraform

CODE = """
from datetime import timedelta

import ucam_faas
from ucam_faas import Schedule


@ucam_faas.message_handler(
    message_type=None,
    timeout=timedelta(seconds=400),
    schedule=[Schedule("0 1 * * *", data=b"a"), Schedule("0 2 * * *", data=b"b")],
)
def count(data: bytes) -> None: ...
"""
BY_HAND = """
terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}
resource "google_cloud_run_v2_service" "count" {
  name     = "count"
  location = "europe-west2"
  project  = "my-project"
  template {
    containers {
      image = "image:1"
      env {
        name  = "FUNCTION_TARGET"
        value = "count"
      }
    }
  }
}
resource "google_pubsub_subscription" "count" {
  name    = "count"
  project = "my-project"
  topic   = "projects/my-project/topics/count"
  push_config {
    push_endpoint = "${google_cloud_run_v2_service.count.uri}/count"
  }
}
resource "google_cloud_scheduler_job" "first" {
  name     = "count"
  project  = "my-project"
  region   = "europe-west2"
  schedule = "0 1 * * *"
  pubsub_target {
    topic_name = "projects/my-project/topics/count"
    data       = "YQ=="
  }
}
"""


@pytest.fixture
def report(project: Project, terraform_environment: Mapping[str, str]) -> str:
    """The findings for the smallest configuration that Terraform accepts."""
    (project.root / "main.py").write_text(CODE)
    infra = project.root / "infra"
    infra.mkdir()
    (infra / "main.tf").write_text(BY_HAND)
    terraform = Terraform(infra, terraform_environment)
    terraform.init()
    (infra / "plan.json").write_text(json.dumps(terraform.plan().json))
    result = project.run("check", "--terraform", "infra/plan.json", "--json")
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    return "\n".join(f"{finding['rule']}: {finding['what']}" for finding in findings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        "deadline-ladder: google_pubsub_subscription.count has an ack deadline of 10 s",
        "deadline-ladder: google_cloud_run_v2_service.count has a timeout of 300 s",
        "default-account: google_cloud_run_v2_service.count",
        "terraform-differs: google_cloud_run_v2_service.count: ingress is 'INGRESS_TRAFFIC_ALL'",
        "terraform-task-missing: Terraform's plan in infra/plan.json has no schedule 'count-2'",
    ],
)
def test_a_missing_attribute_is_a_fault_if_googles_default_is(report: str, fault: str) -> None:
    assert fault in report


@pytest.mark.slow
@pytest.mark.parametrize("harmless", ["paused", "max_instances"])
def test_a_missing_attribute_is_no_fault_if_googles_default_is_right(
    report: str, harmless: str
) -> None:
    assert harmless not in report
