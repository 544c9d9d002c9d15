"""A block of `ucam_faas.transaction` that is open for minutes, and the jobs of others meanwhile."""

from __future__ import annotations

import contextvars
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.exceptions import JobStoreError
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs import transactions
from ucam_faas.jobs.rows import Change, Key, Row, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import postgresql, sqlite
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.postgresql_connection import Connection
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.usefixtures("own_contexts")
PATIENCE_SECONDS = 60
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600)


@ucam_faas.message_handler
def charge(order: int) -> int:
    return order


@ucam_faas.message_handler
def bill(order: int) -> int:
    return order


def key(id: str, task: str = "charge") -> Key:
    return Key("default", task, id)


def use(store: Any) -> None:
    """Send with a store."""
    publisher = MemoryPublisher({"charge-inbox": [], "bill-inbox": []})
    runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher, store=store))


def insert(store: Any, *ids: str) -> None:
    rows = [Row(key=key(id), payload=b"1", owner=id, visit=-1.0) for id in ids]
    store.insert(rows, wait=[-60.0] * len(rows))


@pytest.fixture
def store(database: str) -> Iterator[PostgresqlStore]:
    store = PostgresqlStore(database)
    use(store)
    yield store
    store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file_store(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "jobs.db"), clock)
    use(store)
    yield store
    store.close()


@pytest.mark.parametrize("action", ["cancel", "step"])
def test_the_sweep_passes_over_the_jobs_that_a_block_has_changed(
    store: PostgresqlStore, database: str, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(Connection, "answer_seconds", 5.0)  # it would wait for the block
    insert(store, "held", "free")
    if action == "step":
        store.claim(key("held"), lease=-1.0, instance="here")  # whose lease has ended
    wakes: list[Wake] = []

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        if action == "step":
            transactions.within(store).put_step(key("held"), "pay", b"1", fence=1)
        else:
            ucam_faas.get_job("charge", "held").cancel()
        during = sweep(store, "default", wakes.extend)
    later = sweep(store, "default", wakes.extend)

    assert (during, wakes[0]) == (1, Wake(key("free")))
    assert (later, wakes[1:]) == ((1, [Wake(key("held"))]) if action == "step" else (0, []))


def test_a_send_of_the_same_id_waits_for_the_end_of_a_block(
    store: PostgresqlStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "answer_seconds", 0.2)
    here, jobs = runtime.current(), []

    def send() -> None:
        runtime.CURRENT.set(here)
        jobs.append(charge.send(1, id="same"))

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        job = charge.send(1, id="same")
        thread = threading.Thread(target=send)
        with pytest.raises(JobStoreError, match="hasn't answered"):
            contextvars.Context().run(
                lambda: (runtime.CURRENT.set(here), charge.send(1, id="same"))
            )
        monkeypatch.undo()
        thread.start()
        contextvars.Context().run(wait_until_blocked, database)
    thread.join(PATIENCE_SECONDS)

    assert jobs == [job]
    assert [row.key.id for row in store.find("default")] == ["same"]


def test_a_claim_that_waited_too_long_for_a_block_takes_no_job_after_it(
    store: PostgresqlStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would go on without its client, and an attempt would be lost."""
    monkeypatch.setattr(Connection, "answer_seconds", 0.2)
    insert(store, "1")

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        ucam_faas.get_job("charge", "1").cancel()
        with pytest.raises(JobStoreError, match="hasn't answered"):
            store.claim(key("1"), lease=60, instance="here")
        wait_until_blocked(database, 0)
        raise psycopg.Rollback

    row = store.get(key("1"))
    assert row is not None
    assert (row.state, row.executions) == (State.PENDING, 0)


def test_nothing_waits_long_behind_a_migration_that_waits_for_a_block(
    store: PostgresqlStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "answer_seconds", 30.0)
    monkeypatch.setattr(postgresql, "_TABLE_LOCK_SECONDS", 0.2)
    monkeypatch.setattr(postgresql, "_TABLE_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(postgresql, "_TABLE_TRIES", 10_000)
    migration = threading.Thread(target=PostgresqlStore(database).migrate)

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        charge.send(1, id="1")
        migration.start()
        contextvars.Context().run(wait_until_blocked, database)
        for id in "234":
            insert(store, id)
    migration.join(PATIENCE_SECONDS)

    assert not migration.is_alive()
    assert {row.key.id for row in store.find("default")} == set("1234")


def test_a_migration_that_waits_for_too_long_says_for_what(
    store: PostgresqlStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_TABLE_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(postgresql, "_TABLE_TRIES", 0)

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        charge.send(1, id="1")
        with pytest.raises(JobStoreError, match="open transaction uses the table"):
            PostgresqlStore(database).migrate()


def test_jobs_of_a_key_that_others_commit_before_a_block_run_before_its_jobs(
    store: PostgresqlStore, database: str
) -> None:
    def claim(id: str) -> Row | None:
        return store.claim(key(id, "bill"), lease=60, instance="here")

    here = runtime.current()

    def send_others() -> None:
        runtime.CURRENT.set(here)
        for id in "23":
            bill.send(1, id=id, ordering_key="customer")

    with psycopg.connect(database) as connection, ucam_faas.transaction(connection):
        bill.send(1, id="first", ordering_key="customer")
        contextvars.Context().run(send_others)
        second = claim("2")
    store.change(key("2", "bill"), DONE, fence=1)

    assert second is not None
    assert claim("3") is None  # the block's job was sent before it
    assert claim("first") is not None


def test_times_of_a_job_count_from_its_send_in_the_block(
    file_store: SqliteStore, clock: ManualClock
) -> None:
    sent = clock.now().timestamp()
    with closing(sqlite3.connect(file_store.path)) as connection:
        with ucam_faas.transaction(connection):
            late = charge.send(1, id="late", ttl=timedelta(minutes=1))
            delayed = charge.send(1, id="delayed", delay=timedelta(minutes=5))
            clock.advance(120)
        count = sweep(file_store, "default", bool)

    row = file_store.get(delayed.key)
    assert count == 1
    assert late.status is State.EXPIRED
    assert row is not None
    assert row.due == sent + 300


def test_writes_of_others_to_a_file_wait_for_a_block_and_reads_do_not(
    file_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    insert(file_store, "1")
    other = SqliteStore(file_store.path, ManualClock())

    with closing(sqlite3.connect(file_store.path)) as connection:
        with ucam_faas.transaction(connection):
            charge.send(2, id="2")
            with pytest.raises(JobStoreError, match="locked"):
                other.claim(key("1"), lease=60, instance="there")
            seen = [row.key.id for row in other.find("default")]
        claimed = other.claim(key("1"), lease=60, instance="there")

    assert seen == ["1"]
    assert claimed is not None
    other.close()


def wait_until_blocked(database: str, number: int = 1) -> None:
    """Wait until so many statements wait for the lock of another transaction."""
    statement = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    end = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(database, autocommit=True) as connection:
        while (count := connection.execute(statement).fetchone()) != (number,):
            assert time.monotonic() < end, f"{count} statements wait"
