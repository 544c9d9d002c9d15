"""`FirestoreStore` does what every store does, on Google's emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.job_store_contract import JobStoreContract
from tests.support.firestore import Firestore
from tests.support.payloads import names_in
from ucam_faas.jobs.payloads.directory import Directory
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.by_reference import ByReference
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.jobs.sweep import RETENTION_SECONDS, sweep
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow


class TestFirestoreStore(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, firestore: Firestore) -> Iterator[FirestoreStore]:
        store = firestore.store(clock)
        yield store
        store.close()


@pytest.mark.parametrize("event_due", [False, True])
def test_the_sweep_removes_a_large_payload_which_a_ttl_policy_would_leave(
    firestore: Firestore, tmp_path: Path, event_due: bool
) -> None:
    clock, payloads = ManualClock(), Directory(str(tmp_path))
    rows = firestore.store(clock)
    store: Any = ByReference(rows, payloads, above=1000)
    key = Key("app", "charge", "1")
    store.insert([Row(key=key, payload=b"large" * 1000, owner="me", visit=60.0)], wait=[0.0])
    claimed = store.claim(key, lease=30, instance="here")
    result = b"large" * 1000
    done = Change(
        state=State.SUCCESS, cause="finished", visit=600, result=result, event_due=event_due
    )
    store.change(key, done, fence=claimed.fence)
    objects = len(names_in(payloads))

    clock.advance(600)
    if event_due:
        assert sweep(store, "app", bool) == 1  # it drops the event, as there is no topic
        clock.advance(RETENTION_SECONDS)
    count = sweep(store, "app", bool)

    assert (objects, count, names_in(payloads)) == (2, 1, [])
    rows.close()


def test_a_resent_id_keeps_its_payload_when_the_sweep_removes_the_forgotten_job_meanwhile(
    firestore: Firestore, tmp_path: Path
) -> None:
    clock, sweeps = ManualClock(), 0

    class Swept(Directory):
        """A sweep runs between an object's write and its row's."""

        def put(self, name: str, data: bytes) -> None:
            nonlocal sweeps
            super().put(name, data)
            sweeps += sweep(store, "app", bool)

    rows, payloads = firestore.store(clock), Swept(str(tmp_path))
    store: Any = ByReference(rows, payloads, above=1000)
    key = Key("app", "charge", "1")
    first = Row(key=key, payload=b"first" * 1000, owner="first", visit=60.0)
    store.insert([first], wait=[0.0])
    claimed = store.claim(key, lease=30, instance="here")
    store.change(key, Change(state=State.SUCCESS, cause="finished", visit=600), fence=claimed.fence)
    clock.advance(600)

    (again,) = store.insert(
        [Row(key=key, payload=b"again" * 1000, owner="again", visit=60.0)], wait=[0.0]
    )

    assert sweeps == 1
    assert store.payload_of(again) == b"again" * 1000
    assert len(names_in(payloads)) == 1
    rows.close()


def test_jobs_that_no_policy_has_removed_yet_leave_a_page_full(firestore: Firestore) -> None:
    clock = ManualClock()
    store = firestore.store(clock)
    keys = [Key("app", "charge", id) for id in "abc"]
    for key in keys:
        store.insert([Row(key=key, payload=b"", owner="me", visit=60.0)], wait=[0.0])
        clock.advance(1)
    for key in keys[1:]:
        store.change(key, Change(state=State.CANCELLED, cause="cancelled", visit=600))
    clock.advance(600)

    rows = store.find("app", limit=1)

    assert [row.key for row in rows] == keys[:1]
    store.close()
