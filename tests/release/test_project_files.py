"""The pages for people who report and change something, and the changelog."""

from __future__ import annotations

import re

import pytest

from .conftest import ROOT
from .test_dist import VERSION

CHANGES = (ROOT / "CHANGELOG.md").read_text()
ACTS = re.compile(
    r"^### (?:Changed|Deprecated|Removed)[^\n]*\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL
)


def entries_to_act_on(changes: str) -> list[str]:
    """Return the entries of sections whose changes can break code or deployments."""
    return [
        entry.strip()
        for text in ACTS.findall(changes)
        for entry in re.split(r"^- ", text, flags=re.M)[1:]
    ]


def test_each_change_that_can_break_something_ends_with_the_step_that_users_take() -> None:
    entries = entries_to_act_on(CHANGES)

    assert len(entries) > 10
    assert [entry for entry in entries if len(entry.split("**Do:** ")) != 2] == []


def test_the_security_page_names_the_version_that_gets_fixes() -> None:
    fixed = re.findall(r"^\| ([\d.]+) \| yes \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)

    assert fixed == [".".join(VERSION.split(".")[:2])]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/releasing.md"])
def test_the_commands_of_these_pages_are_targets_of_the_makefile(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()

    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))

    assert targets >= {"test-lowest"}
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_the_readme_says_that_it_was_never_run_in_the_cloud() -> None:
    """Until someone has: then this test and the sentence go."""
    assert "never run against Google Cloud itself" in (ROOT / "README.md").read_text()
    assert "never run against Google Cloud itself" in CHANGES
