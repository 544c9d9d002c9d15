"""A job that is too large for its store: refused at its send, and without its result at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ucam_faas
from tests.contract.job_store_contract import KEY, row
from tests.jobs.runs import FaultyStore, add, row_of, wake
from tests.jobs.test_adoption import DEAD
from tests.serving.harness import exchange, make_app, on_a_loop
from tests.support.firestore import Firestore
from ucam_faas.exceptions import BatchSendError, ResultNotStoredError
from ucam_faas.execution import runtime
from ucam_faas.job_runs.ends import MAX_MESSAGE, MAX_TRACEBACK
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Change, Key, check_size
from ucam_faas.jobs.states import State
from ucam_faas.testing import ManualClock, MemoryPublisher, make_message, make_push

TOO_LARGE = "and its store takes 100. Set UCAM_FAAS_PAYLOADS"


@pytest.fixture
def store(store: FaultyStore) -> FaultyStore:
    """Return a store that takes 100 bytes of a job."""
    store.max_bytes = 100
    return store


@ucam_faas.message_handler(message_type=None)
def task(data: bytes) -> str:
    """Return as many letters as the payload says."""
    return "x" * int(data)


@pytest.fixture
def sends(store: FaultyStore, clock: ManualClock) -> Iterator[None]:
    publisher = MemoryPublisher({"task-inbox": []})
    app = make_app(task, clock=clock, store=store, publisher=publisher)
    token = runtime.CURRENT.set(app.runtime)
    yield
    runtime.CURRENT.reset(token)


@pytest.mark.usefixtures("sends")
def test_a_payload_that_is_too_large_isnt_sent(store: FaultyStore) -> None:
    with pytest.raises(ValueError, match=f"The job has 101 bytes .*{TOO_LARGE}"):
        task.send(b"1" * 99, attributes={"a": "b"})

    task.send(b"1" * 98, attributes={"a": "b"}, id="fits")
    assert [row.key.id for row in store.find("default")] == ["fits"]


@pytest.mark.usefixtures("sends")
def test_a_batch_without_the_payloads_that_are_too_large_is_sent(store: FaultyStore) -> None:
    with pytest.raises(BatchSendError, match=TOO_LARGE) as caught:
        task.send_many([b"1", b"1" * 101, b"2"])

    assert [failure.index for failure in caught.value.failed] == [1]
    assert len(store.find("default")) == 2


@on_a_loop
async def test_a_result_that_is_too_large_is_a_success_without_a_result(
    store: FaultyStore, clock: ManualClock
) -> None:
    app = make_app(task, clock=clock, store=store)
    fits, beyond = add(store, id="1", payload=b"96"), add(store, id="2", payload=b"97")

    answers = [(await wake(app, id=id)).status for id in "12"]

    assert answers == [200, 200]
    assert row_of(store, fits).state is State.SUCCESS
    kept = row_of(store, beyond)
    assert (kept.state, kept.result, kept.fence) == (State.SUCCESS, None, 1)
    with pytest.raises(ResultNotStoredError, match=TOO_LARGE):
        Job(beyond, store).result()


@on_a_loop
async def test_a_message_that_is_too_large_to_become_a_job_is_dead_lettered(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran: list[bytes] = []

    @ucam_faas.message_handler(message_type=None, idempotent=True, dead_letter_topic=DEAD)
    def charge(data: bytes) -> None:
        ran.append(data)

    letters: dict[str, list[Any]] = {DEAD: []}
    publisher = MemoryPublisher(letters)
    app = make_app(charge, clock=clock, store=store, publisher=publisher)
    push = make_push(make_message(b"1" * 101, message_id="m1"))

    response = await exchange(app, "/charge", [push.body], headers=push.headers)

    assert (response.status, ran, len(letters[DEAD])) == (200, [], 1)
    assert TOO_LARGE in str(letters[DEAD][0])


@pytest.mark.slow
def test_the_largest_job_fits_into_a_document(firestore: Firestore, clock: ManualClock) -> None:
    """With the longest error, whose letters have four bytes, and some history."""
    store = firestore.store(clock)
    long = "🎉" * MAX_MESSAGE
    error = {"type": "E", "message": long, "traceback": "🎉" * MAX_TRACEBACK}
    half = store.max_bytes // 2
    new = row(Key("app", "charge", KEY.id), payload=b"\0" * half)
    store.insert([new], wait=[0.0])
    failed = Change(state=State.PENDING, cause="failed", visit=0, wait=0, message=long, error=error)
    for _ in range(3):
        claimed = store.claim(KEY, lease=30, instance="here")
        assert claimed is not None
        store.change(KEY, failed, fence=claimed.fence)
    claimed = store.claim(KEY, lease=30, instance="here")
    assert claimed is not None
    result = b"1" * half
    check_size(claimed, store.max_bytes, result)

    done = Change(state=State.SUCCESS, cause="finished", visit=60, result=result, message=long)
    assert store.change(KEY, done, fence=claimed.fence) is not None

    kept = store.get(KEY)
    assert kept is not None
    assert (kept.result, kept.history[0].cause, kept.history[-1].cause) == (
        result,
        "sent",
        "finished",
    )
    store.close()
