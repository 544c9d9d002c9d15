"""`SqliteStore` does what every store does, in a file and in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from tests.contract.job_store_contract import KEY, JobStoreContract, row
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SCHEMA, SqliteStore
from ucam_faas.jobs.stores.statements import statements
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


FIRST_TABLE = """
CREATE TABLE ucam_faas_jobs (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL,
  payload BLOB NOT NULL, attributes TEXT NOT NULL, ordering_key TEXT NOT NULL,
  options TEXT NOT NULL, source TEXT NOT NULL, owner TEXT NOT NULL,
  state TEXT NOT NULL,
  created REAL NOT NULL, due REAL NOT NULL, expires REAL, visit REAL NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  interruptions INTEGER NOT NULL DEFAULT 0, lease REAL,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  result BLOB, error TEXT, progress TEXT, history TEXT NOT NULL,
  PRIMARY KEY (app, task, id)
);
CREATE INDEX ucam_faas_jobs_visit ON ucam_faas_jobs (visit);
INSERT INTO ucam_faas_jobs VALUES (
  'app', 'charge', '1', '{}', '{}', '', '{}', '', '', 'PENDING', 0, 0, NULL, 60, 0, 0, 0, NULL, 0,
  NULL, NULL, NULL, '[]'
);
"""
"""The table of before it had a version, with a job."""


def test_a_file_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")
    sqlite3.connect(path).executescript(FIRST_TABLE).connection.close()
    stores = [SqliteStore(path, ManualClock()) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda store: store.get(KEY), stores))
    claimed = stores[0].claim(KEY, lease=30, instance="here")
    new = stores[1].insert([row(OTHER, unique="a")], wait=[0])

    assert [kept and kept.state for kept in rows] == [State.PENDING] * 8
    assert claimed is not None
    assert stores[2].put_step(KEY, "a", b"1", fence=claimed.fence) is False
    assert stores[0].delete(KEY, states=frozenset(State))
    assert stores[1].steps(KEY) == []
    assert new == [stores[2].get(OTHER)]
    assert columns_of(path) == columns_of(str(tmp_path / "new.db"))
    for store in stores:
        store.close()


def columns_of(path: str) -> set[str]:
    """Return the names of the columns of a file's table, which is made if it is missing."""
    store = SqliteStore(path, ManualClock())
    with store._open() as connection:
        records = connection.execute("PRAGMA table_info(ucam_faas_jobs)").fetchall()
    store.close()
    return {record["name"] for record in records}


def test_a_change_of_the_schema_has_a_version_of_its_own() -> None:
    schema = sha256(statements("sqlite.sql")["schema"].encode()).hexdigest()[:8]

    assert (SCHEMA, schema) == (9, "edb4ae6b"), "raise SCHEMA, and write both here"


def test_a_file_of_a_later_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")
    sqlite3.connect(path).execute("PRAGMA user_version = 10").connection.close()
    store = SqliteStore(path, ManualClock())

    with pytest.raises(JobStoreError, match=r"newer ucam-faas .* \(version 10 .*--reset"):
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


def test_the_live_members_of_a_batch_are_looked_up_among_live_ones(store: SqliteStore) -> None:
    """Otherwise each end of a member would pass those that have ended before."""
    values = {"app": "app", "batch": "sum/1"}
    with store._open() as connection:
        query = f"EXPLAIN QUERY PLAN {store._sql['has_live_members']}"
        (step,) = connection.execute(query, values).fetchall()

    assert "INDEX ucam_faas_jobs_live_members (app=? AND batch=?)" in step["detail"]


def test_the_children_of_a_job_are_read_from_their_index(store: SqliteStore) -> None:
    values = {"app": "app", "parent": "order/1", "task": "", "id": "", "limit": 10}
    with store._open() as connection:
        query = f"EXPLAIN QUERY PLAN {store._sql['children']}"
        (step,) = connection.execute(query, values).fetchall()

    assert "INDEX ucam_faas_jobs_parent (app=? AND parent=? AND (task,id)>(?,?))" in step["detail"]


def test_the_jobs_that_failed_are_looked_up_among_these(store: SqliteStore) -> None:
    """Otherwise the first page of a dashboard would pass all that succeeded."""
    values = dict.fromkeys(("task", "since", "until", "after", "after_id", "after_task"))
    with store._open() as connection:
        query = f"EXPLAIN QUERY PLAN {store._sql['find_unsuccessful']}"
        plan = connection.execute(query, {"app": "app", "states": "[]", "limit": 9, **values})
        steps = [step["detail"] for step in plan]

    used = "INDEX ucam_faas_jobs_unsuccessful (app=? AND created>? AND created<?)"
    assert used in steps[0], steps


def test_the_jobs_of_a_task_are_looked_up_among_these(store: SqliteStore) -> None:
    """Otherwise those of a rare task would be looked for among all others."""
    values = dict.fromkeys(("since", "until", "after", "after_id", "after_task"))
    with store._open() as connection:
        query = f"EXPLAIN QUERY PLAN {store._sql['find_of_task']}"
        wanted = {"app": "app", "task": "rare", "states": "[]", "limit": 9, **values}
        steps = [step["detail"] for step in connection.execute(query, wanted)]

    used = "INDEX ucam_faas_jobs_by_task (app=? AND task=? AND created>? AND created<?)"
    assert used in steps[0], steps


def test_a_job_is_looked_up_by_its_id_in_each_task(store: SqliteStore) -> None:
    values = dict.fromkeys(("task", "since", "until"))
    with store._open() as connection:
        query = f"EXPLAIN QUERY PLAN {store._sql['find_by_id']}"
        wanted = {"app": "app", "id": "1", "states": "[]", "limit": 9, **values}
        steps = [step["detail"] for step in connection.execute(query, wanted)]

    assert any("(app=? AND task=? AND id=?)" in step for step in steps), steps
