"""A `ucam-faas dev` that the tests of jobs share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, running
from tests.support.postgresql import Server
from ucam_faas.jobs.stores.postgresql import PostgresqlStore

collect_ignore = ["tasks.py"]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Serves `tasks.py`."""
    folder = tmp_path_factory.mktemp("jobs")
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    with running(folder) as dev:
        yield dev


@pytest.fixture(scope="session")
def database(postgresql: Server) -> str:
    """Return the URL of a PostgreSQL database with the table of jobs."""
    return _migrated(postgresql)


@pytest.fixture(params=["sqlite", "postgresql"])
def job_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty store that processes share, as UCAM_FAAS_JOB_STORE has it."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/jobs.db"
    return _migrated(request.getfixturevalue("postgresql"))


def _migrated(server: Server) -> str:
    url = server.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    store.close()
    return url
