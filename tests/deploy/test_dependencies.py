"""The packages that a project's files list, as far as rules of `ucam-faas check` need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ucam_faas.deploy.dependencies import Dependencies, read

PYPROJECT = """
[project]
name = "tasks"
dependencies = [
  "httpx>=0.27",
  "Ucam_Faas[pubsub, OTEL] >= 2",
]
"""


def listed(folder: Path, **files: str) -> Dependencies | None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return read(folder)


def test_requirements_are_those_of_the_project(tmp_path: Path) -> None:
    dependencies = listed(tmp_path, pyproject_toml=PYPROJECT)

    assert dependencies is not None
    assert dependencies.have("ucam-faas", extra="otel")
    assert not dependencies.have("ucam-faas", extra="postgresql")
    assert dependencies.place("ucam-faas").line == 6


def test_a_requirements_file_comes_before_the_project(tmp_path: Path) -> None:
    lines = "# by uv\n--hash=sha256:1\nucam-faas==2.0 ; python_version > '3'\n"

    dependencies = listed(tmp_path, pyproject_toml=PYPROJECT, requirements_txt=lines)

    assert dependencies is not None
    assert not dependencies.have("ucam-faas", extra="otel")
    assert dependencies.place("ucam-faas").line == 3


def test_an_extra_of_the_project_counts(tmp_path: Path) -> None:
    """The image may install it."""
    extra = '[project.optional-dependencies]\ncloud = ["ucam-faas[otel]"]\n'

    dependencies = listed(tmp_path, pyproject_toml=PYPROJECT.replace(", OTEL", "") + extra)

    assert dependencies is not None
    assert dependencies.have("ucam-faas", extra="otel")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"requirements_txt": "-r more.txt\nucam-faas\n"},
        {"requirements_txt": "git+https://git.example.org/tasks.git\n"},
        {"requirements_txt": ".\n"},
        {"requirements_txt": "# none\n"},
        {"pyproject_toml": "[tool.poetry.dependencies]\nucam-faas = '2'\n"},
        {"pyproject_toml": "[project]\ndependencies = 1\n"},
        {"pyproject_toml": "[project\n"},
    ],
)
def test_what_is_installed_is_not_known(tmp_path: Path, files: dict[str, str]) -> None:
    assert listed(tmp_path, **files) is None
