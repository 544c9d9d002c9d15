"""The store is really down, at a send, a claim and an end: no false success, and a recovery."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from tests.support.postgresql import Server
from ucam_faas import JobStoreError, message_handler
from ucam_faas.execution import runtime
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import sqlite
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock, MemoryPublisher

pytestmark = pytest.mark.slow

INBOX = "act-inbox"
KEY = Key("default", "act", "1")
LEASE = 45.0


class Outage:
    """A store, and a way to take it down.

    Args:
        store: that goes down.
        down: a context in which it is.
    """

    def __init__(self, store: Any, down: Callable[[], Any]) -> None:
        self.store = store
        self.on_failure: Callable[[], object] = bool
        self._down = down
        self._context: Any = None

    def begin(self) -> None:
        """Take the store down."""
        self._context = self._down()
        self._context.__enter__()

    def end(self) -> None:
        """Bring it back, if it is down."""
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the store; after a failed call, the test is called."""
        method = getattr(self.store, name)
        if not callable(method):
            return method

        def call(*values: Any, **options: Any) -> Any:
            try:
                return method(*values, **options)
            except JobStoreError:
                self.on_failure()
                raise

        return call


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@contextmanager
def moved(folder: Path) -> Iterator[None]:
    away = folder.with_name("away")
    folder.rename(away)
    yield
    away.rename(folder)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of 1 MiB; the test is skipped where that isn't allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@pytest.fixture(params=["locked", "moved", "full", "stopped"])
def outage(
    request: pytest.FixtureRequest,
    clock: ManualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Outage]:
    folder, stack = tmp_path / "store", ExitStack()
    folder.mkdir()
    store: Any = SqliteStore(str(folder / "jobs.db"), clock)
    if request.param == "locked":
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
        outage = Outage(store, lambda: locked(folder / "jobs.db"))
    elif request.param == "moved":
        outage = Outage(store, lambda: moved(folder))
    elif request.param == "full":
        stack.enter_context(small_disk(folder))
        outage = Outage(store, lambda: full(folder))
    else:
        server: Server = request.getfixturevalue("postgresql")
        store = PostgresqlStore(server.new_database(), clock)
        store.migrate()
        outage = Outage(store, lambda: stopped(server))
    with stack:
        assert store.get(KEY) is None  # it is open
        yield outage
        outage.end()
        store.close()


@pytest.fixture
def instance(outage: Outage, clock: ManualClock) -> Iterator[Any]:
    """Return a function that makes the process of a task that does something."""
    token = runtime.CURRENT.set(None)

    def make(act: Callable[[], object] = bool) -> Any:
        @message_handler(name="act", timeout=timedelta(seconds=30))
        def task(number: int) -> int:
            RUNS.append(number)
            act()
            return number

        publisher = MemoryPublisher({INBOX: []})
        app = make_app(task, clock=clock, publisher=publisher, store=outage)  # type: ignore[arg-type]
        runtime.CURRENT.set(app.runtime)
        return app, task, publisher

    RUNS.clear()
    yield make
    runtime.CURRENT.reset(token)


RUNS: list[int] = []


def kept(outage: Outage) -> Row:
    row: Row | None = outage.store.get(KEY)
    assert row is not None
    return row


def causes(outage: Outage) -> list[str]:
    return [entry.cause for entry in kept(outage).history]


@on_a_loop
async def test_a_send_raises_and_the_same_send_again_is_one_job(
    outage: Outage, instance: Any
) -> None:
    _, task, publisher = instance()

    outage.begin()
    with pytest.raises(JobStoreError, match="The job store"):
        task.send(1, id="1")
    wakes = len(publisher.topics[INBOX])
    outage.end()
    job = task.send(1, id="1")

    assert wakes == 0
    assert job.status is State.PENDING
    assert len(publisher.topics[INBOX]) == 1
    assert causes(outage) == ["sent"]


