"""A `ucam-faas dev` that the trials of a file share, and its store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, running
from tests.support.firestore import Firestore
from tests.support.postgresql import Server
from ucam_faas import local_state
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore

STORE = os.environ.get("TRIALS_STORE")
collect_ignore = ["tasks.py", "worker_tasks.py"]


@pytest.fixture(scope="module")
def dev(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Serves `tasks.py`; its jobs are in the store of `make trials STORE=…`, or in SQLite."""
    folder, environ = tmp_path_factory.mktemp("trials"), {}
    if STORE == "firestore":
        firestore: Firestore = request.getfixturevalue("firestore")
        environ = {
            "UCAM_FAAS_JOB_STORE": f"firestore:{firestore.new_project()}",
            "FIRESTORE_EMULATOR_HOST": firestore.host,
        }
    elif STORE == "postgresql":
        environ = {"UCAM_FAAS_JOB_STORE": _database(request)}
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    with running(folder, **environ) as dev:
        yield dev


@pytest.fixture
def store(dev: Dev) -> Iterator[JobStore]:
    """Return the store of `dev`."""
    cloud = local_state.read(dev.folder)
    assert cloud is not None
    store = store_of(Settings(job_store=cloud.jobs, firestore_emulator=cloud.firestore or None))
    assert store is not None
    yield store
    store.close()


@pytest.fixture
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a new store for workers, as UCAM_FAAS_JOB_STORE has it."""
    return _database(request) if STORE == "postgresql" else f"sqlite:{tmp_path}/jobs.db"


def _database(request: pytest.FixtureRequest) -> str:
    server: Server = request.getfixturevalue("postgresql")
    url = server.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    store.close()
    return url
