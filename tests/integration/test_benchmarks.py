"""The benchmarks say in one line what they lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "benchmarks/container.py"


@pytest.mark.slow
def test_without_docker_the_benchmark_of_containers_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(CONTAINER)]

    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "docker is not on PATH: this needs a Docker engine.\n"
