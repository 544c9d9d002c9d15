"""Builds that fail, and say why: of code that can't be imported, and of locked dependencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import dockerfile
from .engine import DockerError, build, run_python
from .test_building import TASK

pytestmark = pytest.mark.slow

NEEDS_URL = f'import os\n\nURL = os.environ["DATABASE_URL"]\n{TASK}'
CONNECTS = "from google.cloud import storage\n\nstorage.Client()\n"
WRITES = f'from pathlib import Path\n\nPath("/srv/app/state").write_text("")\n{TASK}'


def project(folder: Path, **files: str) -> Path:
    (folder / "Dockerfile").write_text(dockerfile())
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("code", "line", "hint"),
    [
        (NEEDS_URL, "KeyError: 'DATABASE_URL'", "--build-arg CHECK_ENV='DATABASE_URL="),
        ("import sortedcontainers", "No module named 'sortedcontainers'", "into requirements.txt"),
        (CONNECTS, "DefaultCredentialsError", "ucam_faas.Defer"),
        # As the user of the container, who may not write.
        (WRITES, "PermissionError: [Errno 13]", ""),
        ("", "no task", ""),
    ],
)
def test_code_that_cannot_be_imported_fails_the_build(
    bases: None, tmp_path: Path, code: str, line: str, hint: str
) -> None:
    project(tmp_path, main_py=code)

    with pytest.raises(DockerError) as refusal:
        build("refused", folder=tmp_path)

    text = str(refusal.value)
    assert line.lower() in text.lower()
    assert hint in text
    if code:
        assert "Traceback (most recent call last)" in text
        assert 'File "/srv/app/main.py", line' in text


@pytest.mark.parametrize(
    "option", ["CHECK_ENV=A=1 DATABASE_URL='postgresql://nowhere/a b'", "CHECK=no"]
)
def test_made_up_variables_are_for_the_build_alone(
    bases: None, tmp_path: Path, option: str
) -> None:
    project(tmp_path, main_py=NEEDS_URL)

    image = build("variables", f"--build-arg={option}", folder=tmp_path)

    assert run_python(image, "import os; print('DATABASE_URL' in os.environ)") == "False"


def test_a_lock_that_is_not_installed_is_refused_aloud(bases: None, tmp_path: Path) -> None:
    pyproject = '[project]\nname = "shop"\ndependencies = ["httpx"]\n'
    project(tmp_path, main_py=TASK, pyproject_toml=pyproject, uv_lock="version = 1\n")

    with pytest.raises(DockerError) as refusal:
        build("refused", folder=tmp_path)

    assert "uv.lock is not read" in str(refusal.value)
    assert "uv export --frozen" in str(refusal.value)
