from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from ucam_faas import testing

from . import main
from .main import Statement, Year, announce, write_statements

YEAR = Year(year=2026, accounts=["ada", "grace", "alan"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATEMENTS_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the statements of each account; the first one of grace fails."""
    counts: Counter[str] = Counter()
    write = main.write_statement

    def flaky(account: str, year: int) -> Statement:
        counts[account] += 1
        if account == "grace" and counts[account] == 1:
            raise OSError("no space left")
        return write(account, year)

    monkeypatch.setattr(main, "write_statement", flaky)
    return counts


def test_statements_are_written_and_announced_a_day_later(
    folder: Path, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(write_statements, announce)
    job = write_statements.send(YEAR)

    jobs.advance(timedelta(hours=23))
    before = jobs.store.find("default", task="announce")
    jobs.advance(timedelta(hours=2))

    assert job.result() == 3
    assert (folder / "2026-ada.txt").read_text() == "Statement of ada for 2026\n"
    assert before == []
    assert len(jobs.store.find("default", task="announce")) == 3


def test_an_attempt_after_a_failure_goes_on_with_the_account_in_flight(
    written: Counter[str], ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(write_statements, announce)
    job = write_statements.send(YEAR)

    jobs.run_all()
    assert job.progress == {"done": 1, "total": 3, "note": "ada"}
    jobs.advance(timedelta(days=2))

    assert job.result() == 3
    assert written == {"ada": 1, "grace": 2, "alan": 1}


@pytest.mark.parametrize("seed", range(3))
def test_a_statement_is_written_and_announced_once_whatever_happens_to_the_jobs(
    written: Counter[str], ucam_faas_jobs: testing.JobsFactory, seed: int
) -> None:
    jobs = ucam_faas_jobs(write_statements, announce, deliveries="hostile", seed=seed)
    job = write_statements.send(YEAR)

    jobs.advance(timedelta(days=2))

    assert job.result() == 3
    assert len(jobs.store.find("default", task="announce")) == 3


def test_an_announcement_names_the_file() -> None:
    text = announce(Statement(account="ada", file="2026-ada.txt"))

    assert text == "To ada: your statement is in 2026-ada.txt."
