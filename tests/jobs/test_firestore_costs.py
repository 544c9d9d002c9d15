"""The reads, writes and deletes of jobs in Firestore, counted where requests leave.

docs/stores.md has the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ucam_faas
from tests.contract.job_store_contract import AGAIN, DONE, KEY, row
from tests.jobs.runs import wake
from tests.serving.harness import exchange, make_app, on_a_loop
from tests.support.firestore import Bill, Firestore
from ucam_faas.jobs.rows import Change, Key, Row, Wake
from ucam_faas.jobs.states import ENDED, LIVE, State
from ucam_faas.jobs.stores.firestore.connect import api
from ucam_faas.jobs.stores.firestore.rows import TTL_GRACE_SECONDS
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.jobs.sweep import RETENTION_SECONDS, sweep
from ucam_faas.testing import ManualClock, MemoryPublisher, make_message, make_push

pytestmark = pytest.mark.slow

LEASE = 30.0
SEND = {"writes": 1}
CLAIM = {"reads": 1, "writes": 1}
FINISH = {"writes": 1}


@pytest.fixture
def bill(firestore: Firestore) -> Bill:
    return Bill(api(firestore.host))


@pytest.fixture
def store(bill: Bill, firestore: Firestore, clock: ManualClock) -> Iterator[FirestoreStore]:
    store = FirestoreStore(bill, firestore.new_project(), clock=clock)
    yield store
    store.close()


def insert(store: FirestoreStore, *rows: Row) -> list[Row]:
    return store.insert(rows, wait=[0.0] * len(rows))


def claim(store: FirestoreStore, key: Key = KEY) -> Row:
    row = store.claim(key, lease=LEASE, instance="here")
    assert row is not None
    return row


def test_a_job_takes_three_writes_and_a_read(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    assert bill.taken() == SEND
    fence = claim(store).fence
    assert bill.taken() == CLAIM
    store.change(KEY, DONE, fence=fence)
    assert bill.taken() == FINISH


def test_a_change_sends_what_it_changes(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    insert(store, row(payload=b"x" * 10_000))

    fence = claim(store).fence
    assert len(bill.last) < 3000
    store.change(KEY, AGAIN, fence=fence)
    assert len(bill.last) < 3000
    clock.advance(10)
    store.overdue("app", 10)
    assert len(bill.answer) < 3000
    store.visit([KEY], [60.0])
    assert len(bill.last) < 1000
    assert claim(store).payload == b"x" * 10_000


@on_a_loop
async def test_a_job_that_is_served_takes_no_more(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> int:
        return len(data)

    app = make_app(task, clock=clock, store=store)
    insert(store, row(Key("default", "task", "1"), payload=b"four"))

    response = await wake(app)

    assert response.status == 200
    assert bill.taken() == {"reads": 1, "writes": 3}
    (kept,) = store.find("default")
    assert (kept.state, kept.result) == (State.SUCCESS, b"4")


@on_a_loop
async def test_a_message_that_becomes_a_job_takes_no_more_and_its_duplicate_three_reads(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None, idempotent=True)
    def task(data: bytes) -> int:
        return len(data)

    app = make_app(task, clock=clock, store=store)
    push = make_push(make_message(b"four", message_id="m1"))
    counts = []
    for _ in range(2):
        response = await exchange(app, "/task", [push.body], headers=push.headers)
        assert response.status == 200
        counts.append(bill.taken())

    assert counts == [{"reads": 1, "writes": 3}, {"reads": 3, "writes": 1}]


@on_a_loop
async def test_a_wake_without_effect_takes_two_reads(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        """Do nothing."""

    app = make_app(task, clock=clock, store=store)
    insert(store, row(Key("default", "task", "1")))
    await wake(app)
    bill.taken()

    response = await wake(app)

    assert response.status == 200
    assert bill.taken() == {"reads": 2}


def test_a_retry_takes_two_writes_and_a_read_more(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    insert(store, row())
    bill.taken()

    store.change(KEY, AGAIN, fence=claim(store).fence)
    assert bill.taken() == {"reads": 1, "writes": 2}
    clock.advance(10)
    store.change(KEY, DONE, fence=claim(store).fence)
    assert bill.taken() == {"reads": 1, "writes": 2}


def test_a_duplicate_wake_takes_a_read_and_its_holders_end_no_more(
    store: FirestoreStore, bill: Bill
) -> None:
    insert(store, row())
    fence = claim(store).fence
    bill.taken()

    assert store.claim(KEY, lease=LEASE, instance="here") is None
    assert bill.taken() == {"reads": 1}
    store.change(KEY, DONE, fence=fence)
    assert bill.taken() == FINISH


def test_a_report_takes_a_write(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    fence = claim(store).fence
    bill.taken()

    for done in range(3):
        store.report(KEY, {"done": done}, fence=fence)

    assert bill.taken() == {"writes": 3}
    store.change(KEY, DONE, fence=fence)
    assert bill.taken() == FINISH


def test_a_step_takes_a_write_and_those_of_earlier_attempts_a_read(
    store: FirestoreStore, bill: Bill
) -> None:
    insert(store, row(payload=b"x" * 10_000))
    fence = claim(store).fence
    bill.taken()

    for number in range(3):
        store.put_step(KEY, f"page {number}", b"1", fence=fence)
        assert len(bill.last) < 1000
    assert bill.taken() == {"writes": 3}
    assert len(store.steps(KEY)) == 3
    assert bill.taken() == {"reads": 1}
    store.change(KEY, DONE, fence=fence)
    assert bill.taken() == FINISH


def test_a_unique_key_takes_a_write_and_a_delete_more(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row(unique="a"))
    assert bill.taken() == {"writes": 2}
    store.change(KEY, DONE, fence=claim(store).fence)
    assert bill.taken() == {"reads": 1, "writes": 2, "deletes": 1}


def test_a_job_that_a_job_sends_takes_a_read_more(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    parent = claim(store)
    bill.taken()

    store.insert([row(Key("app", "child", "1"))], wait=[0.0], parent=parent)

    assert bill.taken() == {"reads": 1, "writes": 1}


def test_a_batch_is_a_commit_without_reads(store: FirestoreStore, bill: Bill) -> None:
    insert(store, *(row(Key("app", "charge", str(number))) for number in range(300)))

    assert bill.requests == ["commit", "commit"]
    assert bill.taken() == {"writes": 300}


def test_a_duplicate_takes_a_read(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    bill.taken()

    insert(store, row(owner="another"))

    assert bill.taken() == {"writes": 1, "reads": 1}  # the write is refused


def test_a_sweep_without_overdue_jobs_takes_a_read(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    bill.taken()

    assert sweep(store, "app", wake=bool) == 0
    assert bill.taken() == {"reads": 1}


def test_wakes_by_the_sweep_take_a_read_and_a_write_each_and_one_for_the_paused_lanes(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    insert(store, *(row(Key("app", "charge", str(number))) for number in range(3)))
    clock.advance(60)
    bill.taken()

    assert sweep(store, "app", wake=bool) == 3
    assert bill.taken() == {"reads": 3 + 1, "writes": 3}


def test_an_expiry_takes_two_reads_and_a_write(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    insert(store, row(expires=5.0))
    clock.advance(5)
    bill.taken()

    assert sweep(store, "app", wake=bool) == 1
    assert bill.taken() == {"reads": 2, "writes": 1}
    kept = store.get(KEY)
    assert kept is not None
    assert (kept.state, kept.payload) == (State.EXPIRED, b"{}")


def test_a_removal_that_the_ttl_policy_left_out_takes_a_read_and_a_delete(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    insert(store, row())
    store.change(KEY, DONE, fence=claim(store).fence)
    clock.advance(DONE.visit)
    assert store.get(KEY) is None
    assert sweep(store, "app", wake=bool) == 0  # it is the policy's still
    clock.advance(TTL_GRACE_SECONDS)
    bill.taken()

    assert sweep(store, "app", wake=bool) == 1
    assert bill.taken() == {"reads": 1, "deletes": 1}
    assert sweep(store, "app", wake=bool) == 0


def test_a_look_at_thirty_jobs_that_are_waited_for_takes_a_read(
    store: FirestoreStore, bill: Bill
) -> None:
    keys = [Key("app", "charge", str(number)) for number in range(60)]
    insert(store, *map(row, keys))
    bill.taken()

    assert store.ended(keys) == {}
    assert bill.taken() == {"reads": 2}
    cancelled = Change(state=State.CANCELLED, cause="cancelled", visit=60)
    store.change(keys[0], cancelled, states=LIVE)
    bill.taken()
    assert list(store.ended(keys)) == [keys[0]]
    assert bill.taken() == {"reads": 3}


def test_a_limit_on_waiting_jobs_takes_a_read(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row())
    bill.taken()

    assert store.pending("app", "charge", limit=1000) == 1
    assert bill.taken() == {"reads": 1}


def test_a_limited_job_takes_four_reads_and_a_write_more(store: FirestoreStore, bill: Bill) -> None:
    insert(store, row(limit_key="a"))
    assert bill.taken() == SEND
    claimed = store.claim(KEY, lease=LEASE, instance="here", limit=1)
    assert claimed is not None
    assert bill.taken() == {"reads": 4, "writes": 2}
    done = store.change(KEY, DONE, fence=claimed.fence)
    assert bill.taken() == FINISH
    assert done is not None
    assert store.next_of(done, 1) is None
    assert bill.taken() == {"reads": 1}


def test_a_wake_of_a_job_that_has_to_wait_takes_three_reads_and_the_search_for_the_next_two(
    store: FirestoreStore, bill: Bill
) -> None:
    keys = [Key("app", "charge", id) for id in "123"]
    insert(store, *(row(key, limit_key="a") for key in keys))
    first = store.claim(keys[0], lease=LEASE, instance="here", limit=1)
    assert first is not None
    bill.taken()

    assert store.claim(keys[1], lease=LEASE, instance="here", limit=1) is None
    assert bill.taken() == {"reads": 3}
    store.change(keys[0], DONE, fence=first.fence)
    bill.taken()
    assert store.next_of(first, 1) == Wake(keys[1])
    assert bill.taken() == {"reads": 2}
    assert store.claim(keys[2], lease=LEASE, instance="here", limit=1) is None
    assert bill.taken() == {"reads": 4}


@on_a_loop
async def test_a_limited_job_that_is_served_takes_five_reads_and_one_that_waits_six_a_wake(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None, limit=ucam_faas.Limit("a"))
    def task(data: bytes) -> int:
        return len(data)

    publisher = MemoryPublisher({"task-inbox": []})
    app = make_app(task, clock=clock, store=store, publisher=publisher)
    keys = [Key("default", "task", id) for id in "12"]
    insert(store, row(keys[0], limit_key="a"))

    await wake(app)
    assert bill.taken() == {"reads": 5, "writes": 4}
    insert(store, *(row(keys[1]._replace(id=id), limit_key="a") for id in "34"))
    store.claim(keys[0]._replace(id="3"), lease=LEASE, instance="here", limit=1)
    bill.taken()
    await wake(app, id="4")
    assert bill.taken() == {"reads": 6}


def test_the_id_of_a_forgotten_job_is_free(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    """The TTL policy may take days to remove its document."""
    insert(store, row(owner="first", unique="a"))
    store.change(KEY, DONE, fence=claim(store).fence)
    clock.advance(DONE.visit)

    (there,) = insert(store, row(owner="second", unique="a"))

    assert there.owner == "second"
    assert not store.delete(KEY, states=ENDED)
    assert claim(store).fence == 1


def test_the_rows_of_abandoned_runs_are_not_kept(store: FirestoreStore, clock: ManualClock) -> None:
    keys = [Key("app", "charge", str(number)) for number in range(5)]
    insert(store, *map(row, keys))

    for key in keys:
        claim(store, key)
        clock.advance(LEASE)

    assert list(store._rows._claimed) == keys[-1:]


@on_a_loop
async def test_the_end_of_a_job_of_a_batch_takes_a_read_more_and_its_removal_two(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        """Do nothing."""

    publisher = MemoryPublisher({"task-inbox": []})
    app = make_app(task, clock=clock, store=store, publisher=publisher)
    keys = [Key("default", "task", id) for id in "12"]
    callback = row(
        Key("default", "task", "3"),
        payload=b'{"task": "task", "existing": []}',
        state=State.PAUSED,
    )
    insert(store, *(row(key, batch="task/3") for key in keys), callback)
    bill.taken()

    await wake(app, id="1")
    assert bill.taken() == {"reads": 2, "writes": 2}
    await wake(app, id="2")
    assert bill.taken() == {"reads": 4, "writes": 3}  # and starts the callback
    store.delete(callback.key, states=LIVE)
    bill.taken()
    clock.advance(RETENTION_SECONDS)
    assert sweep(store, "default", bool) == 2
    assert bill.taken() == {"reads": 5, "deletes": 2}


@on_a_loop
async def test_a_wake_in_a_paused_lane_takes_a_read_for_each_paused_lane(
    store: FirestoreStore, bill: Bill, clock: ManualClock
) -> None:
    @ucam_faas.message_handler(message_type=None, lanes=["bulk"])
    def task(data: bytes) -> None:
        """Do nothing."""

    app = make_app(task, clock=clock, store=store)
    insert(store, row(Key("default", "task", "1")))
    store.pause_lane("default", "task", "default")
    bill.taken()

    for _ in range(2):
        await wake(app)
        assert bill.taken() == {"reads": 1}
    store.pause_lane("default", "task", "bulk")
    bill.taken()
    await wake(app)
    assert bill.taken() == {"reads": 2}
