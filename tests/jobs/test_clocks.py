"""Clocks that are wrong or are set: a job is never early, and one process holds it at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.job_store_contract import DONE, KEY, row
from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from tests.support.firestore import Firestore
from ucam_faas import message_handler
from ucam_faas.execution import inbox, runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.testing import JobsFactory, ManualClock, MemoryPublisher
from ucam_faas.testing.events import PUBLISH_TIME

SKEW = timedelta(minutes=5)
LEASE = 45.0
INBOX = "note-inbox"


class SetClock(ManualClock):
    """A clock that can be set; its steady time goes on as before."""

    def __init__(self, off: timedelta = timedelta(0)) -> None:
        super().__init__(PUBLISH_TIME + off)

    def set(self, by: timedelta) -> None:
        """Set the wall clock forward, or back."""
        self._start += by


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[ManualClock], SqliteStore]]:
    """Return a function that opens the same file with another clock."""
    stores: list[SqliteStore] = []

    def open_(clock: ManualClock) -> SqliteStore:
        stores.append(SqliteStore(str(tmp_path / "jobs.db"), clock))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.mark.parametrize("off", [-SKEW, SKEW], ids=["behind", "ahead"])
def test_a_lease_holds_against_a_process_whose_clock_is_off(
    opened: Callable[[ManualClock], SqliteStore], off: timedelta
) -> None:
    clock, wrong = SetClock(), SetClock(off)
    holder, other = opened(clock), opened(wrong)
    holder.insert([row()], wait=[-2 * SKEW.total_seconds()])
    held = holder.claim(KEY, lease=LEASE, instance="holder")
    assert held is not None

    wrong.advance(LEASE - 0.001)
    assert other.claim(KEY, lease=LEASE, instance="other") is None
    wrong.advance(0.001)
    taken = other.claim(KEY, lease=LEASE, instance="other")

    assert taken is not None
    assert holder.change(KEY, DONE, fence=held.fence) is None
    assert other.change(KEY, DONE, fence=taken.fence) is not None


@pytest.mark.parametrize("by", [-SKEW, SKEW, timedelta(days=400)], ids=["back", "on", "far on"])
def test_a_lease_lasts_as_long_when_the_clock_is_set(
    opened: Callable[[ManualClock], SqliteStore], by: timedelta
) -> None:
    clock = SetClock()
    store = opened(clock)
    store.insert([row()], wait=[-2 * SKEW.total_seconds()])
    store.claim(KEY, lease=LEASE, instance="holder")

    clock.set(by)
    clock.advance(LEASE - 0.001)
    early = store.claim(KEY, lease=LEASE, instance="other")
    clock.advance(0.001)

    assert early is None
    assert store.claim(KEY, lease=LEASE, instance="other") is not None


def test_after_a_restart_of_the_machine_a_lease_ends_by_the_wall_clock(
    opened: Callable[[ManualClock], SqliteStore],
) -> None:
    clock = ManualClock()
    store = opened(clock)
    store.insert([row()], wait=[0.0])
    store.claim(KEY, lease=LEASE, instance="holder")
    with store._open() as connection:
        connection.execute("UPDATE ucam_faas_jobs SET boot = 'the run before', steady = 1e9")

    clock.advance(LEASE - 0.001)
    early = store.claim(KEY, lease=LEASE, instance="other")
    clock.advance(0.001)

    assert early is None
    assert store.claim(KEY, lease=LEASE, instance="other") is not None


@message_handler
def note(number: int) -> None:
    """Note when it runs."""
    RUNS.append((number, runtime.current().clock.now()))


RUNS: list[tuple[int, datetime]] = []


@pytest.fixture(autouse=True)
def _no_runs() -> Iterator[None]:
    RUNS.clear()
    token = runtime.CURRENT.set(None)
    yield
    runtime.CURRENT.reset(token)


class Instance:
    """A process that sends, sweeps and runs, with a clock of its own.

    Args:
        store: is shared.
        clock: of the process.
    """

    def __init__(self, store: JobStore, clock: ManualClock) -> None:
        self.store = store
        self.publisher = MemoryPublisher({INBOX: []})
        self.app = make_app(note, clock=clock, publisher=self.publisher, store=store)
        runtime.CURRENT.set(self.app.runtime)

    async def go_on(self) -> None:
        """Sweep, and deliver the wakes: those of the sweep, and an early one for each job."""
        while sweep(self.store, "default", lambda wakes: inbox.wake(self.app.runtime, wakes)):
            pass
        wakes = [
            message.attributes[inbox.JOB_ATTRIBUTE] for message in self.publisher.topics[INBOX]
        ]
        self.publisher.topics[INBOX].clear()
        for id in [*wakes, *(job.key.id for job in self.store.find("default"))]:
            assert (await wake(self.app, "note", id)).status == 200


@pytest.fixture
def open_store(
    job_store: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[ManualClock], JobStore]]:
    """Return a function that opens the same store, as a process that starts does."""
    stores: list[JobStore] = []

    def open_(clock: ManualClock) -> JobStore:
        if job_store.startswith("sqlite:"):
            stores.append(SqliteStore(job_store.removeprefix("sqlite:"), clock))
        elif job_store.startswith("firestore:"):
            firestore: Firestore = request.getfixturevalue("firestore")
            stores.append(firestore.store(clock, job_store.removeprefix("firestore:")))
        else:
            stores.append(PostgresqlStore(job_store, clock))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.mark.slow
@on_a_loop
async def test_a_delay_is_never_early_and_runs_once_whatever_the_clock_does(
    open_store: Callable[[ManualClock], JobStore],
) -> None:
    clock = SetClock()
    here, begin = Instance(open_store(clock), clock), clock.now()
    delays = [timedelta(0), timedelta(days=-3), *(timedelta(days=days) for days in (31, 400))]
    for number, delay in enumerate(delays):
        note.send(number, id=str(number), delay=delay)
    note.send(4, id="4", at=begin - timedelta(days=1))
    note.send(5, id="5", at=begin + timedelta(days=31))

    await here.go_on()
    assert sorted(number for number, _ in RUNS) == [0, 1, 4]
    clock.advance(timedelta(days=31, seconds=-2))
    await here.go_on()
    here = Instance(open_store(clock), clock)  # a restart
    await here.go_on()
    assert len(RUNS) == 3
    clock.set(timedelta(seconds=3))
    await here.go_on()
    assert sorted(number for number, _ in RUNS[3:]) == [2, 5]
    clock.set(-timedelta(hours=1))
    await here.go_on()
    clock.advance(timedelta(days=369))
    await here.go_on()
    assert len(RUNS) == 5
    here = Instance(open_store(clock), clock)
    clock.advance(timedelta(hours=1))
    await here.go_on()

    assert [number for number, _ in RUNS[5:]] == [3]
    for number, time in RUNS[:-1]:
        assert time >= begin + (delays[number] if number < 4 else timedelta(0))
    assert RUNS[-1][1] >= begin + timedelta(days=400)
    assert RUNS[4][1] >= begin + timedelta(days=31)


def test_delays_in_memory_are_exact_in_a_tests_time(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(note)
    for number, days in enumerate((0, 31, 400)):
        note.send(number, delay=timedelta(days=days))

    begin = jobs.clock.now()
    jobs.run_all()
    jobs.advance(timedelta(days=500))

    assert [number for number, _ in RUNS] == [0, 1, 2]
    assert [round((time - begin) / timedelta(days=1), 6) for _, time in RUNS] == [0, 31, 400]


@pytest.mark.slow
@on_a_loop
async def test_postgresqls_clock_decides_however_wrong_those_of_the_processes_are(
    database: str,
) -> None:
    store, here = PostgresqlStore(database), None
    try:
        sender = Instance(store, SetClock(-timedelta(days=400)))
        begin = store.now()
        soon = datetime.fromtimestamp(begin + 60, UTC)
        jobs = [note.send(1, delay=timedelta(minutes=1)), note.send(2, at=soon), note.send(3)]

        here = Instance(store, SetClock(timedelta(days=400)))
        here.publisher = sender.publisher
        await here.go_on()

        assert [number for number, _ in RUNS] == [3]
        rows = [store.get(job.key) for job in jobs]
        assert [row.due - begin for row in rows if row] == pytest.approx([60, 60, 0], abs=5)
    finally:
        store.close()
