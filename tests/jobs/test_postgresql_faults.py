"""Faults around each statement of PostgreSQL: nothing is lost, doubled, or a false success."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import ucam_faas
from tests.jobs.postgresql_proxy import Fault, cut_after, cut_before, failing, terminated
from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from tests.support.postgresql import Server
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key, Row, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow

MOST_STATEMENTS = 30
"""More than any of these needs: a loop that doesn't end is a fault."""
LEASE = 30.0
KEYS = [Key("default", "task", str(number)) for number in range(3)]

on_each_fault = pytest.mark.parametrize("fault", [cut_before, cut_after, terminated])


@pytest.fixture
def direct(database: str, clock: ManualClock) -> Iterator[PostgresqlStore]:
    """Return a store whose connections meet no fault."""
    store = PostgresqlStore(database, clock)
    yield store
    store.close()


def rows(count: int = 1) -> list[Row]:
    return [Row(key=key, payload=b"{}", owner="me", visit=60.0) for key in KEYS[:count]]


@pytest.fixture
def faults(
    postgresql: Server, database: str, clock: ManualClock, direct: PostgresqlStore
) -> Callable[[Fault], Iterator[PostgresqlStore]]:
    """Return stores that meet the fault at their first statement, at their second, and so on."""

    def stores(fault: Fault) -> Iterator[PostgresqlStore]:
        for at in range(1, MOST_STATEMENTS):
            with direct._connection() as connection:
                connection.execute("TRUNCATE ucam_faas_jobs CASCADE")
            with failing(postgresql, at, fault) as proxy:
                store = PostgresqlStore(proxy.url(database), clock)
                try:
                    yield store
                finally:
                    store.close()
                if not proxy.has_failed:
                    assert at > 1
                    return
        raise AssertionError("the statements don't end")

    return stores


def state_of(store: PostgresqlStore) -> tuple[State, bytes | None]:
    row = store.get(KEYS[0])
    assert row is not None
    return row.state, row.result


@on_each_fault
@on_a_loop
async def test_a_job_runs_once_and_is_acknowledged_when_its_end_is_stored(
    faults: Any, fault: Fault, direct: PostgresqlStore, clock: ManualClock
) -> None:
    for store in faults(fault):
        runs = []

        @ucam_faas.message_handler(message_type=None)
        def task(data: bytes, runs: list[bytes] = runs) -> int:
            runs.append(data)
            return len(runs)

        direct.insert(rows(), wait=[0.0])
        app = make_app(task, clock=clock, store=store)

        first = await wake(app, id="0")
        after_first = state_of(direct)
        clock.advance(3600)  # past the lease
        later = [(await wake(app, id="0")).status for _ in range(2)]

        assert (first.status == 200) == (after_first == (State.SUCCESS, b"1"))
        assert 200 in later  # one of them may have met the fault
        assert state_of(direct) == (State.SUCCESS, b"1")
        assert len(runs) == 1


@on_each_fault
@pytest.mark.parametrize("limit", [None, 1])
def test_a_claim_whose_connection_is_lost_is_tried_again_and_knows_its_own_row(
    faults: Any, fault: Fault, limit: int | None, direct: PostgresqlStore
) -> None:
    for store in faults(fault):
        new = replace(rows()[0], limit_key=None if limit is None else "key")
        direct.insert([new], wait=[0.0])

        row = store.claim(KEYS[0], lease=LEASE, instance="here", limit=limit)

        assert row == direct.get(KEYS[0])
        assert (row.state, row.fence, row.attempts) == (State.STARTED, 1, 0)
        assert direct.claim(KEYS[0], lease=LEASE, instance="other", limit=limit) is None


@on_each_fault
@pytest.mark.parametrize("count", [1, 3])
def test_a_send_that_is_repeated_after_its_error_makes_each_job_once(
    faults: Any, fault: Fault, count: int, direct: PostgresqlStore
) -> None:
    for store in faults(fault):
        wait = [0.0] * count
        try:
            there = store.insert(rows(count), wait=wait)
        except JobStoreError:
            kept = direct.find("default")
            assert len(kept) in (0, count)  # a batch is whole
            there = store.insert(rows(count), wait=wait)

        assert [row.owner for row in there] == ["me"] * count
        assert {row.key for row in direct.find("default")} == set(KEYS[:count])


@on_each_fault
def test_a_sweep_that_is_repeated_after_its_error_wakes_ends_and_removes(
    faults: Any, fault: Fault, direct: PostgresqlStore, clock: ManualClock
) -> None:
    for store in faults(fault):
        woken: list[Wake] = []
        waiting, expiring, ended = rows(3)
        direct.insert([waiting, ended], wait=[0.0, 0.0])
        direct.insert([Row(key=expiring.key, payload=b"", visit=60.0, expires=5.0)], wait=[0.0])
        with direct._connection() as connection:
            connection.execute("UPDATE ucam_faas_jobs SET state = 'SUCCESS' WHERE id = '2'")
        clock.advance(61)

        try:
            sweep(store, "default", woken.extend)
        except JobStoreError:
            sweep(store, "default", woken.extend)

        assert {wake.key for wake in woken} == {waiting.key}
        states = {row.key: row.state for row in direct.find("default")}
        assert states == {waiting.key: State.PENDING, expiring.key: State.EXPIRED}
