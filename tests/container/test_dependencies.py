"""Which of a project's files a build installs, and which it refuses; no engine needed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .engine import ROOT

PROJECT = """
[project]
name = "shop"
dependencies = ["ucam-faas>=2.0.0,<3", "httpx>=0.28"]
"""
EMPTY = '[project]\nname = "shop"\ndependencies = ["ucam_faas @ git+https://example.org/x.git"]\n'
POETRY = '[tool.poetry.dependencies]\npython = "^3.11"\nhttpx = "*"\n'


@pytest.fixture
def dependencies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the image's build, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("deps", ROOT / ".ci/image/dependencies.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "deps", module)
    spec.loader.exec_module(module)
    return module


def find(dependencies: ModuleType, folder: Path, files: dict[str, str]) -> list[str]:
    """Write the files of a project, and return pip's arguments."""
    folders = [folder / "source", folder / "beside"]
    for path in folders:
        path.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    wanted = dependencies.find(folders, "2.0.0")
    return [text.replace(f"{folder}/", "") for text in wanted.arguments] if wanted else []


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({}, []),
        ({"source/requirements.txt": "x"}, ["--requirement", "source/requirements.txt"]),
        ({"beside/requirements.txt": "x"}, ["--requirement", "beside/requirements.txt"]),
        (
            {
                "source/requirements.txt": "x",
                "source/pyproject.toml": PROJECT,
                "source/uv.lock": "",
            },
            ["--requirement", "source/requirements.txt"],
        ),
        ({"source/pyproject.toml": PROJECT}, ["httpx>=0.28"]),
        ({"beside/pyproject.toml": PROJECT}, ["httpx>=0.28"]),
        # The first folder that lists any decides.
        (
            {"source/pyproject.toml": PROJECT, "beside/requirements.txt": "x"},
            ["httpx>=0.28"],
        ),
        (
            {"source/pyproject.toml": "[tool.ucam-faas]\n", "beside/requirements.txt": "x"},
            ["--requirement", "beside/requirements.txt"],
        ),
        # The image has its own ucam-faas: an address is of no use, an extra is.
        ({"source/pyproject.toml": EMPTY}, []),
        ({"source/pyproject.toml": EMPTY, "source/uv.lock": ""}, []),
        (
            {"source/pyproject.toml": EMPTY.replace("faas @", "faas[postgresql] @")},
            ["ucam-faas[postgresql]"],
        ),
        ({"beside/pyproject.toml": PROJECT.replace("shop", "ucam_faas")}, []),
        ({"source/pyproject.toml": POETRY.replace('httpx = "*"', "")}, []),
    ],
)
def test_one_file_lists_what_is_installed(
    dependencies: ModuleType, tmp_path: Path, files: dict[str, str], arguments: list[str]
) -> None:
    assert find(dependencies, tmp_path, files) == arguments


@pytest.mark.parametrize(
    ("files", "why", "command"),
    [
        ({"pyproject.toml": PROJECT, "uv.lock": ""}, "uv.lock is not read", "uv export --frozen"),
        ({"pyproject.toml": PROJECT, "poetry.lock": ""}, "poetry.lock is not", "poetry export"),
        ({"pyproject.toml": PROJECT, "pylock.toml": ""}, "pylock.toml is not", "the tool that"),
        ({"Pipfile.lock": "{}"}, "Pipfile.lock is not read", "pipenv requirements"),
        ({"pyproject.toml": POETRY}, "[tool.poetry.dependencies] is not", "poetry export"),
        (
            {"pyproject.toml": '[project]\nname = "shop"\ndynamic = ["dependencies"]\n'},
            "are dynamic",
            "requirements.txt",
        ),
        (
            {"pyproject.toml": f'{PROJECT}[tool.uv.sources]\nhttpx = {{ path = "../x" }}\n'},
            "[tool.uv.sources] is not read, and it has httpx",
            "uv export",
        ),
        (
            {"pyproject.toml": PROJECT.replace(">=2.0.0,<3", ">=2.1")},
            "requires ucam-faas>=2.1, but the image has 2.0.0",
            "Change one",
        ),
        (
            {"requirements.txt": "ucam-faas @ git+https://example.org/x.git\n"},
            "the image has its own ucam-faas",
            "Delete that line",
        ),
    ],
)
def test_other_forms_are_refused_with_the_way_out(
    dependencies: ModuleType, tmp_path: Path, files: dict[str, str], why: str, command: str
) -> None:
    in_source = {f"source/{name}": text for name, text in files.items()}

    with pytest.raises(dependencies.Refusal) as refusal:
        find(dependencies, tmp_path, in_source)

    assert why in str(refusal.value)
    assert command in str(refusal.value)
