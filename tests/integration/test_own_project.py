"""The dependencies that docs/own-project.md tells users to write: they can be read, and install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-project.md").read_text()
EXAMPLES = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ADDRESS = re.compile(r"git\+https://git\.example\.org/\S+\.git@[0-9a-f]{40}")
BACKEND = "hatchling>=1.27"


def requirements_of(example: dict[str, Any]) -> list[Requirement]:
    """Return what an example's project depends on, everywhere in it."""
    project = example["project"]
    texts = list(project["dependencies"])
    for more in (*project.get("optional-dependencies", {}).values(),):
        texts += more
    for more in example.get("dependency-groups", {}).values():
        texts += more
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("example", EXAMPLES, ids=["commit", "wheel", "checkout"])
def test_an_example_depends_on_this_package_in_this_version(example: dict[str, Any]) -> None:
    ours = [
        requirement for requirement in requirements_of(example) if requirement.name == OURS["name"]
    ]

    assert [sorted(requirement.extras) for requirement in ours] == [[], ["local"]]
    assert set().union(*(requirement.extras for requirement in ours)) <= set(
        OURS["optional-dependencies"]
    )
    first = ours[0]
    assert first.url is not None or OURS["version"] in first.specifier
    assert first.url is not None or "1.0.3" not in first.specifier
    assert example["project"]["requires-python"] == OURS["requires-python"]


def test_the_versions_in_commands_include_this_one() -> None:
    (text,) = re.findall(r"pip install --find-links wheels '(.*)'", PAGE)

    assert OURS["version"] in Requirement(text).specifier


def pip(*arguments: str, folder: Path) -> str:
    """Run pip; return its output."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where pip can't get what builds the package; but not in CI."""
    folder = tmp_path_factory.mktemp("backend")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", BACKEND]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    if done.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip("pip cannot download hatchling: is there a network?")


def check_installed(folder: Path) -> None:
    """Look for the package and its command in a folder that pip installed it into."""
    (metadata,) = folder.glob("ucam_faas-*.dist-info")
    assert metadata.name == f"ucam_faas-{OURS['version']}.dist-info"
    assert "ucam-faas = ucam_faas.cli:main" in (metadata / "entry_points.txt").read_text()
    assert files_of(folder / "ucam_faas") == files_of(ROOT / "ucam_faas")


def files_of(package: Path) -> set[str]:
    """Return the files of a package: its code, templates, statements and types."""
    paths = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
def test_a_wheel_is_built_from_a_checkout_and_installed(tmp_path: Path) -> None:
    (line,) = re.findall(r"^pip (wheel .*) \.$", PAGE, re.MULTILINE)
    pip(*line.replace("wheels", str(tmp_path / "wheels")).split(), ".", folder=ROOT)

    options = ("--no-deps", "--no-index", "--find-links", "wheels", "--target", "installed")
    pip("install", *options, "ucam-faas[local]>=2,<3", folder=tmp_path)

    check_installed(tmp_path / "installed")


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
def test_a_commit_is_installed(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    (text,) = EXAMPLES[0]["project"]["dependencies"]

    requirement = ADDRESS.sub(f"git+file://{ROOT}@{commit}", text)
    assert requirement != text
    pip("install", "--no-deps", "--target", "installed", requirement, folder=tmp_path)

    check_installed(tmp_path / "installed")
