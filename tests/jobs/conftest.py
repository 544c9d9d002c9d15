"""A `ucam-faas dev` that the tests of jobs share."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.dev.cloud import Dev, running
from tests.jobs import callers
from tests.jobs.runs import FaultyStore
from tests.support.firestore import Firestore
from tests.support.postgresql import Server
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.job_runs import current_job
from ucam_faas.jobs import transactions
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.sending import children
from ucam_faas.sending.sender import sender
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock

collect_ignore = ["tasks.py"]


SERVERS = {"firestore", "postgresql"}
"""Fixtures, and parameters of others, that start a server."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test slow that needs a server: it takes seconds to start."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder) and isinstance(item, pytest.Function):
            parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
            names = {each for each in parameters if isinstance(each, str)}
            stores = {callers.KINDS.get(name, (name,))[0] for name in names}
            if SERVERS & {*item.fixturenames, *stores}:
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Iterator[FaultyStore]:
    """Return a store in memory, for runs in this process; other files have others."""
    store = FaultyStore(clock)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def dev(request: pytest.FixtureRequest) -> Dev:
    """Serves `tasks.py`, with its own store and with a PostgreSQL database."""
    dev: Dev = request.getfixturevalue(f"dev_on_{request.param}")
    return dev


# A session's fixture with parameters would start again each time that the parameter changes.
@pytest.fixture(scope="session")
def dev_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Serves `tasks.py`, with its own store."""
    with _serving_tasks(tmp_path_factory) as dev:
        yield dev


@pytest.fixture(scope="session")
def dev_on_postgresql(
    postgresql: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dev]:
    """Serves `tasks.py`, with a PostgreSQL database."""
    with _serving_tasks(tmp_path_factory, UCAM_FAAS_JOB_STORE=_migrated(postgresql)) as dev:
        yield dev


@pytest.fixture
def shop(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the tasks, in the directory of `dev` and without any setting."""
    for variable in ("PUBSUB_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(dev.folder)
    spec = importlib.util.spec_from_file_location("shop", dev.folder / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop", module)
    spec.loader.exec_module(module)
    yield module
    store = sender().jobs()
    if store is not None:
        store.close()


@pytest.fixture(scope="session")
def _shared_database(postgresql: Server) -> str:
    return _migrated(postgresql)


@pytest.fixture
def database(_shared_database: str) -> str:
    """Return the URL of a PostgreSQL database that has an empty table of jobs, and no other."""
    with psycopg.connect(_shared_database, autocommit=True) as connection:
        connection.execute("TRUNCATE ucam_faas_jobs CASCADE; DROP TABLE IF EXISTS orders")
    return _shared_database


@pytest.fixture(params=["sqlite", "postgresql", "firestore"])
def job_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return an empty store that processes share, as UCAM_FAAS_JOB_STORE has it."""
    if request.param == "memory":  # only if a test asks for it
        return "sqlite::memory:"
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/jobs.db"
    if request.param == "firestore":
        firestore: Firestore = request.getfixturevalue("firestore")
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.host)
        return f"firestore:{firestore.new_project()}"
    return _migrated(request.getfixturevalue("postgresql"))


@pytest.fixture
def opened_store(job_store: str) -> Iterator[JobStore]:
    """Return that store, as this process sees it."""
    store = runtime.store_of(Settings.from_environ(job_store=job_store))
    assert store is not None
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def new_database(postgresql: Server) -> Callable[[], str]:
    """Return a maker of URLs of PostgreSQL databases, each with an empty table of jobs."""
    return lambda: _migrated(postgresql)


def _serving_tasks(
    tmp_path_factory: pytest.TempPathFactory, **environ: str
) -> AbstractContextManager[Dev]:
    folder = tmp_path_factory.mktemp("jobs")
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    return running(folder, **environ)


def _migrated(server: Server) -> str:
    url = server.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    store.close()
    return url


@pytest.fixture
def own_contexts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what a test sets."""
    monkeypatch.setattr(registry, "_TASKS", {})
    variables: list[Any] = [runtime.CURRENT, children.PARENT, current_job.CURRENT_JOB]
    variables.append(transactions.CURRENT)
    tokens = [variable.set(None) for variable in variables]
    yield
    for variable, token in zip(variables, tokens, strict=True):
        variable.reset(token)


@pytest.fixture(params=callers.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the store's database, as UCAM_FAAS_JOB_STORE has it."""
    return str(request.getfixturevalue(f"{callers.KINDS[kind][0]}_url"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/jobs.db"


@pytest.fixture
def postgresql_url(database: str) -> str:
    return database


@pytest.fixture
def till(kind: str, url: str, own_contexts: None) -> Iterator[callers.Till]:
    """A process with a store, whose database has orders; for each kind of connection to it."""
    till = callers.Till(url, kind)
    yield till
    till.store.close()
