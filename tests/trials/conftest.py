"""A `ucam-faas dev` that the trials of a file share, and its store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, running
from ucam_faas import local_state
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.stores import JobStore

collect_ignore = ["tasks.py"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Serves `tasks.py`."""
    folder = tmp_path_factory.mktemp("trials")
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    with running(folder) as dev:
        yield dev


@pytest.fixture
def store(dev: Dev) -> Iterator[JobStore]:
    """Return the store of `dev`."""
    cloud = local_state.read(dev.folder)
    assert cloud is not None
    store = store_of(Settings(job_store=cloud.jobs))
    assert store is not None
    yield store
    store.close()
