"""The layers of an image: one changes with the code, and most are shared by all images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import dockerfile
from .engine import NAME, build, docker
from .test_building import TASK

pytestmark = pytest.mark.slow

PROJECT = '[project]\nname = "shop"\ndependencies = ["ucam-faas>=2.0.0", "sortedcontainers"]\n'


def layers(image: str) -> list[str]:
    """The digests of the contents of an image's layers."""
    layers: list[str] = json.loads(
        docker("image", "inspect", "--format={{json .RootFS.Layers}}", image)
    )
    return layers


def sizes(image: str) -> list[int]:
    """The bytes of the layers, but for the base image's."""
    history = docker("history", "--human=false", "--format={{.Size}} {{.CreatedBy}}", image)
    lines = [line.partition(" ") for line in history.splitlines()]
    return [int(size) for size, _, command in lines if command.startswith(("COPY", "RUN"))][::-1]


@pytest.fixture(scope="module")
def shop(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose dependencies are in pyproject.toml."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "Dockerfile").write_text(dockerfile())
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "main.py").write_text(f"import sortedcontainers\n{TASK}")
    return folder


@pytest.fixture(scope="module")
def built(shop: Path) -> str:
    return build("shop", folder=shop)


def test_a_changed_line_changes_one_small_layer(built: str, shop: Path) -> None:
    """Also where nothing is in the builder's cache, and files were just checked out."""
    code = (shop / "main.py").read_text()
    (shop / "main.py").write_text(code.replace('return "hello"', 'return "good morning"'))
    changed = build("changed", "--no-cache", folder=shop)
    (shop / "main.py").write_text(code)
    (shop / "main.py").chmod(0o664)
    again = build("again", folder=shop)

    assert layers(changed)[:-1] == layers(built)[:-1]
    assert layers(changed)[-1] != layers(built)[-1]
    assert layers(again) == layers(built)
    assert sizes(changed)[-1] < 100_000


def test_all_images_begin_with_the_layers_of_run(built: str) -> None:
    """A registry and a machine have them once: Python, ucam_faas and its dependencies."""
    shared = layers(f"{NAME}:run")

    assert layers(built)[: len(shared)] == shared
    assert len(layers(built)) == len(shared) + 2
    assert sum(sizes(built)[-2:]) < 500_000


def test_labels_are_the_images_own(built: str, shop: Path) -> None:
    """Labels of the base image would be wrong, and none changes a layer."""
    key = "org.opencontainers.image"
    labelled = build("labelled", f"--label={key}.version=1.2", folder=shop)

    def labels(image: str) -> dict[str, str]:
        inspected = docker("image", "inspect", "--format={{json .Config.Labels}}", image)
        labels: dict[str, str] = json.loads(inspected)
        return {name.removeprefix(f"{key}."): text for name, text in labels.items()}

    assert labels(built) == {"title": "tasks", "version": "", "revision": "", "licenses": ""}
    assert labels(labelled) == {**labels(built), "version": "1.2"}
    assert layers(labelled) == layers(built)
