"""A project of a user's, which has the package installed and nothing else of this repository's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OF_GOOGLE = ("-W", "ignore:You are using a Python version:FutureWarning")
"""Some versions of Google's libraries warn of the years that this Python has left."""

PROJECT = """
import os

import pytest
import ucam_faas


sent = []


@ucam_faas.message_handler(message_type=None)
def welcome(data):
    sent.append(data)


def test_a_client(ucam_faas_client):
    assert ucam_faas_client(welcome).push("welcome", b"ada").status == 200


def test_a_pubsub(ucam_faas_pubsub):
    ucam_faas_pubsub.create_subscription("orders")
    ucam_faas_pubsub.publish("orders", b"x")
    assert os.environ["PUBSUB_EMULATOR_HOST"] == ucam_faas_pubsub.host
    assert [message.data for message in ucam_faas_pubsub.pull("orders")] == [b"x"]


def test_the_environment_is_as_it_was():
    assert os.environ["PUBSUB_EMULATOR_HOST"] == "of-the-user:1"
    assert "GOOGLE_CLOUD_PROJECT" not in os.environ


def test_a_local_cloud(ucam_faas_local):
    sent.clear()
    local = ucam_faas_local(welcome)
    local.publish(welcome, b"ada")
    local.wait_idle()
    assert sent == [b"ada"]


@pytest.mark.parametrize("seed", [7])
def test_hostile(ucam_faas_local, seed):
    sent.clear()
    local = ucam_faas_local(welcome, deliveries="hostile", seed=seed)
    local.publish(welcome, b"ada")
    local.wait_idle()
    assert sent == [b"ada"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_tasks.py").write_text(PROJECT)
    return tmp_path


def start(project: Path, *options: str) -> subprocess.Popen[str]:
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTEST_", "GOOGLE_CLOUD", "COV_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options],
        cwd=project,
        env={**environment, "PUBSUB_EMULATOR_HOST": "of-the-user:1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_plugin_brings_the_fixtures(project: Path) -> None:
    """Warnings are errors for many; and in any order each test finds its world as it should be."""
    run = start(project, "-W", "error", *OF_GOOGLE, "-k", "not hostile")

    output, _ = run.communicate(timeout=60)

    assert "4 passed" in output, output
    assert run.returncode == 0


def test_processes_that_test_at_the_same_time_do_not_disturb_each_other(project: Path) -> None:
    """As pytest-xdist does."""
    runs = [start(project, "-k", "not hostile") for _ in range(3)]

    outputs = [run.communicate(timeout=120)[0] for run in runs]

    assert all("4 passed" in output for output in outputs), outputs


def test_a_failure_with_hostile_deliveries_says_what_was_done_and_with_which_seed(
    project: Path,
) -> None:
    output, _ = start(project, "-k", "hostile").communicate(timeout=60)

    assert "deliveries='hostile', seed=7" in output
    assert re.search(r"^welcome, message 1: \d at once \(attempt 1\): 200, 200", output, re.M)
    assert "1 failed" in output


def test_an_extra_that_is_missing_is_named(project: Path) -> None:
    (project / "conftest.py").write_text("import sys\nsys.modules['cryptography'] = None\n")

    output, _ = start(project, "-k", "client or pubsub").communicate(timeout=60)

    assert 'pip install "ucam-faas[local]"' in output
    assert "1 passed" in output
    assert "1 error" in output


def test_the_fixtures_are_listed_with_what_they_do(project: Path) -> None:
    output, _ = start(project, "--fixtures", "-k", "none").communicate(timeout=60)

    for name in ("client", "publisher", "clock", "pubsub", "local"):
        assert re.search(rf"^ucam_faas_{name} -- .*\n    \w+", output, re.M), output
    assert "_ucam_faas_emulator" not in output


READS = """
import os

AT_IMPORT = os.environ.get("API_KEY")


def test_the_variables():
    assert (AT_IMPORT, os.environ["API_KEY"]) == ("file", "file")
    assert os.environ["PUBSUB_EMULATOR_HOST"] == "of-the-user:1"
"""


def test_the_variables_of_the_env_file_are_there_before_the_code_is_imported(
    project: Path,
) -> None:
    """The shell's variables win; the file is beside pytest's configuration."""
    (project / "pytest.ini").touch()
    (project / ".env").write_text("API_KEY=file\nPUBSUB_EMULATOR_HOST=file:1\n")
    (project / "inside").mkdir()
    (project / "inside/test_variables.py").write_text(READS)

    output, _ = start(project, "-v", "inside").communicate(timeout=60)

    assert "1 passed" in output, output
    assert "ucam_faas: API_KEY from .env\n" in output
    assert "file:1" not in output


def test_the_env_file_of_tests_can_be_another_or_none(project: Path) -> None:
    (project / "test_tasks.py").write_text(READS)
    (project / "test.env").write_text("API_KEY=file\n")
    (project / ".env").write_text("API_KEY=other\n")

    another, _ = start(project, "-o", "ucam_faas_env_file=test.env").communicate(timeout=60)
    none, _ = start(project, "-o", "ucam_faas_env_file=").communicate(timeout=60)

    assert "1 passed" in another, another
    assert "KeyError: 'API_KEY'" in none or "(None, " in none


def test_an_env_file_that_is_named_and_missing_is_told(project: Path) -> None:
    output, _ = start(project, "-v", "-o", "ucam_faas_env_file=tset.env").communicate(timeout=60)

    assert "ucam_faas: tset.env isn't read: there is no such file" in output


def test_a_line_of_the_env_file_that_is_no_variable_ends_the_run(project: Path) -> None:
    (project / ".env").write_text("API_KEY='secret\n")

    run = start(project)
    output, _ = run.communicate(timeout=60)

    assert run.returncode == 4
    assert ".env, line 1: expected NAME=VALUE" in output
    assert "secret" not in output


def test_tests_go_on_where_the_env_file_cannot_be_read_for_want_of_the_extra(project: Path) -> None:
    """It may be another tool's."""
    (project / ".env").write_text("API_KEY=file\n")
    (project / "early.py").write_text("import sys\nsys.modules['dotenv'] = None\n")

    output, _ = start(project, "-p", "early", "-v", "-k", "client").communicate(timeout=60)

    assert "1 passed" in output, output
    assert ".env isn't read: dotenv is needed to read" in output
