"""The service of jobs in this process, on a store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ucam_faas import testing
from ucam_faas.testing import Client, Jobs

SOURCE = "tests.http_jobs.tasks"
collect_ignore = ["tasks.py"]


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with testing.jobs(SOURCE) as jobs:
        yield jobs


@pytest.fixture
def client(jobs: Jobs) -> Client:
    return jobs.client
