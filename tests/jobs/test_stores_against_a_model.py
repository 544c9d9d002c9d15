"""Any sequence of calls leaves a store as it leaves a model, which is a few lines of Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.firestore import Firestore
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import ENDED, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock

LEASE = 30.0
KEYS = [Key("app", "charge", id) for id in "12"]
keys = st.sampled_from(KEYS)


@dataclass
class Model:
    """A job."""

    due: float
    expires: float | None
    visit: float
    state: State = State.PENDING
    fence: int = 0
    attempts: int = 0
    interruptions: int = 0
    lease: float | None = None
    cancel_requested: bool = False
    result: bytes | None = None
    changes: int = 1
    limit_key: str | None = None
    in_order: bool = False
    place: int = 0


class Machine(RuleBasedStateMachine):
    """Calls a store and the model."""

    store: JobStore
    clock: ManualClock
    forgets = False
    """The store hides a job when its retention has ended, before the sweep removes it."""

    def __init__(self) -> None:
        super().__init__()
        for key in KEYS:
            self.store.delete(key, states=frozenset(State))
        self.models: dict[Key, Model] = {}
        self.places = itertools.count()

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    @rule(seconds=st.sampled_from([0.5, 10.0, LEASE, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.forgets:
            for key, model in list(self.models.items()):
                if model.state.is_completed and model.visit <= self.now:
                    del self.models[key]

    @rule(
        key=keys,
        wait=st.sampled_from([0.0, 10.0]),
        ttl=st.sampled_from([None, 5.0, 50.0]),
        limit_key=st.sampled_from([None, "limit", "order", "order"]),
    )
    def insert(self, key: Key, wait: float, ttl: float | None, limit_key: str | None) -> None:
        row = Row(
            key=key,
            payload=b"{}",
            owner=str(self.now),
            expires=ttl,
            visit=60.0,
            limit_key=limit_key,
            in_order=limit_key == "order",
        )
        (there,) = self.store.insert([row], wait=[wait])
        if key not in self.models:
            expires = None if ttl is None else self.now + ttl
            visit = min(self.now + 60, self.now + 60 if expires is None else expires)
            self.models[key] = Model(
                due=self.now + wait,
                expires=expires,
                visit=visit,
                limit_key=limit_key,
                in_order=row.in_order,
                place=next(self.places),
            )
            assert there.owner == row.owner

    @rule(key=keys)
    def claim(self, key: Key) -> None:
        model = self.models.get(key)
        limit = 1 if model is not None and model.limit_key == "limit" else None
        row = self.store.claim(key, lease=LEASE, instance="here", limit=limit)
        if model is None or not self.may_be_claimed(model):
            assert row is None
            return
        assert row is not None
        model.attempts += model.state is State.STARTED
        model.state, model.fence = State.STARTED, model.fence + 1
        model.lease = model.visit = self.now + LEASE
        model.changes += 1

    def may_be_claimed(self, model: Model) -> bool:
        others = [other for other in self.models.values() if other is not model]
        if model.limit_key and any(
            other.limit_key == model.limit_key and self.comes_first(other, model)
            for other in others
        ):
            return False
        if model.state is State.STARTED:
            return model.lease is not None and model.lease <= self.now
        is_alive = model.expires is None or model.expires > self.now
        return model.state is State.PENDING and model.due <= self.now and is_alive

    def comes_first(self, other: Model, model: Model) -> bool:
        """Return True if another job of a key is held, or was sent before and isn't over."""
        if other.state is State.STARTED and other.lease is not None and other.lease > self.now:
            return True
        if other.place > model.place or other.state.is_completed:
            return False
        if other.state is not State.PENDING:
            return model.in_order
        is_alive = other.expires is None or other.expires > self.now
        return is_alive and (model.in_order or other.due <= self.now)

    @rule(
        key=keys,
        state=st.sampled_from(State),
        behind=st.sampled_from([0, 0, 0, 1]),
        wait=st.sampled_from([None, 0.0, 10.0]),
        failed=st.booleans(),
        interrupted=st.booleans(),
    )
    def holder_changes(
        self,
        key: Key,
        state: State,
        behind: int,
        wait: float | None,
        failed: bool,
        interrupted: bool,
    ) -> None:
        """The present holder, or one whose claim another has taken."""
        if state is State.STARTED:
            return
        model = self.models.get(key)
        result = b"1" if state is State.SUCCESS else None
        change = Change(
            state=state,
            cause="test",
            visit=60,
            wait=wait,
            failed=failed,
            interrupted=interrupted,
            result=result,
        )
        fence = (model.fence if model else 1) - behind
        row = self.store.change(key, change, fence=fence)
        if model is None or behind or model.state is not State.STARTED:
            assert row is None
            return
        self.apply(model, change)

    @rule(
        key=keys,
        change=st.sampled_from(
            [
                (Change(state=State.CANCELLED, cause="cancelled", visit=60), {State.PENDING}),
                (Change(state=State.PENDING, cause="resumed", visit=60), {State.PAUSED}),
                (
                    Change(state=State.PENDING, cause="retried", visit=60, wait=0, afresh=True),
                    ENDED - {State.SUCCESS},
                ),
            ]
        ),
    )
    def sender_changes(self, key: Key, change: tuple[Change, frozenset[State]]) -> None:
        what, states = change
        row, model = self.store.change(key, what, states=states), self.models.get(key)
        if model is None or model.state not in states:
            assert row is None
            return
        self.apply(model, what)

    def apply(self, model: Model, change: Change) -> None:
        model.state, model.lease = change.state, None
        model.due = model.due if change.wait is None else self.now + change.wait
        model.visit = self.now + change.visit
        model.attempts = (0 if change.afresh else model.attempts) + change.failed
        model.interruptions = (0 if change.afresh else model.interruptions) + change.interrupted
        model.expires = None if change.afresh else model.expires
        model.result = change.result
        model.cancel_requested = model.cancel_requested and not change.afresh
        model.changes += 1

    @rule(key=keys)
    def ask_to_cancel(self, key: Key) -> None:
        row, model = self.store.request_cancel(key), self.models.get(key)
        asked = model is not None and model.state is State.STARTED
        assert (row is not None) == asked
        if model is not None and asked:
            model.cancel_requested = True

    @rule(key=keys)
    def delete(self, key: Key) -> None:
        model = self.models.get(key)
        ended = model is not None and model.state.is_completed
        assert (self.store.delete(key, states=ENDED) is not None) == ended
        if ended:
            del self.models[key]

    @invariant()
    def rows_are_as_in_the_model(self) -> None:
        for key in KEYS:
            row, model = self.store.get(key), self.models.get(key)
            assert (row is None) == (model is None)
            if row is None or model is None:
                continue
            assert (row.state, row.fence, row.attempts, row.interruptions) == (
                model.state,
                model.fence,
                model.attempts,
                model.interruptions,
            )
            assert (row.result, row.cancel_requested) == (model.result, model.cancel_requested)
            assert len(row.history) == min(model.changes, 100)
            for time, expected in [
                (row.due, model.due),
                (row.visit, model.visit),
                (row.lease, model.lease),
                (row.expires, model.expires),
            ]:
                assert time == (None if expected is None else pytest.approx(expected, abs=0.001))

    @invariant()
    def the_overdue_and_the_ended_are_those_of_the_model(self) -> None:
        overdue = {key for key, model in self.models.items() if model.visit <= self.now - 0.001}
        listed = {row.key for row in self.store.overdue("app", 10)}
        assert overdue <= listed
        ended = {key for key in KEYS if key not in self.models}
        ended |= {key for key, model in self.models.items() if model.state.is_completed}
        assert set(self.store.ended(KEYS)) == ended


def check(store: JobStore, clock: ManualClock, examples: int, *, forgets: bool = False) -> None:
    machine = type("Machine", (Machine,), {"store": store, "clock": clock, "forgets": forgets})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:", clock)
    yield store
    store.close()


@pytest.mark.slow
def test_sqlite(memory: SqliteStore, clock: ManualClock) -> None:
    check(memory, clock, 100)


@pytest.mark.slow
def test_postgresql(database: str, clock: ManualClock) -> None:
    store = PostgresqlStore(database, clock)
    try:
        check(store, clock, 40)
    finally:
        store.close()


@pytest.mark.slow
def test_firestore(firestore: Firestore, clock: ManualClock) -> None:
    store = firestore.store(clock)
    try:
        check(store, clock, 5, forgets=True)
    finally:
        store.close()
