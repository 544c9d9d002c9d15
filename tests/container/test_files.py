"""The files that images are built from fit the project, and break no rule; no engine needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import dockerfile
from .engine import ROOT

LOCKS = ROOT / ".ci/locks"
EXTRAS = {"auth", "pubsub", "storage"}
"""Extras for the work of a container: verify pushes, publish dead letters, read inputs."""
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, str]:
    """The packages of a lock, with their versions."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", (LOCKS / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


def unsatisfied(requirements: list[str], name: str) -> list[str]:
    pinned = pins(name)
    parsed = map(Requirement, requirements)
    return [
        str(requirement)
        for requirement in parsed
        if not requirement.specifier.contains(pinned.get(requirement.name, "0"))
    ]


def test_the_lock_satisfies_pyproject() -> None:
    """If not: make lock."""
    project = PYPROJECT["project"]
    optional = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(requirement for extra in EXTRAS for requirement in optional[extra]),
    ]
    pulling = [text for text in optional["worker"] if not text.startswith("ucam-faas")]

    assert unsatisfied(wanted, "image.txt") == []
    assert unsatisfied(pulling, "worker.txt") == []
    assert pins("image.txt").items() <= pins("worker.txt").items()
    assert unsatisfied(PYPROJECT["build-system"]["requires"], "build.txt") == []


@pytest.mark.parametrize("name", ["image.txt", "worker.txt", "build.txt"])
def test_each_pin_has_hashes_and_no_address(name: str) -> None:
    text = (LOCKS / name).read_text()

    pinned = re.findall(r"^\S+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text, re.MULTILINE)

    assert len(pinned) == len(pins(name)) > 0
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_packages_that_are_left_out_are_in_no_lock() -> None:
    """Those that dependencies name and that serving never imports. If not: make lock."""
    left_out = set((LOCKS / "left-out.txt").read_text().split())

    assert left_out == set(map(canonicalize_name, left_out))
    assert not left_out & (pins("image.txt").keys() | pins("worker.txt").keys())


@pytest.mark.parametrize("whose", ["ours", "the guide's"])
def test_hadolint_finds_nothing(whose: str, tmp_path: Path) -> None:
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    program = shutil.which("hadolint", path=os.pathsep.join(folders))
    if program is None:
        reason = "hadolint is not installed: make test installs it"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    text = (ROOT / "Dockerfile").read_text() if whose == "ours" else dockerfile()
    (tmp_path / "Dockerfile").write_text(text)

    done = subprocess.run([program, "Dockerfile"], cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_dockerfile_builds_on_an_old_engine() -> None:
    """Docker 20.10 has neither heredocs nor other front ends, and images may not be pulled."""
    text = (ROOT / "Dockerfile").read_text()
    stages = set(re.findall(r" AS (\w+)$", text, re.MULTILINE))

    assert "# syntax=" not in text
    assert "<<" not in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - stages == {"${PYTHON_IMAGE}"}
    assert set(re.findall(r"--from=(\S+)", text)) <= stages
