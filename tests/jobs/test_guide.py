"""The Python blocks of the guides run as they are, one after the other, to the values shown."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ucam_faas
from ucam_faas import testing
from ucam_faas.sending.sends import BatchOptions, SendOptions
from ucam_faas.tasks import registry

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "jobs.md"
GUIDES = {
    "jobs.md limits.md transactions.md job-events.md running-jobs.md": 20,
    "lanes.md": 3,
}
VALUE = re.compile(r"^(.+?)  # => (.+)$", re.M)


def blocks_of(pages: str) -> list[str]:
    """Return the Python blocks of pages that go on from each other."""
    text = "".join((DOCS / page).read_text() for page in pages.split())
    return re.findall(r"```python\n(.*?)```", text, re.S)


def run(block: str, module: ModuleType) -> list[tuple[str, str]]:
    """Run a block, and return the values that it has and those that it shows."""
    values: list[Any] = []
    code = VALUE.sub(lambda match: f"_note(str({match[1]}))", block)
    module.__dict__["_note"] = values.append
    exec(compile(code, "guide", "exec"), module.__dict__)
    return list(zip(values, [match[2] for match in VALUE.finditer(block)], strict=True))


@pytest.mark.parametrize(("pages", "least"), GUIDES.items())
def test_the_guides_blocks_run_to_the_values_that_they_show(
    pages: str, least: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocks = blocks_of(pages)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_TASKS", {})
    module = ModuleType("shop")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks:
        if "@ucam_faas" in block:
            run(block, module)
    functions = [value for value in module.__dict__.values() if registry.task_of(value)]

    with testing.jobs(*functions, inline=True, database="shop.db"):
        uses = [block for block in blocks if "@ucam_faas" not in block]
        shown = [pair for block in uses for pair in run(block, module)]

    assert len(shown) >= least
    assert [value for value, _ in shown] == [text for _, text in shown]


def test_the_guide_lists_every_option_of_send() -> None:
    options = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.M)

    assert set(options) >= SendOptions.__annotations__.keys() | BatchOptions.__annotations__.keys()


def test_the_guide_lists_every_error_about_jobs() -> None:
    text = PAGE.read_text()
    values = ("Job", "JobError", "JobEvent", "JobOutcome")
    names = [name for name in ucam_faas.__all__ if "Job" in name and name not in values]

    assert [name for name in [*names, "QueueFull"] if f"`{name}`" not in text] == []
