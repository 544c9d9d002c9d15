"""The workflows and forms: GitHub can read them, and actions are pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
TEXT = "\n".join(path.read_text() for path in WORKFLOWS + ACTIONS)
BIN = Path(sys.executable).parent


def check(*command: str) -> None:
    """Run a tool of the environment; fail with its output."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("vendor.github-workflows", [str(path) for path in WORKFLOWS]),
        ("vendor.github-actions", [str(path) for path in ACTIONS]),
        ("vendor.dependabot", [".github/dependabot.yml"]),
        ("vendor.github-issue-config", [".github/ISSUE_TEMPLATE/config.yml"]),
        ("vendor.github-issue-forms", [str(path) for path in FORMS]),
    ],
)
def test_github_can_read_them(schema: str, paths: list[str]) -> None:
    check("check-jsonschema", "--builtin-schema", schema, *paths)


@pytest.mark.slow
def test_they_let_no_foreign_code_in_and_give_no_rights_away() -> None:
    check("zizmor", "--offline", "--no-progress", ".github")


def test_every_action_is_pinned_to_one_commit() -> None:
    uses = re.findall(r"uses: *(\S+) *(.*)", TEXT)

    pins = {
        (action.partition("@")[0], action, comment)
        for action, comment in uses
        if not action.startswith("$/")
    }
    ours = {action.removeprefix("$/") for action, _ in uses if action.startswith("$/")}

    assert [
        (action, comment)
        for _, action, comment in pins
        if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        or not re.fullmatch(r"# v\d+\.\d+\.\d+", comment)
    ] == []
    assert len({name for name, _, _ in pins}) == len(pins)
    assert ours == {str(path.parent.relative_to(ROOT)) for path in ACTIONS}


def test_dependabot_moves_the_pins_of_each_folder_that_has_some() -> None:
    (update,) = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]

    folders = {f"/{path.parent.relative_to(ROOT)}" for path in ACTIONS}

    assert set(update["directories"]) == {"/", *folders}


def test_ci_asks_a_runner_for_no_right_to_install_programs() -> None:
    """GitHub's runners don't run as root, but .ci/run installs missing packages with apt."""
    (action,) = (yaml.safe_load(path.read_text()) for path in ACTIONS)
    installed = re.findall(r"[\w-]+", action["runs"]["steps"][-1]["run"])
    theirs = {"chromium", "initdb"}  # on the images of GitHub, as is Docker

    asked = re.findall(r"command -v ([\w-]+)", (ROOT / ".ci/run").read_text())

    assert "wrk" in asked
    assert set(asked) <= theirs | set(installed)


def test_every_target_that_they_make_exists() -> None:
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text())["jobs"].values()]
    runs = [step.get("run", "") for job in jobs for step in job["steps"]]
    targets = {target for run in runs for target in re.findall(r"\bmake ([\w-]+)", run)}
    targets |= {target for job in jobs for target in matrix_of(job).get("make", [])}

    makefile = (ROOT / "Makefile").read_text()

    assert targets > {"dist", "test", "test-lowest"}
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_ci_and_nightly_run_on_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r":: (3\.\d+)", "\n".join(project["classifiers"]))

    ci, nightly = (
        yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"]
        for name in ("ci", "nightly")
    )

    assert matrix_of(ci["test"])["python"] == versions
    assert matrix_of(nightly["dependencies"])["python"] == versions


def matrix_of(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job's matrix, or none."""
    matrix: dict[str, Any] = job.get("strategy", {}).get("matrix", {})
    return matrix
