"""`PostgresqlStore` does what every store does, on a real server."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.contract.job_store_contract import KEY, JobStoreContract, row
from tests.support.postgresql import Server
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.postgresql_connection import Connection
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow


class TestPostgresqlStore(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, database: str) -> Iterator[PostgresqlStore]:
        store = PostgresqlStore(database, clock)
        yield store
        store.close()


@pytest.fixture
def store(database: str) -> Iterator[PostgresqlStore]:
    """Return a store with the database's clock."""
    store = PostgresqlStore(database)
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


FIRST_TABLE = """
CREATE TABLE ucam_faas_jobs (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL,
  payload BYTEA NOT NULL, attributes TEXT NOT NULL, ordering_key TEXT NOT NULL,
  options TEXT NOT NULL, source TEXT NOT NULL, owner TEXT NOT NULL, "unique" TEXT,
  state TEXT NOT NULL,
  created FLOAT8 NOT NULL, due FLOAT8 NOT NULL, expires FLOAT8, visit FLOAT8 NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  interruptions INTEGER NOT NULL DEFAULT 0, lease FLOAT8,
  cancel_requested BOOLEAN NOT NULL DEFAULT false,
  result BYTEA, error TEXT, progress TEXT, history JSONB NOT NULL,
  watched BOOLEAN NOT NULL DEFAULT false,
  PRIMARY KEY (app, task, id)
);
CREATE INDEX ucam_faas_jobs_visit ON ucam_faas_jobs (visit);
"""
OLD_ROW = """
INSERT INTO ucam_faas_jobs (
  app, task, id, payload, attributes, ordering_key, options, source, owner, state, created, due,
  visit, history
) VALUES ('default', 'old', '1', '', '{}', '', '{}', '', 'me', 'PENDING', 0, 0, 0, '[]');
"""


def columns_of(store: PostgresqlStore) -> list[str]:
    with store._connection() as connection:
        cursor = connection.execute("SELECT * FROM ucam_faas_jobs LIMIT 0")
        return sorted(column.name for column in cursor.description)


def test_a_table_of_an_earlier_version_is_an_error_until_it_is_migrated(
    database: str, postgresql: Server
) -> None:
    new, store = PostgresqlStore(database), PostgresqlStore(postgresql.new_database())
    with store._connection() as connection:
        connection.execute(FIRST_TABLE)

    with pytest.raises(JobStoreError, match=r"earlier version .*ucam-faas jobs migrate"):
        store.insert([row()], wait=[0])
    with store._connection() as connection:
        connection.execute(OLD_ROW)
    with pytest.raises(JobStoreError, match=r"earlier version.* without the column .*jobs migrate"):
        store.find("default")
    store.migrate()

    assert store.insert([row(unique="a")], wait=[0]) == [store.get(KEY)]
    assert columns_of(store) == columns_of(new)
    store.close()
    new.close()


def test_no_migration_rewrites_the_table(postgresql: Server) -> None:
    """A large one would be locked for hours."""
    store = PostgresqlStore(postgresql.new_database())
    with store._connection() as connection:
        connection.execute(FIRST_TABLE)
        connection.execute(OLD_ROW)
        file = "SELECT pg_relation_filenode('ucam_faas_jobs') AS file"
        before = connection.execute(file).fetchall()

    store.migrate()
    store.migrate()

    with store._connection() as connection:
        assert connection.execute(file).fetchall() == before
    old = Key("default", "old", "1")
    assert store.set_limit_key(old, "key") is not None
    assert store.claim(old, lease=30, instance="here", limit=1) is not None
    store.close()


def test_an_index_whose_making_was_interrupted_is_made_again(postgresql: Server) -> None:
    store = PostgresqlStore(postgresql.new_database())
    store.migrate()
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    with store._connection() as connection:
        connection.execute(
            "UPDATE pg_index SET indisvalid = false "
            "WHERE indexrelid = 'ucam_faas_jobs_overdue'::regclass"
        )

    store.migrate()

    with store._connection() as connection:
        assert connection.execute(invalid).fetchall() == [{"count": 0}]
        assert connection.execute("SELECT 'ucam_faas_jobs_overdue'::regclass").fetchall()
    store.close()


def test_processes_that_migrate_at_once_make_one_table(postgresql: Server) -> None:
    stores = [PostgresqlStore(postgresql.new_database())]
    stores += [PostgresqlStore(stores[0]._url) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(PostgresqlStore.migrate, stores))

    assert stores[0].find("default") == []
    for store in stores:
        store.close()


def test_a_process_goes_on_while_a_later_version_migrates(
    store: PostgresqlStore, database: str
) -> None:
    for number in range(10):  # psycopg prepares repeated statements
        store.insert([row(Key("app", "charge", str(number)))], wait=[0])
        store.get(KEY)
        store.claim(KEY, lease=30, instance="here")

    migrating = PostgresqlStore(database)  # psycopg forgets statements at an ALTER of its own
    with migrating._connection() as connection:
        connection.execute("ALTER TABLE ucam_faas_jobs ADD COLUMN later TEXT")

    try:
        assert store.get(KEY) is not None
        assert store.claim(Key("app", "charge", "2"), lease=30, instance="here") is not None
        store.insert([row(Key("app", "charge", "new"))], wait=[0])
    finally:
        with migrating._connection() as connection:
            connection.execute("ALTER TABLE ucam_faas_jobs DROP COLUMN later")
        migrating.close()


