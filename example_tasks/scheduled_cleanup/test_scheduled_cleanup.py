from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ucam_faas import testing
from ucam_faas.local_testing import EmbeddedCloud

from .main import remove_old_exports, remove_older


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a new file, an old one, and an old folder."""
    monkeypatch.setenv("CLEANUP_DIRECTORY", str(tmp_path))
    long_ago = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    (tmp_path / "new.csv").touch()
    (tmp_path / "old.csv").touch()
    (tmp_path / "folder").mkdir()
    for name in ("old.csv", "folder"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    return tmp_path


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_only_old_files_are_removed(exports: Path) -> None:
    assert remove_old_exports(b"") == {"removed": 1, "dry_run": False}

    assert names(exports) == {"new.csv", "folder"}


def test_a_second_run_finds_nothing_to_do(exports: Path) -> None:
    remove_old_exports(b"")

    assert remove_old_exports(b"") == {"removed": 0, "dry_run": False}


def test_a_dry_run_removes_nothing(exports: Path) -> None:
    assert remove_old_exports(b"dry run") == {"removed": 1, "dry_run": True}

    assert "old.csv" in names(exports)


def test_the_age_is_configurable(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANUP_DAYS", "32")

    assert remove_old_exports(b"") == {"removed": 0, "dry_run": False}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert remove_older(tmp_path / "none", datetime.now(UTC)) == 0


def test_a_run_completes(exports: Path) -> None:
    assert testing.run(remove_old_exports).execution.status == "COMPLETED"


def test_the_scheduler_is_told_what_was_done(
    exports: Path, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(remove_old_exports)

    response = client.post("/remove_old_exports", headers={"X-CloudScheduler-JobName": "clean-up"})

    assert response.status == 200
    assert response.json() == {"removed": 1, "dry_run": False}


@pytest.mark.slow
def test_it_runs_every_night_at_three_in_london(
    exports: Path, ucam_faas_local: Callable[..., EmbeddedCloud]
) -> None:
    local = ucam_faas_local(remove_old_exports)

    local.advance(timedelta(days=1))

    assert [execution.task for execution in local.executions] == ["remove_old_exports"]
    assert "old.csv" not in names(exports)


def test_a_body_that_is_not_understood_removes_nothing(
    exports: Path, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(remove_old_exports)

    response = client.post("/remove_old_exports", body="dry-run")

    assert response.status == 400
    assert "old.csv" in names(exports)