@on_a_loop
async def test_a_wake_is_refused_and_its_task_runs_when_the_store_is_back(
    outage: Outage, instance: Any
) -> None:
    app, task, _ = instance()
    task.send(1, id="1")

    outage.begin()
    refused = await wake(app, "act")
    runs = len(RUNS)
    outage.end()
    response = await wake(app, "act")

    assert (refused.status, runs) == (503, 0)
    assert (response.status, RUNS) == (200, [1])
    assert causes(outage) == ["sent", "claimed", "finished"]


@on_a_loop
async def test_an_end_is_stored_as_soon_as_the_store_is_back(outage: Outage, instance: Any) -> None:
    app, task, _ = instance(outage.begin)
    job = task.send(1, id="1")
    outage.on_failure = outage.end

    response = await wake(app, "act")

    assert (response.status, RUNS) == (200, [1])
    assert (job.status, job.result(0)) == (State.SUCCESS, 1)
    assert causes(outage) == ["sent", "claimed", "finished"]


@on_a_loop
async def test_an_end_that_isnt_stored_is_no_success_and_the_job_runs_again(
    outage: Outage, instance: Any, clock: ManualClock
) -> None:
    app, task, _ = instance(lambda: outage.begin() if len(RUNS) == 1 else None)
    task.send(1, id="1")
    outage.on_failure = lambda: clock.advance(LEASE)

    refused = await wake(app, "act")
    outage.end()
    state = kept(outage).state
    response = await wake(app, "act")

    assert (refused.status, state) == (503, State.STARTED)
    assert (response.status, RUNS) == (200, [1, 1])
    assert causes(outage) == ["sent", "claimed", "claimed after a lost process", "finished"]


def test_a_disk_that_fills_up_loses_no_job_whose_send_returned(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        store, sent = SqliteStore(str(tmp_path / "jobs.db"), ManualClock()), []
        payload = os.urandom(10_000)

        def fill() -> None:
            for number in range(1_000):
                key = KEY._replace(id=str(number))
                store.insert([Row(key=key, payload=payload, visit=60.0)], wait=[0.0])
                sent.append(key)

        with pytest.raises(JobStoreError, match="full"):
            fill()
        kept = [store.get(key) for key in sent]
        store.close()
        again = SqliteStore(str(tmp_path / "jobs.db"), ManualClock())
        rows = again.find("default", limit=1_000)
        again.close()

    assert len(sent) > 10
    assert [row and row.payload for row in kept] == [payload] * len(sent)
    assert {row.key for row in rows} == set(sent)


FULL = """
import resource, sys
from ucam_faas import JobStoreError
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore

store = SqliteStore(sys.argv[1], SystemClock())
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
limits = [300_000, 310_000, hard]
sent = 0
while limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.pop(0), hard))
    try:
        for _ in range(20):
            row = Row(key=Key("app", "act", str(sent)), payload=b"x" * 10_000, visit=60.0)
            store.insert([row], wait=[0.0])
            sent += 1
    except JobStoreError as error:
        print(error, file=sys.stderr)
print(sent)
"""


def test_a_file_that_may_not_grow_loses_no_job_whose_send_returned(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")

    child = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True, timeout=60
    )
    store = SqliteStore(path, ManualClock())
    ids = {int(row.key.id) for row in store.find("app", limit=100)}
    store.close()

    assert child.stderr.count(f"The job store {path}: ") == 2
    assert ids == set(range(int(child.stdout)))
    assert 20 < len(ids) < 60


def test_a_store_whose_folder_was_removed_takes_no_job_until_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    path = str(folder / "jobs.db")
    store, other = SqliteStore(path, ManualClock()), SqliteStore(path, ManualClock())
    store.insert([Row(key=KEY, payload=b"1", visit=60.0)], wait=[0.0])
    assert other.get(KEY) is not None

    shutil.rmtree(folder)
    with pytest.raises(JobStoreError, match="unable to open database file"):
        store.insert([Row(key=KEY, payload=b"2", visit=60.0)], wait=[0.0])
    folder.mkdir()
    store.insert([Row(key=KEY, payload=b"3", visit=60.0)], wait=[0.0])

    row = other.get(KEY)
    assert row is not None
    assert row.payload == b"3"
    other.close()
    store.close()
    assert os.listdir(folder) == ["jobs.db"]
