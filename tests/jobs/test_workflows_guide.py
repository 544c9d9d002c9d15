"""The Python blocks of docs/workflows.md run as they are, a minute apart, to the values shown."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from tests.jobs.test_guide import run
from ucam_faas import testing
from ucam_faas.tasks import registry

PAGE = Path(__file__).parents[2] / "docs/workflows.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)


def test_the_guides_blocks_run_to_the_values_that_they_show(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_TASKS", {})
    module = ModuleType("shop")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in BLOCKS:
        if "@ucam_faas" in block:
            run(block, module)
    functions = [value for value in module.__dict__.values() if registry.task_of(value)]

    shown: list[tuple[str, str]] = []
    with testing.jobs(*functions, inline=True, database="shop.db") as jobs:
        for block in BLOCKS:
            if "@ucam_faas" not in block:
                shown += run(block, module)
                jobs.advance(timedelta(minutes=1))

    assert len(shown) >= 10
    assert [value for value, _ in shown] == [text for _, text in shown]
