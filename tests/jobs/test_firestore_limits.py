"""The claims of a limit's key by several processes, each of which has a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.contract.job_store_contract import DONE, KEY, LEASE, row
from tests.support.firestore import Firestore
from ucam_faas.jobs.rows import Key, Row, Wake
from ucam_faas.jobs.stores.firestore.connect import api
from ucam_faas.jobs.stores.firestore.documents import Write
from ucam_faas.jobs.stores.firestore.limits import GUARD_SECONDS
from ucam_faas.jobs.stores.firestore.rows import JOBS, limit_id
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.jobs.stores.firestore.values import Timestamp
from ucam_faas.net.rest import Api
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow

SECOND = KEY._replace(id="2")


class Between:
    """An API that makes a call before the next commit."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.host = api.host
        self.call = bool

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        if path.endswith(":commit"):
            call, self.call = self.call, bool
            call()
        return self._api.post(path, body, timeout_seconds)

    def close(self) -> None:
        self._api.close()


@pytest.fixture
def project(firestore: Firestore) -> str:
    return firestore.new_project()


@pytest.fixture
def store(firestore: Firestore, project: str, clock: ManualClock) -> Iterator[FirestoreStore]:
    store = firestore.store(clock, project)
    yield store
    store.close()


@pytest.fixture
def between(firestore: Firestore) -> Between:
    return Between(api(firestore.host))


@pytest.fixture
def other(between: Between, project: str, clock: ManualClock) -> Iterator[FirestoreStore]:
    """Return the store of another process."""
    store = FirestoreStore(between, project, clock=clock)
    yield store
    store.close()


def start(store: FirestoreStore, key: Key, limit: int = 1) -> Row | None:
    return store.claim(key, lease=LEASE, instance="here", limit=limit)


def insert(store: FirestoreStore, *keys: Key) -> None:
    store.insert([row(key, limit_key="a") for key in keys], wait=[0.0] * len(keys))


def test_claims_of_two_processes_at_once_take_no_more_than_the_limit(
    store: FirestoreStore, other: FirestoreStore, clock: ManualClock
) -> None:
    """A dead holder and the next job may start: neither comes before the other."""
    pairs = [[Key("app", "charge", f"{number}{letter}") for letter in "ab"] for number in range(30)]
    for number, pair in enumerate(pairs):
        rows = [row(key, limit_key=str(number)) for key in pair]
        store.insert(rows, wait=[0.0, 0.0])
        assert start(store, pair[0]) is not None
    clock.advance(LEASE)

    with ThreadPoolExecutor(2) as pool:
        started = [list(pool.map(start, (store, other), pair)) for pair in pairs]

    assert [sum(row is not None for row in pair) for pair in started] == [1] * 30


def test_a_claim_that_another_of_its_key_overtakes_waits(
    store: FirestoreStore, other: FirestoreStore, between: Between, clock: ManualClock
) -> None:
    insert(store, KEY, SECOND)
    assert start(store, KEY) is not None
    clock.advance(LEASE)
    between.call = lambda: start(store, SECOND) is None

    assert start(other, KEY) is None  # it was free when it was read
    kept = store.get(SECOND)
    assert kept is not None
    assert kept.fence == 1


def test_a_claim_whose_guard_the_ttl_policy_removes_meanwhile_is_made(
    store: FirestoreStore, other: FirestoreStore, between: Between, clock: ManualClock
) -> None:
    insert(store, KEY, SECOND)
    first = start(store, KEY)
    assert first is not None
    store.change(KEY, DONE, fence=first.fence)
    documents = store._documents
    name = documents.name(JOBS, limit_id(KEY, "a"))
    guard = documents.get([name])[name]
    between.call = lambda: bool(documents.commit([Write(name, None)]))

    assert start(other, SECOND) is not None
    assert guard.fields == {"remove": Timestamp(clock.now().timestamp() + GUARD_SECONDS)}
    assert list(documents.get([name])) == [name]


def test_the_order_of_sending_is_that_of_the_server_whatever_the_senders_clocks_say(
    store: FirestoreStore, firestore: Firestore, project: str, clock: ManualClock
) -> None:
    late = ManualClock(clock.now() - timedelta(minutes=1))
    sender = firestore.store(late, project)

    insert(store, KEY)
    insert(sender, SECOND)
    sender.close()

    assert start(store, SECOND) is None
    assert start(store, KEY) is not None


def test_a_job_that_was_due_when_it_was_sent_keeps_its_place_whatever_a_later_clock_says(
    store: FirestoreStore, firestore: Firestore, project: str, clock: ManualClock
) -> None:
    """Otherwise a process whose time lags would take it for one that waits, and let others pass."""
    ahead = ManualClock(clock.now() + timedelta(seconds=1))
    sender = firestore.store(ahead, project)

    insert(sender, KEY)
    sender.close()
    insert(store, SECOND)

    assert start(store, SECOND) is None
    clock.advance(1)
    assert start(store, KEY) is not None


def test_expired_jobs_before_a_job_do_not_hide_it(
    store: FirestoreStore, clock: ManualClock
) -> None:
    expired = [row(KEY._replace(id=f"e{n}"), limit_key="a", expires=5.0) for n in range(9)]
    store.insert(expired, wait=[0.0] * 9)
    insert(store, KEY, SECOND)
    clock.advance(5)

    assert start(store, SECOND) is None
    assert store.next_of(row(limit_key="a"), 1) == Wake(KEY)
    assert start(store, KEY) is not None
