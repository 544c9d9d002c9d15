"""The module's refusals as a Terraform test: a run for each row of `refusals.toml`.

For the real provider: `python -m tests.terraform.refusals > terraform/tests/refused.tftest.hcl`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

FILE = "refused.tftest.hcl"
TABLE = tomllib.loads(Path(__file__).with_name("refusals.toml").read_text())

_PLACES = {
    "variables": "%s",
    "function": 'function = { container_image = "image:1", %s }',
    "subscription": "triggers = { subscriptions = { orders = { %s } } }",
    "schedule": 'triggers = { cron_schedules = { nightly = { schedule = "0 3 * * *", %s } } }',
    "triggers": "triggers = { %s }",
}
_HEAD = """\
mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
  function       = { container_image = "image:1" }
}
"""
_RUN = """
run "%s" {
  command = plan

  variables {
    %s
  }

  expect_failures = [var.%s]
}
"""


def render() -> str:
    """Return the test."""
    return _HEAD + "".join(
        _run(name, _PLACES[section] % value)
        for section, rows in TABLE.items()
        for name, value in rows.items()
    )


def _run(name: str, assignments: str) -> str:
    lines = assignments.split("; ")
    return _RUN % (
        re.sub(r"\W+", "_", f"refused {name}"),
        "\n    ".join(lines),
        lines[-1].split()[0],
    )


if __name__ == "__main__":
    sys.stdout.write(render())
