"""The tables of docs/telemetry.md have every attribute and metric of the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = re.compile(r'"((?:messaging|faas|ucam_faas|cloudevents|http|gcp|error)\.[a-z_.]+)"')
OF_RESOURCE = {"faas.name", "faas.version"}


def test_every_attribute_and_metric_is_documented() -> None:
    files = [*(ROOT / "ucam_faas/telemetry").glob("*.py"), ROOT / "ucam_faas/execution/traces.py"]
    code = "\n".join(file.read_text() for file in files)
    documented = (ROOT / "docs/telemetry.md").read_text()

    names = set(NAME.findall(code)) - OF_RESOURCE

    assert len(names) > 30
    assert {name for name in names if f"`{name}`" not in documented} == set()
