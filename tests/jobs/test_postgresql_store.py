"""`PostgresqlStore` does what every store does, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.job_store_contract import KEY, JobStoreContract, row
from tests.support.postgresql import Server
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow


def emptied(store: PostgresqlStore) -> PostgresqlStore:
    with store._connection() as connection:
        connection.execute("TRUNCATE ucam_faas_jobs")
    return store


class TestPostgresqlStore(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, database: str) -> Iterator[PostgresqlStore]:
        store = emptied(PostgresqlStore(database, clock))
        yield store
        store.close()


@pytest.fixture
def store(database: str) -> Iterator[PostgresqlStore]:
    """Return a store with the database's clock."""
    store = emptied(PostgresqlStore(database))
    yield store
    store.close()


def test_times_are_those_of_the_database(store: PostgresqlStore) -> None:
    before = store.now()
    (inserted,) = store.insert([row()], wait=[0])
    after = store.now()

    assert before <= inserted.created <= after
    claimed = store.claim(KEY, lease=30, instance="here")
    assert claimed is not None
    assert claimed.lease == pytest.approx(after + 30, abs=30)


def test_migrating_again_changes_nothing(store: PostgresqlStore) -> None:
    store.insert([row()], wait=[0])

    store.migrate()

    assert store.get(KEY) is not None


def test_a_missing_table_is_an_error_with_the_command_that_makes_it(postgresql: Server) -> None:
    store = PostgresqlStore(postgresql.new_database())

    with pytest.raises(JobStoreError, match="ucam-faas jobs migrate"):
        store.get(KEY)
    store.close()


def test_a_restart_of_the_server_fails_one_call_and_no_more(
    store: PostgresqlStore, postgresql: Server
) -> None:
    store.insert([row()], wait=[0])

    postgresql.stop()
    with pytest.raises(JobStoreError):
        store.get(KEY)
    postgresql.start()

    assert store.get(KEY) is not None


def test_many_threads_share_few_connections(store: PostgresqlStore) -> None:
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: store.get(KEY), range(200)))

    with store._connection() as connection:
        (record,) = connection.execute(
            "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchall()
    assert record["count"] <= 8


def test_the_jobs_of_a_repeated_batch_are_looked_up_by_their_ids(store: PostgresqlStore) -> None:
    store.insert(
        [row(Key("app", "charge", str(number))) for number in range(1000)], wait=[0] * 1000
    )

    with store._connection() as connection:
        plan = connection.execute(f"EXPLAIN {store._sql['inserted']}", {"rows": "[]"}).fetchall()

    conditions = [line["QUERY PLAN"] for line in plan if "Index Cond" in line["QUERY PLAN"]]
    assert any("id = new.id" in condition for condition in conditions), plan
