"""Concurrent callers get one complete copy, made once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from . import cache
from .fixtures import unavailable


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_another_session_waits_until_it_is_made_and_does_not_make_it_again(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        [lock] = tmp_path.rglob("*.lock")
        with lock.open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    first, second = cache.made("libraries", make), cache.made("libraries", make)

    assert first == second
    assert len(made) == 1


def test_a_failed_attempt_is_repeated_the_next_time(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise cache.InstallError("no network")

    with pytest.raises(cache.InstallError):
        cache.made("libraries", fail)
    folder = cache.made("libraries", lambda folder: (folder / "whole").touch())

    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_a_missing_tool_skips_and_in_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="no terraform"):
        unavailable("no terraform")

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no terraform"):
        unavailable("no terraform")