def test_a_server_that_accepts_and_never_answers_is_an_error_after_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = PostgresqlStore(f"postgresql://u@127.0.0.1:{port}/jobs?connect_timeout=2")

        with pytest.raises(JobStoreError, match="timeout"):
            store.get(KEY)


def test_a_stopped_server_is_an_error_after_a_timeout(
    store: PostgresqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel acknowledges what it gets, so the network's timeouts don't help."""
    store.insert([row()], wait=[0])
    monkeypatch.setattr(Connection, "answer_seconds", 0.2)
    with store._connection() as connection:
        server = connection.info.backend_pid

    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(JobStoreError, match=r"the server hasn't answered for 0\.2 s"):
            store.get(KEY)
    finally:
        os.kill(server, signal.SIGCONT)

    monkeypatch.undo()
    assert store.get(KEY) is not None


def test_a_store_may_be_closed_while_another_thread_waits_for_notifications(
    store: PostgresqlStore,
) -> None:
    """libpq's connections are of one thread at a time."""
    for _ in range(20):
        store.watch([KEY])
        waits = threading.Thread(target=store.changed, args=(0.01,))
        waits.start()
        store.close()
        waits.join()

    assert not store.changed(0)


def test_a_connection_ends_when_the_network_does_unless_the_url_says_otherwise(
    database: str,
) -> None:
    separator = "&" if "?" in database else "?"
    own = PostgresqlStore(f"{database}{separator}tcp_user_timeout=7000&keepalives_idle=3")
    for store, milliseconds, idle in ((PostgresqlStore(database), 20_000, 10), (own, 7_000, 3)):
        with store._connection() as connection:
            parameters = connection.info.get_parameters()
        store.close()

        assert parameters["tcp_user_timeout"] == str(milliseconds)
        assert parameters["keepalives_idle"] == str(idle)
        assert parameters["connect_timeout"] == "10"


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


def test_the_jobs_of_a_repeated_batch_are_looked_up_by_their_ids(postgresql: Server) -> None:
    store = PostgresqlStore(postgresql.new_database())  # the planner knows nothing of its table
    store.migrate()
    store.insert(
        [row(Key("app", "charge", str(number))) for number in range(5000)], wait=[0] * 5000
    )

    with store._connection() as connection:
        plan = connection.execute(f"EXPLAIN {store._sql['inserted']}", {"rows": "[]"}).fetchall()

    conditions = [line["QUERY PLAN"] for line in plan if "Index Cond" in line["QUERY PLAN"]]
    assert any("id = new.id" in condition for condition in conditions), plan
    store.close()


def test_the_live_members_of_a_batch_are_looked_up_among_live_ones(postgresql: Server) -> None:
    """Otherwise each end of a member would pass those that have ended before."""
    store = PostgresqlStore(postgresql.new_database())
    store.migrate()
    keys = [Key("app", "charge", str(number)) for number in range(5000)]
    store.insert([row(key, batch="sum/1") for key in keys], wait=[0] * len(keys))

    with store._connection() as connection:
        connection.execute("UPDATE ucam_faas_jobs SET state = 'SUCCESS' WHERE id <> '4999'")
        connection.execute("ANALYZE ucam_faas_jobs")
        values = {"app": "app", "batch": "sum/1"}
        plan = connection.execute(f"EXPLAIN {store._sql['has_live_members']}", values).fetchall()

    assert "ucam_faas_jobs_live_members" in str(plan)
    store.close()


def test_a_step_waits_for_a_claim_under_way_and_is_refused_after_it(
    store: PostgresqlStore, database: str
) -> None:
    """Otherwise the next holder of the job might read the steps before this one is stored."""
    store.insert([row()], wait=[0])
    claimed = store.claim(KEY, lease=60, instance="here")
    assert claimed is not None
    with psycopg.connect(database) as other, ThreadPoolExecutor(1) as pool:
        other.execute("UPDATE ucam_faas_jobs SET fence = fence + 1")
        is_stored = pool.submit(store.put_step, KEY, "a", b"1", fence=claimed.fence)
        while not _waits_for_a_lock(database):
            assert not is_stored.done()
        other.commit()

        assert is_stored.result(timeout=30) is None
    assert store.steps(KEY) == []


def _waits_for_a_lock(database: str) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%job_steps%'"
    )
    with psycopg.connect(database) as connection:
        return bool(connection.execute(query).fetchall())


def test_batches_that_share_unique_keys_dont_wait_for_each_other(
    store: PostgresqlStore, database: str
) -> None:
    def batch(sender: str, keys: str) -> list[Row]:
        places = [Key("app", "charge", f"{sender}{number}") for number in range(len(keys))]
        return [row(place, unique=key) for place, key in zip(places, keys, strict=True)]

    def insert(rows: list[Row]) -> list[str | None]:
        return [each.unique for each in store.insert(rows, wait=[0] * len(rows))]

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    # Each batch has begun when it waits for the key "b", which is taken until the commit.
    with psycopg.connect(database) as holder, ThreadPoolExecutor(2) as threads:
        store.insert(batch("holder", "b"), wait=[0])
        holder.execute("UPDATE ucam_faas_jobs SET app = 'other'")
        rows = [batch("x", "abc"), batch("y", "cba")]
        batches = [threads.submit(insert, each) for each in rows]
        with psycopg.connect(database, autocommit=True) as watcher:
            while watcher.execute(waiting).fetchone() != (2,):
                assert not any(each.done() for each in batches)
        holder.commit()

        assert [each.result() for each in batches] == [["a", "b", "c"], ["c", "b", "a"]]
