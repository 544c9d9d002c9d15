"""A `ucam-faas dev` that the tests of jobs share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, running

collect_ignore = ["tasks.py"]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Serves `tasks.py`."""
    folder = tmp_path_factory.mktemp("jobs")
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    with running(folder) as dev:
        yield dev
