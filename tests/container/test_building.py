"""Building a collection's image."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .conftest import COLLECTION, dockerfile
from .engine import ROOT, DockerError, build, run_python, serve

pytestmark = pytest.mark.slow

TASK = """
import ucam_faas


@ucam_faas.raw_event
def hello(body: bytes) -> str:
    return "hello"
"""


def test_the_guides_dockerfile_has_four_lines() -> None:
    assert len(dockerfile().splitlines()) == 4


def test_without_tasks_the_folder_itself_is_the_collection(bases: None, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile())
    (tmp_path / "main.py").write_text(TASK)

    image = build("plain", folder=tmp_path)

    with serve(image) as container:
        assert container.post("/hello", b"").body == b"hello"


def test_a_copy_of_the_repository_builds_any_folder_in_it(engine: None, tmp_path: Path) -> None:
    """`docker build --build-arg TASKS=my_tasks .` with this repository's own Dockerfile."""
    for name in ("Dockerfile", ".dockerignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("ucam_faas", ".ci/locks", ".ci/image"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=without)
    shutil.copytree(COLLECTION / "orders", tmp_path / "deep/my_tasks")

    image = build("copy", "--build-arg=TASKS=deep/my_tasks", folder=tmp_path)

    with serve(image, "--env=FUNCTION_TARGET=greet") as container:
        assert container.post("/", b"Ada").body == b"Good morning, stranger: Ada"


def test_without_workers_the_image_has_no_grpc(image: str) -> None:
    script = "import importlib.util as u; print(u.find_spec('grpc'), u.find_spec('google.cloud'))"

    grpc, google = run_python(image, script).split(maxsplit=1)

    assert grpc == "None"
    assert google != "None"


def test_requirements_of_the_collection_are_installed(image: str) -> None:
    script = "import sortedcontainers; print(sortedcontainers.__version__)"

    assert run_python(image, script) == "2.4.0"


def test_a_projects_own_version_comes_before_ours(image: str) -> None:
    script = "import idna; print(idna.__version__, idna.__file__)"

    version, file = run_python(image, script).split()

    assert version == "3.10"
    assert file.startswith("/srv/venv/")


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("werkzeug<3", r"flask \S+ has requirement werkzeug>=\S+, but you have werkzeug 2"),
        (f"sortedcontainers==2.4.0 --hash=sha256:{'0' * 64}", r"DO NOT MATCH THE HASHES"),
        ("ucam-faas==1.0.3", r"requirements.txt installs another ucam-faas than the image has"),
    ],
)
def test_requirements_that_break_something_fail_the_build(
    bases: None, tmp_path: Path, requirement: str, why: str
) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile())
    (tmp_path / "main.py").write_text(TASK)
    (tmp_path / "requirements.txt").write_text(f"{requirement}\n")

    with pytest.raises(DockerError) as refusal:
        build("broken", folder=tmp_path)

    assert re.search(why, str(refusal.value))
