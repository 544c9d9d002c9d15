"""The sweep: its changes of overdue rows, and the times of its wakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from ucam_faas import State
from ucam_faas.jobs.rows import Change, Key, Row, Wake
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS, BATCH, sweep
from ucam_faas.testing import ManualClock

KEY = Key("default", "charge", "1")


class Sweeps:
    """A store, and the wakes of its sweeps."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = SqliteStore(":memory:", self.clock)
        self.wakes: list[str] = []

    def insert(self, *ids: str, **values: object) -> None:
        rows = [
            Row(key=KEY._replace(id=id), payload=b"", visit=AGAIN_SECONDS, **values)  # type: ignore[arg-type]
            for id in ids
        ]
        self.store.insert(rows, wait=[0.0] * len(rows))

    def claim(self) -> Row:
        row = self.store.claim(KEY, lease=30, instance="test")
        assert row is not None
        return row

    def sweep(self) -> int:
        return sweep(self.store, KEY.app, self.wake)

    def wake(self, wakes: Sequence[Wake]) -> None:
        self.wakes += [each.key.id for each in wakes]

    def woken_during(self, seconds: int) -> list[int]:
        """Sweep each second, and return those in which the job was woken."""
        woken: list[int] = []
        for second in range(1, seconds + 1):
            self.clock.advance(1)
            self.sweep()
            woken += [second] * len(self.wakes)
            self.wakes.clear()
        return woken


@pytest.fixture
def sweeps() -> Iterator[Sweeps]:
    sweeps = Sweeps()
    yield sweeps
    sweeps.store.close()


def test_a_job_that_does_not_start_is_woken_ever_more_rarely(sweeps: Sweeps) -> None:
    sweeps.insert("1")

    woken = sweeps.woken_during(12_000)

    assert woken == [60, 120, 240, 480, 960, 1920, 3840, 7440, 11040]


@pytest.mark.parametrize("state", [State.PENDING, State.STARTED])
def test_no_job_of_a_paused_lane_is_woken_until_it_is_resumed(sweeps: Sweeps, state: State) -> None:
    sweeps.store.pause_lane(KEY.app, KEY.task, "bulk")
    sweeps.insert("1", lane="bulk")
    if state is State.STARTED:
        sweeps.claim()  # by a process that is lost

    paused = sweeps.woken_during(3000)
    sweeps.insert("2")  # of another lane
    sweeps.clock.advance(AGAIN_SECONDS)
    sweeps.sweep()
    others = [*sweeps.wakes]
    sweeps.wakes.clear()
    sweeps.store.resume_lane(KEY.app, KEY.task, "bulk")

    assert (paused, others) == ([], ["2"])
    assert sweeps.woken_during(3600)


def test_a_job_of_a_paused_lane_expires(sweeps: Sweeps) -> None:
    sweeps.store.pause_lane(KEY.app, KEY.task, "bulk")
    sweeps.insert("1", lane="bulk", expires=100.0)

    sweeps.woken_during(101)

    row = sweeps.store.get(KEY)
    assert row is not None
    assert row.state is State.EXPIRED


def test_a_job_whose_wake_was_lost_late_in_its_life_is_woken_within_a_minute(
    sweeps: Sweeps,
) -> None:
    sweeps.insert("1")
    sweeps.clock.advance(3600)
    failed = Change(state=State.PENDING, cause="failed", visit=100, wait=100, failed=True)
    sweeps.store.change(KEY, failed, fence=sweeps.claim().fence)

    assert sweeps.woken_during(250) == [100, 160, 220]


def test_a_job_whose_process_was_lost_is_woken_when_its_lease_ends(sweeps: Sweeps) -> None:
    sweeps.insert("1")
    sweeps.clock.advance(3600)
    sweeps.claim()

    assert sweeps.woken_during(100) == [30, 90]


@pytest.mark.parametrize("end", [None, State.PAUSED])
def test_a_job_that_began_in_time_is_looked_at_as_rarely_as_others(
    sweeps: Sweeps, end: State | None
) -> None:
    sweeps.insert("1", expires=10.0)
    fence = sweeps.claim().fence
    if end is not None:
        sweeps.store.change(KEY, Change(state=end, cause="", visit=30), fence=fence)

    sweeps.clock.advance(40)

    assert [sweeps.sweep(), sweeps.sweep()] == [1, 0]


def test_a_paused_job_is_not_woken(sweeps: Sweeps) -> None:
    sweeps.insert("1")
    paused = Change(state=State.PAUSED, cause="paused", visit=60)
    sweeps.store.change(KEY, paused, fence=sweeps.claim().fence)

    assert sweeps.woken_during(1000) == []


def test_a_job_expires_on_time_however_rarely_it_is_woken(sweeps: Sweeps) -> None:
    sweeps.insert("1", expires=500.0)

    assert sweeps.woken_during(499) == [60, 120, 240, 480]
    sweeps.clock.advance(1)
    sweeps.sweep()

    row = sweeps.store.get(KEY)
    assert row is not None
    assert row.state is State.EXPIRED


def test_a_job_that_ends_during_the_sweep_is_kept_for_its_retention(sweeps: Sweeps) -> None:
    sweeps.insert("1")
    sweeps.clock.advance(60)

    def run(keys: Sequence[Key]) -> None:
        done = Change(state=State.SUCCESS, cause="finished", visit=3600)
        sweeps.store.change(KEY, done, fence=sweeps.claim().fence)

    sweep(sweeps.store, KEY.app, run)
    sweeps.clock.advance(3599)
    sweeps.sweep()
    assert sweeps.store.get(KEY) is not None
    sweeps.clock.advance(1)
    sweeps.sweep()

    assert sweeps.store.get(KEY) is None


def test_a_sweep_looks_at_more_rows_than_a_batch(sweeps: Sweeps) -> None:
    ids = [str(number) for number in range(BATCH + 1)]
    sweeps.insert(*ids)
    sweeps.clock.advance(60)

    assert sweeps.sweep() == len(ids)
    assert sorted(sweeps.wakes) == sorted(ids)
