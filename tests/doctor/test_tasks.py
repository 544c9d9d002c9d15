"""Tasks: they are there, and can be loaded in a process of their own."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doctor.conftest import Make
from ucam_faas.doctor import packages, tasks
from ucam_faas.local_state import LocalCloud

TASK = "import ucam_faas\n@ucam_faas.message_handler(message_type=None{})\ndef {}(data): ...\n"


def test_without_tasks_there_is_a_warning(around: Make, tmp_path: Path) -> None:
    (warning,) = tasks.look(around())

    assert (warning.code, warning.level) == ("source-missing", "warning")


def test_a_configuration_that_cannot_be_used_is_a_problem(around: Make, tmp_path: Path) -> None:
    (tmp_path / "ucam-faas.toml").write_text("nonsense = 1\n")

    (problem,) = tasks.look(around())

    assert problem.code == "source-broken"
    assert problem.what.startswith("ucam-faas.toml:1 top level: there is no key")


def test_with_wrong_variables_nothing_is_loaded(around: Make, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit")

    (finding,) = tasks.look(replace(around(), is_sound=False))

    assert finding.level == "unused"


@pytest.mark.slow
def test_tasks_are_named_and_not_imported_here(around: Make, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TASK.format("", "welcome"))

    (finding,) = tasks.look(around())

    assert finding.what == "./main.py can be loaded: welcome"
    assert "main" not in sys.modules


@pytest.mark.slow
def test_an_error_of_the_import_is_a_problem(around: Make, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import nothing_of_this_name")

    (problem,) = tasks.look(around())

    assert problem.code == "source-broken"
    assert problem.what.endswith("no module named 'nothing_of_this_name'")
    assert problem.do == "Install it, or check the spelling."
    assert problem.commands == ("ucam-faas tasks ./main.py",)


@pytest.mark.slow
def test_an_import_that_hangs_is_ended(
    around: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text("import time; time.sleep(1000)")
    monkeypatch.setattr(tasks, "LOAD_SECONDS", 0.05)

    (problem,) = tasks.look(around())

    assert problem.what == "Importing the sources took more than 0.05 s, and was stopped"


@pytest.mark.slow
def test_the_tasks_of_a_dev_are_those_that_it_serves(around: Make, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(TASK.format("", "tidy"))
    cloud = LocalCloud(pubsub="127.0.0.1:1", project="local", sources=("other.py",))

    (finding,) = tasks.look(around(cloud=cloud))

    assert finding.what == "other.py can be loaded: tidy"


@pytest.mark.slow
def test_a_task_that_is_pulled_needs_the_extra_worker(
    around: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text(TASK.format(", run_as='worker'", "welcome"))
    monkeypatch.setattr(packages, "missing", lambda extra: ["google-cloud-pubsub"])

    _, problem = tasks.look(around())

    assert problem.code == "extra-missing"
    assert problem.commands == ('pip install "ucam-faas[worker]"',)
