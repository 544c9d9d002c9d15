"""docs/tutorial.md works as written: its code is served, and its commands print its output."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .cloud import running

pytestmark = pytest.mark.slow

TUTORIAL = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()
FIRST, SECOND, TESTS = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
PUBLISH = [
    shlex.split(line)[1:] for line in re.findall(r"^ucam-faas publish .*", TUTORIAL, re.MULTILINE)
]
SHOWN = re.findall(r"```text\n(.*?)```", TUTORIAL, re.DOTALL)


def test_its_commands_show_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(FIRST)

    with running(tmp_path) as dev:
        assert dev.run(*PUBLISH[0]).returncode == 0
        dev.wait_shown("done", "welcome", "message 1")
        assert "Welcome, Ada!" in dev.stdout

        refused = dev.run(*PUBLISH[1])
        assert (refused.returncode, refused.stderr) == (2, SHOWN[1])

        (tmp_path / "main.py").write_text(SECOND)
        dev.wait_shown("reload", "main.py")
        assert dev.run(*PUBLISH[2]).returncode == 0
        dev.wait_shown("failed", "message 2", "dead-lettered", "undeliverable address")
        assert dev.shown("dead", "message 2 is now message 3 of welcome-dead-letter")

        assert "0 9 * * MON" in dev.run("schedules").stdout
        assert dev.run("schedules", "run", "remind").returncode == 1
        dev.wait_shown("retry", "message 4, attempt 1 failed, again in 10 s")
        fixed = re.sub(r"raise ConnectionError\(.*\)", 'print("Reminded.")', SECOND)
        (tmp_path / "main.py").write_text(fixed)
        dev.wait_shown("done", "remind", "message 4, attempt 2")
        assert SHOWN[3].splitlines()[-1] in dev.stdout

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    (tmp_path / "test_main.py").write_text(TESTS)
    tests = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in tests.stdout, tests.stdout


@pytest.mark.parametrize("number", [0, 2, 3])
def test_each_line_it_shows_is_one_of_dev(number: int) -> None:
    lines = [line for line in SHOWN[number].splitlines() if line[:1].isdigit()]

    assert lines
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3}  \w+ +\w+  message \d", line) for line in lines)
