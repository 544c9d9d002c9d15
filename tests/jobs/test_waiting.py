"""Many waiters of one process share a thread and a few connections, on each store."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.support.postgresql import Server
from ucam_faas.clock import SystemClock
from ucam_faas.exceptions import JobNotFoundError, JobStoreError
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.waiting import Waiting

pytestmark = pytest.mark.slow

MANY = 1000
SECONDS = 60
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
KEYS = [Key("app", "charge", str(number)) for number in range(MANY)]


@pytest.fixture
def store(opened_store: JobStore) -> JobStore:
    return opened_store


@pytest.fixture
def many(job_store: str) -> list[Key]:
    """Return as many keys as a test waits for: Firestore's emulator reads all rows for a query."""
    return KEYS[:100] if job_store.startswith("firestore:") else KEYS


def insert(store: JobStore, keys: list[Key]) -> None:
    """Insert jobs that are due for a minute: the machine's clock may be set back."""
    store.insert(
        [Row(key=key, payload=b"{}", visit=60.0) for key in keys], wait=[-60.0] * len(keys)
    )


def finish(store: JobStore, key: Key) -> None:
    row = store.claim(key, lease=60, instance="here")
    assert row is not None, store.get(key)
    store.change(key, DONE, fence=row.fence)


def waiting_threads() -> set[threading.Thread]:
    """Return the threads of waiters; those of other stores may end at any time."""
    return {thread for thread in threading.enumerate() if thread.name == "ucam-faas-waiting"}


def test_a_thousand_waiters_get_the_ends_of_their_jobs_on_one_thread(
    store: JobStore, many: list[Key]
) -> None:
    insert(store, many)
    waiting = Waiting(store)
    threads = waiting_threads()

    futures = [waiting.end_of(key) for key in many]
    assert len(waiting_threads() - threads) <= 1
    for key in many:
        finish(store, key)

    rows = [future.result(SECONDS) for future in futures]
    assert [row.key for row in rows] == many
    assert {row.state for row in rows} == {State.SUCCESS}


def test_a_thousand_waiters_of_one_job_get_its_end(store: JobStore) -> None:
    insert(store, KEYS[:1])
    waiting = Waiting(store)

    async def main() -> set[State]:
        futures = [asyncio.wrap_future(waiting.end_of(KEYS[0])) for _ in range(MANY)]
        await asyncio.to_thread(finish, store, KEYS[0])
        return {row.state for row in await asyncio.gather(*futures)}

    assert asyncio.run(asyncio.wait_for(main(), SECONDS)) == {State.SUCCESS}


def test_a_job_that_has_ended_or_is_gone_is_waited_for_no_longer(store: JobStore) -> None:
    insert(store, KEYS[:2])
    finish(store, KEYS[0])
    waiting = Waiting(store)

    assert waiting.end_of(KEYS[0]).result(SECONDS).state is State.SUCCESS
    with pytest.raises(JobNotFoundError):
        waiting.end_of(KEYS[2]).result(SECONDS)
    gone = waiting.end_of(KEYS[1])
    store.delete(KEYS[1], states={State.PENDING})
    with pytest.raises(JobNotFoundError):
        gone.result(SECONDS)


def test_waiters_use_one_connection_and_outlive_a_restart_of_the_server(
    database: str, postgresql: Server
) -> None:
    store = PostgresqlStore(database)
    insert(store, KEYS)
    waiting = Waiting(store)
    futures = [waiting.end_of(key) for key in KEYS]
    with pytest.raises(JobNotFoundError):
        waiting.end_of(Key("app", "charge", "none")).result(SECONDS)  # so all were looked at

    with store._connection() as connection:
        (record,) = connection.execute(
            "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchall()
    assert record["count"] <= 3  # the listener, the thread's, and this one
    postgresql.stop()
    postgresql.start()
    worker = PostgresqlStore(database)
    for key in KEYS:
        finish(worker, key)

    assert {future.result(SECONDS).state for future in futures} == {State.SUCCESS}
    worker.close()
    store.close()


def test_a_waiter_that_gave_up_leaves_no_thread() -> None:
    store = SqliteStore(":memory:", SystemClock())
    insert(store, KEYS[:1])
    waiting = Waiting(store)

    future = waiting.end_of(KEYS[0])
    thread = waiting._thread
    assert thread is not None
    future.cancel()

    thread.join(SECONDS)
    assert not thread.is_alive()
    store.close()


@pytest.mark.parametrize("is_fault", [False, True], ids=["down", "a fault"])
def test_a_waiter_gets_the_error_of_the_first_look(
    is_fault: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(":memory:", SystemClock())
    insert(store, KEYS[:2])
    error = ValueError("a row that can't be read") if is_fault else JobStoreError("down")

    def fail(keys: list[Key]) -> None:
        raise error

    waiting = Waiting(store)
    earlier = waiting.end_of(KEYS[0])
    with pytest.raises(JobNotFoundError):
        waiting.end_of(KEYS[2]).result(SECONDS)  # so both were looked at
    with monkeypatch.context() as patch:
        patch.setattr(store, "ended", fail)

        with pytest.raises(type(error)):
            waiting.end_of(KEYS[1]).result(SECONDS)

    finish(store, KEYS[0])
    if is_fault:
        with pytest.raises(ValueError, match="can't be read"):
            earlier.result(SECONDS)
    else:
        assert earlier.result(SECONDS).state is State.SUCCESS
    store.close()
