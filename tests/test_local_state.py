"""Where a running `ucam-faas dev` is: a file that is whole or not there."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ucam_faas import local_state
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import (
    FOLDER,
    LOCK,
    LocalCloud,
    forget,
    held,
    is_held,
    make_home,
    make_private,
    nearest,
    read,
    write,
)

CLOUD = LocalCloud(pubsub="127.0.0.1:8085", project="local")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, CLOUD)

    assert read(tmp_path) == CLOUD


def test_a_second_one_replaces_the_first_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write(tmp_path, LocalCloud(pubsub="127.0.0.1:1", project="other"))
    write(tmp_path, CLOUD)

    assert read(tmp_path) == CLOUD
    assert sorted(
        [path.name for path in (tmp_path / ".ucam-faas").iterdir() if path.suffix != ".new"]
    ) == [
        ".gitignore",
        "dev.json",
    ]


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(tmp_path: Path) -> None:
    write(tmp_path, CLOUD)

    forget(tmp_path)
    forget(tmp_path)

    assert read(tmp_path) is None


def test_the_nearest_one_is_found_from_a_folder_below(tmp_path: Path) -> None:
    below = tmp_path / "scripts" / "daily"
    below.mkdir(parents=True)
    with held(tmp_path):
        write(tmp_path, CLOUD)

        assert nearest(below) == nearest(tmp_path) == (tmp_path, CLOUD)


def test_the_search_ends_at_the_root_of_a_repository(tmp_path: Path) -> None:
    below = tmp_path / "another"
    (below / ".git").mkdir(parents=True)
    with held(tmp_path):
        write(tmp_path, CLOUD)

        assert nearest(below) is None


def test_one_that_was_killed_is_not_found_though_another_process_has_its_id(
    tmp_path: Path,
) -> None:
    write(tmp_path, replace(CLOUD, process=str(os.getpid())))

    assert nearest(tmp_path) is None


@pytest.mark.parametrize("process", ["1", "", str(2**30)])
def test_one_whose_process_is_not_to_be_seen_is_found(tmp_path: Path, process: str) -> None:
    """It is another user's, or in a container."""
    with held(tmp_path):
        write(tmp_path, replace(CLOUD, process=process))

        assert nearest(tmp_path) is not None


def test_a_newer_version_may_have_written_more(tmp_path: Path) -> None:
    write(tmp_path, CLOUD)
    path = tmp_path / ".ucam-faas/dev.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "from_a_newer_version": "127.0.0.1:8086"})
    )

    assert read(tmp_path) == CLOUD


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"pubsub": "h:1"}', '{"pubsub": 1, "project": "p"}', "\xff"],
)
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".ucam-faas").mkdir()
    (tmp_path / ".ucam-faas/dev.json").write_bytes(text.encode("latin-1"))

    assert read(tmp_path) is None


def test_without_a_folder_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") is None


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Messages may be personal data."""
    write(tmp_path, CLOUD)
    with held(tmp_path):
        home = tmp_path / ".ucam-faas"

        assert home.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}


def test_files_that_were_made_for_all_to_read_become_their_owners_alone(tmp_path: Path) -> None:
    paths = [tmp_path / f"jobs.db{end}" for end in ("", "-wal", "-shm")]
    for path in paths:
        path.touch(mode=0o644)

    make_private(tmp_path / "jobs.db")

    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


def test_a_folder_of_an_earlier_version_becomes_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / ".ucam-faas").mkdir(mode=0o755)

    assert make_home(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_second_one_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    with held(tmp_path):
        write(tmp_path, replace(CLOUD, url="http://127.0.0.1:8080", process="7"))

        with pytest.raises(ConfigurationError) as error, held(tmp_path):
            pass

        assert "process 7" in str(error.value)
        assert "http://127.0.0.1:8080" in str(error.value)
        assert "127.0.0.1:8085" in str(error.value)
        assert read(tmp_path) is not None


def test_the_place_is_free_when_the_first_one_has_ended(tmp_path: Path) -> None:
    with held(tmp_path):
        write(tmp_path, CLOUD)

    with held(tmp_path):
        assert read(tmp_path) is None


def test_it_is_held_while_it_runs_however_many_look(tmp_path: Path) -> None:
    """A look takes a lock, which mustn't be mistaken for that of a local cloud."""
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
    with (tmp_path / FOLDER / LOCK).open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert not is_held(tmp_path)


def test_a_look_keeps_no_local_cloud_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look is over at once; here, when the start has failed for the first time."""
    make_home(tmp_path)
    (tmp_path / FOLDER / LOCK).touch()
    look = (tmp_path / FOLDER / LOCK).open()
    fcntl.flock(look, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda seconds: look.close())

    with held(tmp_path):
        assert is_held(tmp_path)


def test_what_a_killed_one_has_left_is_forgotten(tmp_path: Path) -> None:
    write(tmp_path, CLOUD)

    with held(tmp_path):
        assert read(tmp_path) is None


def test_the_tasks_that_were_served_last_are_read_and_are_their_owners_alone(
    tmp_path: Path,
) -> None:
    assert local_state.read_tasks(tmp_path) == []
    local_state.write_tasks(tmp_path, [{"needs": {"name": "old"}, "schema": None}])

    local_state.write_tasks(tmp_path, [{"needs": {"name": "new"}, "schema": {"type": "object"}}])

    assert local_state.read_tasks(tmp_path) == [
        {"needs": {"name": "new"}, "schema": {"type": "object"}}
    ]
    file = tmp_path / local_state.FOLDER / local_state.TASKS
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "{}", "null"])
def test_a_file_of_tasks_that_cannot_be_read_holds_none(tmp_path: Path, text: str) -> None:
    (local_state.make_home(tmp_path) / local_state.TASKS).write_text(text)

    assert local_state.read_tasks(tmp_path) == []
