"""The folder `.ucam-faas/`: rights, what a killed `dev` left, damaged and newer files."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from tests.doctor.conftest import Make
from ucam_faas import local_state
from ucam_faas.clock import SystemClock
from ucam_faas.doctor import state
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage
from ucam_faas.history import database
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.local_state import LocalCloud


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder, with the files that `ucam-faas dev` leaves."""
    home = local_state.make_home(tmp_path)
    SqliteStorage(home / state.STATE_FILE).close()
    with closing(SqliteStore(str(home / state.JOBS), SystemClock())) as store:
        store.migrate()
    database.open_for_writing(home / database.FILE).close()
    return home


def test_a_folder_that_dev_left_is_in_order(around: Make, home: Path) -> None:
    (finding,) = state.look(around())

    assert finding.what.startswith(".ucam-faas/ is yours alone; its files take 0.")


def test_looking_changes_no_file(around: Make, home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.iterdir()}

    list(state.look(around()))

    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_without_a_folder_nothing_is_wrong(around: Make) -> None:
    (finding,) = state.look(around())

    assert finding.level == "unused"


def test_the_file_of_a_killed_dev_is_stale_even_if_its_process_id_lives(
    around: Make, home: Path, tmp_path: Path
) -> None:
    cloud = LocalCloud(pubsub="127.0.0.1:8085", project="local", process=str(os.getpid()))
    local_state.write(tmp_path, cloud)

    (warning,) = state.look(around())

    assert warning.code == "state-stale"
    assert warning.commands == ("rm .ucam-faas/dev.json",)


def test_the_file_of_a_dev_that_runs_is_not_stale(around: Make, home: Path, tmp_path: Path) -> None:
    with local_state.held(tmp_path):
        local_state.write(tmp_path, LocalCloud(pubsub="127.0.0.1:8085", project="local"))

        (finding,) = state.look(around())

    assert not finding.code


def test_a_folder_that_others_can_read_is_a_warning(around: Make, home: Path) -> None:
    home.chmod(0o755)

    (warning,) = state.look(around())

    assert warning.code == "state-readable"
    assert warning.commands == ("chmod -R go= .ucam-faas",)


def test_a_folder_of_another_user_is_a_problem(
    around: Make, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)

    (problem,) = state.look(around())

    assert problem.code == "state-not-writable"
    assert problem.commands == ("sudo chown -R $(id -u):$(id -g) .ucam-faas",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_problem(around: Make, home: Path) -> None:
    home.chmod(0o500)

    (problem,) = state.look(around())

    assert problem.code == "state-not-writable"


def test_a_file_in_the_place_of_the_folder_is_a_problem(around: Make, tmp_path: Path) -> None:
    (tmp_path / ".ucam-faas").touch()

    (problem,) = state.look(around())

    assert problem.code == "state-not-writable"


@pytest.mark.parametrize("name", state.VERSIONS)
def test_a_damaged_file_is_a_problem_with_what_its_loss_costs(
    around: Make, home: Path, name: str
) -> None:
    (home / name).write_bytes(b"no database" * 1000)

    (problem,) = state.look(around())

    assert problem.code == "state-broken"
    assert problem.commands == (f"rm .ucam-faas/{name}*",)
    assert problem.do.startswith("Delete it, which loses the ")


@pytest.mark.parametrize("name", state.VERSIONS)
def test_a_file_of_a_newer_version_is_a_problem(around: Make, home: Path, name: str) -> None:
    with closing(sqlite3.connect(home / name)) as file:
        file.execute("PRAGMA user_version = 99")

    (problem,) = state.look(around())

    assert problem.code == "state-broken"
    assert "it is of a newer ucam-faas (version 99; this one knows " in problem.what
    assert problem.do.endswith(", or install the version that made it.")


def test_a_full_disk_is_a_warning(
    around: Make, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 7_000_000))

    (warning,) = state.look(around())

    assert warning.code == "disk-full"
    assert warning.what == "7 MB are free for .ucam-faas/"
