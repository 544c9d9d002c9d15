"""`SqliteStore` does what every store does, in a file and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job_store_contract import KEY, JobStoreContract, row
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock


class TestInAFile(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, tmp_path: Path) -> Iterator[JobStore]:
        store = SqliteStore(str(tmp_path / "jobs.db"), clock)
        yield store
        store.close()

    def test_another_process_sees_the_rows_and_their_changes(
        self, store: JobStore, clock: ManualClock, tmp_path: Path
    ) -> None:
        other = SqliteStore(str(tmp_path / "jobs.db"), clock)
        while other.changed(0):
            pass

        self.insert(store, row())

        assert other.get(KEY) == store.get(KEY)
        assert other.changed(5)
        other.close()


class TestInMemory(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> Iterator[JobStore]:
        store = SqliteStore(":memory:", clock)
        yield store
        store.close()


def test_a_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "missing" / "jobs.db"), ManualClock())

    with pytest.raises(JobStoreError, match=r"missing/jobs\.db"):
        store.get(KEY)
