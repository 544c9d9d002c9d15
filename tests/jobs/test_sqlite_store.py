"""`SqliteStore` does what every store does, in a file and in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.job_store_contract import KEY, JobStoreContract, row
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock

OTHER = Key("app", "charge", "other")


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


def test_a_read_does_not_wait_for_a_write_of_another_process(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")
    store = SqliteStore(path, ManualClock())
    store.insert([row()], wait=[0.0])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    kept = store.get(KEY)

    assert kept is not None
    assert kept.state is State.PENDING
    writer.close()
    store.close()


def test_a_full_disk_loses_the_write_that_needed_it_alone(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "jobs.db"), ManualClock())
    store.insert([row()], wait=[0.0])
    with store._open() as connection:
        connection.execute("PRAGMA max_page_count=1")  # no more than there are

    with pytest.raises(JobStoreError, match="full"):
        store.insert([row(OTHER, payload=b"x" * 1_000_000)], wait=[0.0])
    with store._open() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
    store.insert([row(OTHER)], wait=[0.0])

    assert store.get(KEY) is not None
    assert store.get(OTHER) is not None
    store.close()
