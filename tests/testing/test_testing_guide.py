"""The examples of docs/testing.md run as they stand, and do what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/testing.md").read_text()
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXAMPLES = PYTHON.findall(GUIDE)
TUTORIAL = PYTHON.findall((ROOT / "docs/tutorial.md").read_text())[1]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """pytest's report on the examples, each in its own file, beside the tutorial's."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "main.py").write_text(TUTORIAL)
    for number, example in enumerate(EXAMPLES, 1):
        (folder / f"test_example_{number}.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_the_examples_do_what_the_guide_says(output: str) -> None:
    names = re.findall(r"^def (test_\w+)", "\n".join(EXAMPLES), re.MULTILINE)
    failed = re.findall(r"^FAILED \S+::(\w+)", output, re.MULTILINE)

    assert failed == ["test_score_with_hostile_deliveries"], output
    assert f"{len(names) - 1} passed" in output
    assert '{"ada": 4}' in EXAMPLES[-1]
    assert "{'ada': 4}" in output


def test_the_guide_shows_what_pytest_shows(output: str) -> None:
    (shown,) = re.findall(r"```text\n(-+ ucam_faas.*?)```", GUIDE, re.DOTALL)

    assert shown in output
