"""Our examples of docs/coming-from.md run as they are: the tasks, and then the code that sends."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ucam_faas import testing
from ucam_faas.tasks import registry

PAGE = Path(__file__).parents[2] / "docs/coming-from.md"
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S))


@pytest.mark.parametrize("system", SECTIONS)
def test_the_examples_of_a_section_run(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, use = re.findall(r"```python\n(.*?)```", SECTIONS[system], re.S)
    monkeypatch.setattr(registry, "_TASKS", {})
    module = ModuleType("coming_from")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(tasks, str(PAGE), "exec"), module.__dict__)

    functions = [value for value in module.__dict__.values() if registry.task_of(value)]
    with testing.jobs(*functions, inline=True):
        exec(compile(use, str(PAGE), "exec"), module.__dict__)


@pytest.mark.parametrize("system", SECTIONS)
def test_a_section_shows_the_other_system_and_a_table(system: str) -> None:
    assert len(re.findall(r"```py\n", SECTIONS[system])) == 1
    assert f"| {system.split()[-1] if system[0] == 'E' else system} | here |" in SECTIONS[system]
