"""A trial of a job of a thousand steps whose processes are killed at random.

Its short form is in `tests/jobs`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.test_killed_steps import killed
from tests.support.postgresql import Server
from ucam_faas.jobs.stores.postgresql import PostgresqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def job_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a store, as UCAM_FAAS_JOB_STORE has it."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/jobs.db"
    server: Server = request.getfixturevalue("postgresql")
    url = server.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    store.close()
    return url


def test_a_thousand_steps_are_done_once_but_for_those_in_flight(
    job_store: str, tmp_path: Path
) -> None:
    kills = killed(job_store, tmp_path, steps=1000, most=50)

    assert kills >= 10
