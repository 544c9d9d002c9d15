"""The wheel and the sdist, built once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci/dist.py"


@pytest.fixture
def dist(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that builds them, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("dist", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dist", module)
    spec.loader.exec_module(module)
    return module


def run(out: Path, *, umask: int = 0o022, **environment: str) -> str:
    """Build into a folder, with a umask and further variables; return the output."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out)],
        env=os.environ | environment,
        umask=umask,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both; skip where uv can't get what builds them, but not in CI."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    folder = tmp_path_factory.mktemp("built")
    try:
        run(folder)
    except AssertionError as error:
        if "network" in str(error) and os.environ.get("CI") != "true":
            pytest.skip("uv cannot download hatchling: is there a network?")
        raise
    return folder
