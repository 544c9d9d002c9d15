"""A thousand waiters whose store is restarted, or loses its writer: all hear of their jobs' ends.

Prints how long after a job's end its waiter woke; no test depends on it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.postgresql import Server
from ucam_faas import JobStoreError
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.waiting import Waiting

MANY = 1_000
HALF = MANY // 2
SECONDS = 60
KEYS = [Key("app", "charge", str(number)) for number in range(MANY)]
WORKER = """
import sys
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Change, Key
from ucam_faas.jobs.states import State

done = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
store, first, last = store_of(Settings(job_store=sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    key = Key("app", "charge", str(number))
    row = store.claim(key, lease=60, instance="worker")
    store.change(key, done, fence=row.fence)
if len(sys.argv) > 4:
    store.claim(Key("app", "charge", str(last)), lease=0, instance="worker")
    store._connection.execute("BEGIN IMMEDIATE")
    store._connection.execute("UPDATE ucam_faas_jobs SET state = 'FAILURE'")
    print("writes", flush=True)
    sys.stdin.read()
store.close()
"""


@contextmanager
def worker(url: str, first: int, last: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that ends jobs, one after the other."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, url, str(first), str(last), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def insert(store: JobStore) -> None:
    """Insert jobs that are due for a minute: the machine's clock may be set back."""
    rows = [Row(key=key, payload=b"{}", visit=60.0) for key in KEYS]
    store.insert(rows, wait=[-60.0] * MANY)


class Waiters:
    """A waiter for each job, and the time at which it woke."""

    def __init__(self, store: JobStore) -> None:
        self._woken: dict[str, float] = {}
        waiting = Waiting(store)
        self._futures: list[Future[Row]] = []
        for key in KEYS:
            self._futures.append(waiting.end_of(key))
            self._futures[-1].add_done_callback(self._note(key.id))

    def _note(self, id: str) -> Callable[[object], None]:
        return lambda _: self._woken.setdefault(id, time.time())

    def all_woken(self) -> bool:
        """Return True if all have woken."""
        return all(future.done() for future in self._futures)

    def report(self, title: str, first: int, last: int) -> None:
        """Wait for some, and print how long after its job's end each woke."""
        rows = [future.result(SECONDS) for future in self._futures[first:last]]
        assert {row.state for row in rows} == {State.SUCCESS}
        late = sorted(1000 * (self._woken[row.key.id] - row.history[-1].time) for row in rows)
        p99 = statistics.quantiles(late, n=100)[98]
        print(
            f"\n{title}: {len(rows)} woke {statistics.median(late):.0f} ms after the end "
            f"(median), {p99:.0f} ms (p99), {late[-1]:.0f} ms (longest)"
        )


def connections(store: PostgresqlStore) -> int:
    """Return the number of all connections to the database, with this one's."""
    with store._connection() as connection:
        (record,) = connection.execute(
            "SELECT count(*) AS count FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend'"
        ).fetchall()
    return int(record["count"])


def test_waiters_outlive_a_restart_of_postgresql_on_few_connections(postgresql: Server) -> None:
    url, most = postgresql.new_database(), 0
    store = PostgresqlStore(url)
    store.migrate()
    insert(store)
    waiters = Waiters(store)
    with worker(url, 0, HALF) as process:
        assert process.wait(SECONDS) == 0
    waiters.report("PostgreSQL", 0, HALF)

    postgresql.stop()
    with pytest.raises(JobStoreError):
        store.get(KEYS[0])
    postgresql.start()
    with worker(url, HALF, MANY) as process:
        while process.poll() is None:
            most = max(most, connections(store))
        assert process.returncode == 0
    waiters.report("PostgreSQL, after its restart", HALF, MANY)

    assert 3 <= most <= 4  # the listener, a look at the ended, this one, and the worker's
    store.close()


def test_waiters_outlive_a_writer_that_is_killed_in_its_transaction(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")
    store = SqliteStore(path, SystemClock())
    insert(store)
    waiters = Waiters(store)

    with worker(f"sqlite:{path}", 0, HALF, "and write") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writes\n"
        waiters.report("SQLite, with a writer in its transaction", 0, HALF)
        process.kill()
        process.wait(SECONDS)
    woken = waiters.all_woken()
    with worker(f"sqlite:{path}", HALF, MANY) as process:
        assert process.wait(SECONDS) == 0
    waiters.report("SQLite, after its writer was killed", HALF, MANY)

    assert not woken
    row = store.get(KEYS[HALF])
    assert row is not None
    assert [entry.cause for entry in row.history] == [
        *("sent", "claimed", "claimed after a lost process", "finished")
    ]
    store.close()
