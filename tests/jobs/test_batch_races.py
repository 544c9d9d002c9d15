"""The last members of a batch end at the same time, in stores that processes share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ucam_faas.jobs import members
from ucam_faas.jobs.rows import Change, Key, Row, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore

DONE = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
MESSAGE = b'{"task": "charge", "existing": []}'
ROUNDS, MEMBERS = 20, 4


@pytest.fixture
def store(opened_store: JobStore) -> JobStore:
    return opened_store


def row(key: Key, **values: object) -> Row:
    return Row(**{"key": key, "payload": b"", "owner": "me", "visit": 60.0, **values})  # type: ignore[arg-type]


def test_members_that_end_while_the_callback_is_sent_start_it_once(store: JobStore) -> None:
    for number in range(ROUNDS):
        callback, wakes = Key("app", "sum", str(number)), list[Wake]()
        batch = members.batch_of(callback)
        keys = [Key("app", "charge", f"{number}-{member}") for member in range(MEMBERS)]
        store.insert([row(key, batch=batch) for key in keys], wait=[0.0] * MEMBERS)

        def end(key: Key, wakes: list[Wake] = wakes) -> None:
            ended = store.change(key, DONE)
            assert ended is not None
            members.after_end(store, ended, wakes.extend)

        def send(callback: Key = callback, wakes: list[Wake] = wakes) -> None:
            store.insert([row(callback, payload=MESSAGE, state=State.PAUSED)], wait=[0.0])
            members.start_callback(store, callback, wakes.extend)

        with ThreadPoolExecutor(MEMBERS + 1) as pool:
            futures = [pool.submit(end, key) for key in keys[1:]]
            futures += [pool.submit(send), pool.submit(end, keys[0])]
            for future in futures:
                future.result()

        there = store.get(callback)
        assert there is not None
        assert (there.state, wakes) == (State.PENDING, [Wake(callback)])
