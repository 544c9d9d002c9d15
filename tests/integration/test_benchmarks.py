"""The benchmarks name a missing tool in one line, and hold together."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import postgresql

CONTAINER = Path(__file__).parents[2] / "benchmarks/container.py"


@pytest.mark.slow
def test_without_docker_the_benchmark_of_containers_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(CONTAINER)]

    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "docker is not on PATH: this needs a Docker engine.\n"


@pytest.fixture(scope="module")
def imported() -> Iterator[ModuleType]:
    """Import the guard, and forget it and its neighbours: one of them has the name `jobs`."""
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CONTAINER.parent))
        module = importlib.import_module("guard")
    yield module
    for name in sys.modules.keys() - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(CONTAINER.parent):
            del sys.modules[name]


@pytest.mark.slow
def test_ours_is_measured_by_push(imported: ModuleType) -> None:
    figures = imported.jobs.measure("ours-sqlite", 100, latency=False)

    assert set(figures) == {"send_per_s", "send_many_per_s", "drain_per_s"}


def test_without_postgresql_a_benchmark_says_so(
    imported: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "find_binaries", lambda: None)

    with (
        pytest.raises(SystemExit, match=r"PostgreSQL \(initdb, pg_ctl\) isn't installed: apt-get"),
        imported.jobs.postgresql_server(),
    ):
        pass


@pytest.fixture
def guard(imported: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(imported, "GROUPS", dict(imported.GROUPS))
    return imported


def test_the_guard_passes_a_ratio_that_recovers(guard: ModuleType) -> None:
    """Two retries: a machine is slow for a moment."""
    measured = iter([{"row": 1.0}, {"row": 1.1}, {"row": 6.0}])
    guard.GROUPS["serving"] = lambda: next(measured)

    assert guard.guard(["serving"], {"row": 10.0}) == []


def test_the_guard_fails_a_ratio_that_stays_below_its_floor(guard: ModuleType) -> None:
    measured = iter([{"row": 5.9}, {"row": 1.0}, {"row": 5.8}, {"row": 10.0}])
    guard.GROUPS["serving"] = lambda: next(measured)

    assert guard.guard(["serving"], {"row": 10.0}) == ["row"]


def test_the_guard_fails_a_row_that_is_no_longer_measured(guard: ModuleType) -> None:
    guard.GROUPS["serving"] = lambda: {"serving, requests/s": 1.0}
    known = {"serving, requests/s": 1.0, "serving, start": 1.0, "local Pub/Sub, push": 1.0}

    assert guard.guard(["serving"], known) == ["serving, start"]


@pytest.mark.parametrize("ci", [True, False])
def test_the_guard_skips_what_lacks_a_tool_but_not_in_ci(
    guard: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: bool
) -> None:
    def lacking() -> dict[str, float]:
        raise SystemExit("wrk is needed: apt-get install wrk")

    monkeypatch.setenv("CI", str(ci).lower())
    guard.GROUPS["serving"] = lacking

    if ci:
        with pytest.raises(SystemExit):
            guard.guard(["serving"], {"row": 1.0})
    else:
        assert guard.guard(["serving"], {"row": 1.0}) == []
        assert capsys.readouterr().out == "serving: skipped: wrk is needed: apt-get install wrk\n"


def test_there_is_a_record_to_guard(guard: ModuleType) -> None:
    known = guard.recorded()

    assert len(known) > 15
    assert min(known.values()) > 0
