"""The job store: named or not, there or not, and of which version."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.doctor.conftest import Make
from ucam_faas.clock import SystemClock
from ucam_faas.doctor import jobs
from ucam_faas.jobs.stores.sqlite import SqliteStore


def test_a_store_that_answers_is_named(around: Make, tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "jobs.db"), SystemClock())) as store:
        store.migrate()

    (finding,) = jobs.look(around(UCAM_FAAS_JOB_STORE="sqlite:jobs.db"))

    assert finding.what == "jobs.db can be used"


def test_a_file_that_is_not_there_yet_is_not_made(around: Make, tmp_path: Path) -> None:
    (finding,) = jobs.look(around(UCAM_FAAS_JOB_STORE="sqlite:jobs.db"))

    assert finding.level == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "what"),
    [("nowhere/jobs.db", "there is no folder "), (".", "it is a folder")],
)
def test_a_file_that_cannot_be_made_is_a_problem(around: Make, path: str, what: str) -> None:
    (problem,) = jobs.look(around(UCAM_FAAS_JOB_STORE=f"sqlite:{path}"))

    assert problem.code == "jobs-silent"
    assert what in problem.what


def test_a_newer_store_is_a_problem(around: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as file:
        file.execute("PRAGMA user_version = 99")

    (problem,) = jobs.look(around(UCAM_FAAS_JOB_STORE="sqlite:jobs.db"))

    assert problem.code == "jobs-silent"
    assert problem.what.startswith("jobs.db can't be used: it is of a newer ucam-faas")


def test_a_database_that_refuses_connections_is_a_problem(around: Make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"

    (problem,) = jobs.look(around(UCAM_FAAS_JOB_STORE=f"postgresql://ada:secret@{address}/jobs"))

    assert problem.code == "jobs-silent"
    assert "secret" not in problem.what


def test_a_database_that_hangs_is_waited_for_so_long(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS", 0.05)
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        address = f"127.0.0.1:{hanging.getsockname()[1]}"

        (problem,) = jobs.look(around(UCAM_FAAS_JOB_STORE=f"postgresql://{address}/jobs"))

    assert "no answer within 0.05 s" in problem.what


def test_a_store_of_no_known_kind_is_a_problem(around: Make) -> None:
    (problem,) = jobs.look(around(UCAM_FAAS_JOB_STORE="redis:x"))

    assert "expected sqlite:PATH" in problem.what
