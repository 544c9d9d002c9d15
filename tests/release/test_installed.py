"""The wheel in clean environments, without extras and with each: its commands and a task run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = sorted(PROJECT["optional-dependencies"].keys() - {"dev", "docs"})
BIN = Path(sys.executable).parent

TASK = """
import ucam_faas


@ucam_faas.message_handler
def double(number: int) -> int:
    return 2 * number
"""
RUN = """
from ucam_faas import testing
from main import double

with testing.serve(double) as client:
    answer = client.push("double", 21)
assert (answer.status, answer.text) == (200, "OK"), answer
assert testing.run(double, 21).result == 42
"""
USES = {
    "auth": "from google.auth.transport.requests import Request; Request()",
    "firestore": "from google.auth.transport.requests import AuthorizedSession",
    "postgresql": "from ucam_faas.jobs.stores.postgresql import PostgresqlStore; import psycopg",
    "pubsub": "from ucam_faas.publishing.google import GooglePublisher; GooglePublisher()",
    "storage": "from google.cloud import storage",
    "testing": "from ucam_faas.testing import CloudEventFactory; CloudEventFactory.build()",
    "worker": "from google.cloud import pubsub_v1; import ucam_faas.worker.worker",
}
"""Something that an extra brings. Flask and functions-framework bring what `dashboard` does."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the wheel, and a folder with a task."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the folder, with nothing else of this repository."""
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def check(self, *command: str) -> str:
        """Run a program that must succeed; return its output."""
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def install(wheel: Path, folder: Path, extra: str = "") -> Environment:
    """Make an environment with the wheel and the newest versions of its dependencies."""
    (folder / "main.py").write_text(TASK)
    name = f"ucam-faas[{extra}]" if extra else "ucam-faas"
    uv = [str(BIN / "uv")]
    for arguments in (
        ["venv", "--quiet", f"--python={sys.executable}", "env"],
        ["pip", "install", "--quiet", "--python=env", f"{name} @ {wheel.as_uri()}"],
        ["pip", "check", "--quiet", "--python=env"],
    ):
        done = subprocess.run([*uv, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return Environment(folder / "env/bin", folder)


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment without extras."""
    return install(wheel, tmp_path_factory.mktemp("bare"))


def test_without_extras_commands_and_a_task_run(bare: Environment) -> None:
    assert PROJECT["version"] in bare.check("ucam-faas", "--version")
    assert "double" in bare.check("ucam-faas", "tasks")
    bare.check("python", "-c", RUN)
    bare.check("ucam-faas", "new", "shop")
    assert list((bare.folder / "shop").rglob("test_*.py"))


def test_without_extras_dev_says_which_one_it_needs(bare: Environment) -> None:
    done = bare.run("ucam-faas", "dev")

    assert done.returncode == 2
    assert 'pip install "ucam-faas[local]"' in " ".join(done.stderr.split())


def test_what_an_extra_brings_is_missing_without_it(bare: Environment) -> None:
    assert [use for use in USES.values() if bare.run("python", "-c", use).returncode == 0] == []


def test_type_checkers_read_the_types_of_the_wheel(bare: Environment) -> None:
    (bare.folder / "wrong.py").write_text("from main import double\n\ndouble('x')\n")
    mypy = [BIN / "mypy", f"--python-executable={bare.bin / 'python'}", "wrong.py"]

    done = subprocess.run(mypy, cwd=bare.folder, capture_output=True, text=True, timeout=120)

    assert 'incompatible type "str"; expected "int"' in done.stdout


@pytest.mark.parametrize("extra", EXTRAS)
def test_with_an_extra_they_run_too_and_it_brings_its_library(
    wheel: Path, tmp_path: Path, extra: str
) -> None:
    environment = install(wheel, tmp_path, extra)

    assert "double" in environment.check("ucam-faas", "tasks")
    environment.check("python", "-c", RUN + USES.get(extra, ""))
