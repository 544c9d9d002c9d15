"""docs/deploy.md: each of its commands is run, or gcloud's own parser takes it.

Google's answers to the commands that are only parsed aren't known.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.endpoint import unavailable
from tests.terraform.runner import Terraform

from . import guide

pytestmark = pytest.mark.slow

NEED_GOOGLE = ("gcloud ", "docker push ", "ucam-faas dlq ")


def test_each_command_is_one_that_these_tests_know() -> None:
    assignments = [f"{name}=" for name in guide.variables()]
    known = (*guide.LOCAL, *NEED_GOOGLE, *assignments)

    assert [line for line in guide.commands() if not line.startswith(known)] == []


@pytest.mark.parametrize("document", [guide.DOCUMENT, guide.OPERATIONS], ids=lambda each: each.stem)
def test_gclouds_parser_takes_each_command(document: Path, tmp_path: Path) -> None:
    wrong = "gcloud run jobs execute export-prices --regoin=europe-west2"
    commands = [guide.filled_in(line) for line in guide.commands("gcloud", document)]

    results = parsed([*commands, wrong], tmp_path)

    assert results == {**dict.fromkeys(commands, True), wrong: False}


def parsed(commands: list[str], folder: Path) -> dict[str, bool]:
    """Return whether gcloud takes each command; none of them is run."""
    program = shutil.which("gcloud")
    if program is None:
        unavailable("gcloud is not on PATH")
    file = folder / "commands.json"
    file.write_text(json.dumps([{"command_string": line} for line in commands]))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    }
    done = subprocess.run(
        [program, "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line["command_string"]: line["success"] for line in json.loads(done.stdout)}


def test_terraform_takes_the_block_of_the_bucket(
    terraform_environment: Mapping[str, str], tmp_path: Path
) -> None:
    """It gets as far as looking for credentials."""
    (block,) = re.findall(r"```hcl\n(.*?)```", guide.DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "backend.tf").write_text(block)
    environment = {**terraform_environment, "GOOGLE_CREDENTIALS": "none"}

    done = subprocess.run(
        ["terraform", "init", "-no-color"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert "Error: the string provided in credentials" in done.stderr
    assert f'bucket = "{guide.variables()["PROJECT"]}-terraform"' in block


def test_all_is_removed_again(repository: guide.Repository, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(repository.folder, folder, symlinks=True)
    copy = replace(repository, folder=folder)
    terraform = Terraform(folder / "deploy", repository.environment)
    before = len(terraform.show().resources)

    (command,) = guide.commands(guide.REMOVAL)
    copy.run(command)

    assert (before > 50, terraform.show().resources) == (True, [])
