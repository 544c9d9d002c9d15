"""The contract of every `JobStore`: subclass it, and override the fixture `store`.

class TestSqliteStore(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> JobStore: ...
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ucam_faas.exceptions import JobConflictError, JobLostError
from ucam_faas.jobs.rows import MAX_HISTORY, Change, Key, Row, Step, Wake
from ucam_faas.jobs.states import ENDED, LIVE, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.testing import ManualClock

KEY = Key("app", "charge", "1")
CHILD = Key("app", "child", "1")
LEASE = 30.0
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b'{"total": 3}')
WITH_EVENT = Change(state=State.FAILURE, cause="failed", visit=60, event_due=True)
AGAIN = Change(state=State.PENDING, cause="failed", visit=10, wait=10, failed=True)


def row(key: Key = KEY, **values: object) -> Row:
    """Return a new row."""
    return Row(**{"key": key, "payload": b"{}", "owner": "me", "visit": 60.0, **values})  # type: ignore[arg-type]


class JobStoreContract:
    """The tests; not collected under this name."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock) -> JobStore:
        """Return an empty store with this clock."""
        raise NotImplementedError("override the fixture `store`")

    def insert(self, store: JobStore, *rows: Row, wait: float = 0.0) -> list[Row]:
        return store.insert(rows, wait=[wait] * len(rows))

    def claim(self, store: JobStore, key: Key = KEY) -> Row | None:
        return store.claim(key, lease=LEASE, instance="here")

    def claimed(self, store: JobStore, key: Key = KEY) -> Row:
        row = self.claim(store, key)
        assert row is not None
        return row

    def test_a_job_whose_parent_is_claimed_is_inserted(self, store: JobStore) -> None:
        self.insert(store, row())
        parent = self.claimed(store)

        store.insert([row(CHILD)], wait=[0.0], parent=parent)
        again = store.insert([row(CHILD, owner="other")], wait=[0.0], parent=parent)

        assert again == [store.get(CHILD)]

    @pytest.mark.parametrize("is_there", [False, True])
    @pytest.mark.parametrize("loss", ["lease", "end", "deletion"])
    def test_a_parent_that_lost_its_claim_inserts_nothing(
        self, store: JobStore, clock: ManualClock, loss: str, is_there: bool
    ) -> None:
        self.insert(store, row())
        parent = self.claimed(store)
        other = KEY._replace(id="other")
        if is_there:
            store.insert([row(CHILD)], wait=[0.0], parent=parent)
        if loss == "lease":
            clock.advance(LEASE)
            self.claimed(store)
        else:
            store.change(KEY, DONE, fence=parent.fence)
        if loss == "deletion":
            store.delete(KEY, states=ENDED)

        with pytest.raises(JobLostError, match="'1' of 'charge' isn't this execution's"):
            store.insert([row(CHILD), row(other)], wait=[0.0, 0.0], parent=parent)

        assert store.get(other) is None

    def test_a_migration_of_a_store_that_is_in_use_keeps_its_rows(self, store: JobStore) -> None:
        (there,) = self.insert(store, row())

        store.migrate()

        assert store.get(KEY) == there

    def test_a_row_is_kept_as_it_was_inserted(self, store: JobStore) -> None:
        new = row(
            payload=b"\x00\xff",
            attributes={"colour": "é"},
            ordering_key="a",
            options={"retention": 5.0},
            source="parent",
        )

        (there,) = self.insert(store, new)

        kept = store.get(KEY)
        assert kept == there
        assert (kept.payload, kept.attributes, kept.ordering_key) == (
            b"\x00\xff",
            {"colour": "é"},
            "a",
        )
        assert (kept.options, kept.source, kept.state) == (
            {"retention": 5.0},
            "parent",
            State.PENDING,
        )

    def test_a_second_row_of_a_key_changes_nothing_and_returns_the_first(
        self, store: JobStore
    ) -> None:
        self.insert(store, row(owner="first"))
        self.claimed(store)

        (there,) = self.insert(store, row(owner="second", payload=b"other"))

        assert (there.owner, there.payload, there.state) == ("first", b"{}", State.STARTED)

    def test_a_batch_returns_the_row_that_is_there_for_each_of_its_rows(
        self, store: JobStore
    ) -> None:
        keys = [Key("app", "charge", id) for id in "2345"]
        self.insert(store, row(keys[0], owner="other", unique="a"))

        there = self.insert(
            store,
            row(keys[3], expires=30.0),
            row(keys[0]),
            row(keys[1], unique="a"),
            row(keys[2], payload=b"first"),
            row(keys[2], payload=b"second"),
            wait=5,
        )

        assert [kept.key for kept in there] == [keys[3], keys[0], keys[0], keys[2], keys[2]]
        assert [kept.owner for kept in there] == ["me", "other", "other", "me", "me"]
        assert [kept.payload for kept in there[3:]] == [b"first", b"first"]
        assert there == [store.get(kept.key) for kept in there]

    def test_a_new_batch_is_returned_as_it_is_kept(self, store: JobStore) -> None:
        keys = [Key("app", "charge", id) for id in "32"]

        there = self.insert(
            store,
            row(keys[0], expires=30.0, attributes={"a": "b"}, options={"timeout": 5.0}),
            row(keys[1], expires=90.0, unique="a"),
            wait=5,
        )

        assert there == [store.get(key) for key in keys]
        assert [kept.visit - kept.created for kept in there] == pytest.approx([30, 60])
        assert [kept.due - kept.created for kept in there] == pytest.approx([5, 5])

    def test_the_rows_that_an_insert_would_return_are_known_before(self, store: JobStore) -> None:
        keys = [Key("app", "charge", id) for id in "234"]
        self.insert(store, row(unique="a"), row(keys[0], unique="b"))
        store.change(keys[0], DONE, states=LIVE)
        wanted = [row(keys[2]), row(), row(keys[1], unique="a"), row(keys[1], unique="b")]

        existing = store.existing(wanted)

        assert existing == [None, store.get(KEY), store.get(KEY), None]

    def test_a_unique_key_has_one_job_until_that_has_ended(self, store: JobStore) -> None:
        second, other = Key("app", "charge", "2"), Key("app", "refund", "1")
        self.insert(store, row(unique="a"))
        fence = self.claimed(store).fence

        there = self.insert(store, row(second, unique="a"), row(other, unique="a"))
        store.change(KEY, DONE, fence=fence)
        later = self.insert(store, row(second, unique="a"))

        assert [kept.key for kept in there] == [KEY, other]
        assert [kept.key for kept in later] == [second]

    def test_a_job_runs_again_only_if_no_other_has_its_unique_key(self, store: JobStore) -> None:
        self.insert(store, row(unique="a"))
        store.change(KEY, DONE, fence=self.claimed(store).fence)
        self.insert(store, row(Key("app", "charge", "2"), unique="a"))
        afresh = Change(state=State.PENDING, cause="retried", visit=0, wait=0, afresh=True)

        with pytest.raises(JobConflictError, match="unique key"):
            store.change(KEY, afresh, states=ENDED)

        kept = store.get(KEY)
        assert kept is not None
        assert kept.state is State.SUCCESS

    def test_the_jobs_of_a_task_that_wait_are_counted_up_to_a_limit(self, store: JobStore) -> None:
        keys = [Key("app", "charge", str(number)) for number in range(4)]
        self.insert(store, *map(row, keys), row(Key("app", "refund", "0")))
        self.claimed(store, keys[0])

        counts = [store.pending("app", "charge", limit=limit) for limit in (2, 3, 10)]

        assert counts == [2, 3, 3]

    def test_a_lane_tells_how_many_jobs_wait_and_since_when(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        began = store.now()
        self.insert(store, row())
        clock.advance(5.0)
        keys = [Key("app", "charge", str(number)) for number in range(2, 6)]
        self.insert(store, *map(row, keys), row(Key("app", "charge", "b"), lane="bulk"))
        self.insert(store, row(Key("app", "charge", "later")), wait=60.0)
        self.claimed(store, keys[0])

        answers = [
            store.waiting("app", "charge", lane, limit=10) for lane in ("default", "bulk", "none")
        ]

        if answers != [None] * 3:  # such a store can't tell
            assert answers == [
                (4, pytest.approx(began)),
                (1, pytest.approx(began + 5.0)),
                (0, None),
            ]
            assert store.waiting("app", "charge", "default", limit=2) == (2, pytest.approx(began))

    def test_one_of_many_claimants_gets_the_job(self, store: JobStore) -> None:
        self.insert(store, row())

        with ThreadPoolExecutor(8) as pool:
            rows = list(pool.map(lambda _: self.claim(store), range(32)))

        assert sum(row is not None for row in rows) == 1

    def test_of_many_who_insert_one_job_or_one_unique_key_all_get_the_same_row(
        self, store: JobStore
    ) -> None:
        others = [Key("app", "other", str(number)) for number in range(16)]
        rows = [row(owner=str(number)) for number in range(16)]
        rows += [row(key, unique="a") for key in others]

        with ThreadPoolExecutor(8) as pool:
            there = list(pool.map(lambda new: self.insert(store, new)[0], rows))

        assert len({kept.owner for kept in there[:16]}) == 1
        assert len({kept.key for kept in there[16:]}) == 1
        assert sorted(kept.key for kept in store.find("app")) == sorted({k.key for k in there})

    def test_a_job_is_not_claimed_before_its_time(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row(), wait=5)

        clock.advance(4.9)
        before = self.claim(store)
        clock.advance(0.1)

        assert (before, self.claimed(store).state) == (None, State.STARTED)

    def test_a_job_is_not_claimed_after_its_time(self, store: JobStore, clock: ManualClock) -> None:
        self.insert(store, row(expires=5.0))

        clock.advance(5)

        assert self.claim(store) is None

    def test_a_claim_ends_with_its_lease_and_counts_as_a_failure(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        first = self.claimed(store)

        clock.advance(LEASE - 0.1)
        during = self.claim(store)
        clock.advance(0.1)
        second = self.claimed(store)

        assert during is None
        assert (second.fence, second.attempts) == (first.fence + 1, 1)

    def test_a_lost_claim_can_change_nothing(self, store: JobStore, clock: ManualClock) -> None:
        self.insert(store, row())
        first = self.claimed(store)
        clock.advance(LEASE)
        second = self.claimed(store)

        assert store.change(KEY, DONE, fence=first.fence) is None
        assert store.report(KEY, {"done": 1}, fence=first.fence) is None
        assert store.get(KEY) == second

    def test_a_finished_job_has_its_result_and_no_claim(self, store: JobStore) -> None:
        self.insert(store, row())

        done = store.change(KEY, DONE, fence=self.claimed(store).fence)

        assert done is not None
        assert (done.state, done.result, done.lease) == (State.SUCCESS, b'{"total": 3}', None)
        assert self.claim(store) is None
        assert store.change(KEY, DONE, fence=done.fence) is None

    def test_a_failed_job_waits_for_its_next_attempt(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        failed = store.change(KEY, AGAIN, fence=self.claimed(store).fence)

        too_early = self.claim(store)
        clock.advance(10)

        assert failed is not None
        assert (failed.attempts, too_early) == (1, None)
        assert self.claimed(store).fence == 2

    def test_a_change_without_a_claim_looks_at_the_state(self, store: JobStore) -> None:
        self.insert(store, row())
        cancel = Change(state=State.CANCELLED, cause="cancelled", visit=60)

        wrong = store.change(KEY, cancel, states={State.PAUSED})
        right = store.change(KEY, cancel, states={State.PENDING})

        assert (wrong, right and right.state) == (None, State.CANCELLED)

    def test_a_job_that_starts_afresh_has_no_attempts_nor_an_expiry(self, store: JobStore) -> None:
        self.insert(store, row(expires=100.0))
        again = replace(AGAIN, interrupted=True)
        store.change(KEY, again, fence=self.claimed(store).fence)
        afresh = Change(state=State.PENDING, cause="retried", visit=0, wait=0, afresh=True)

        changed = store.change(KEY, afresh, states=LIVE)

        assert changed is not None
        assert (changed.attempts, changed.interruptions, changed.expires) == (0, 0, None)
        assert store.get(KEY) == changed

    def test_a_cancellation_is_asked_of_the_holder_alone(self, store: JobStore) -> None:
        self.insert(store, row())
        before = store.request_cancel(KEY)

        self.claimed(store)

        asked = store.request_cancel(KEY)
        assert before is None
        assert asked is not None
        assert asked.cancel_requested

    def test_a_cancellation_that_was_asked_for_outlasts_the_run(self, store: JobStore) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.request_cancel(KEY)

        failed = store.change(KEY, AGAIN, fence=fence)
        afresh = Change(state=State.PENDING, cause="retried", visit=0, wait=0, afresh=True)
        retried = store.change(KEY, afresh)

        assert failed is not None
        assert failed.cancel_requested
        assert retried is not None
        assert not retried.cancel_requested

    def test_the_history_tells_each_change_and_the_time(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        clock.advance(2)
        store.change(KEY, DONE, fence=self.claimed(store).fence)

        kept = store.get(KEY)
        assert kept is not None
        sent, claimed, finished = kept.history
        assert [entry.state for entry in kept.history] == ["PENDING", "STARTED", "SUCCESS"]
        assert [sent.execution, claimed.execution, finished.execution] == [0, 1, 1]
        assert claimed.time - sent.time == pytest.approx(2)
        assert claimed.instance == "here"

    def test_a_history_keeps_its_beginning_and_its_end(self, store: JobStore) -> None:
        self.insert(store, row())
        again = Change(state=State.PENDING, cause="interrupted", visit=60, wait=0)
        for _ in range(MAX_HISTORY):
            store.change(KEY, again, fence=self.claimed(store).fence)

        kept = store.get(KEY)

        assert kept is not None
        assert len(kept.history) == MAX_HISTORY
        assert kept.history[0].cause == "sent"
        assert kept.history[-1].execution == MAX_HISTORY

    def test_a_row_is_overdue_from_its_visit_on(self, store: JobStore, clock: ManualClock) -> None:
        self.insert(store, row(visit=60.0), row(Key("app", "charge", "2"), visit=30.0))

        clock.advance(30)
        assert [late.key.id for late in store.overdue("app", 10)] == ["2"]
        clock.advance(30)
        assert [late.key.id for late in store.overdue("app", 10)] == ["2", "1"]
        store.visit([KEY], [10])
        assert [late.key.id for late in store.overdue("app", 10)] == ["2"]

    def test_the_overdue_rows_are_those_of_one_application(self, store: JobStore) -> None:
        self.insert(store, row(visit=0.0), row(Key("other", "charge", "1"), visit=0.0))

        assert [late.key for late in store.overdue("other", 10)] == [Key("other", "charge", "1")]

    def test_a_visit_leaves_a_row_alone_that_has_changed_meanwhile(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row(visit=0.0))
        assert len(store.overdue("app", 10)) == 1
        store.change(KEY, DONE, fence=self.claimed(store).fence)

        store.visit([KEY], [10])

        kept = store.get(KEY)
        assert kept is not None
        assert kept.visit == store.now() + DONE.visit

    def test_a_job_with_an_event_is_due_for_the_sweep_until_that_is_published(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        ended = store.change(KEY, WITH_EVENT, fence=self.claimed(store).fence)
        store.visit([KEY], [1])
        clock.advance(WITH_EVENT.visit)

        (late,) = store.overdue("app", 10)
        assert store.get(KEY) == ended
        store.visit([KEY], [30])
        again = store.get(KEY)
        store.visit([KEY], [60], published=[1])
        clock.advance(31)

        kept = store.get(KEY)
        assert ended is not None
        assert (ended.event_due, late.key, late.event_due) == (True, KEY, True)
        assert again is not None
        assert (again.event_due, again.visit) == (True, pytest.approx(store.now() - 1))
        assert kept is not None
        assert (kept.event_due, kept.visit) == (False, pytest.approx(store.now() + 29))
        assert store.overdue("app", 10) == []

    def test_an_event_that_is_published_late_leaves_that_of_a_later_run_due(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        ended = store.change(KEY, WITH_EVENT, fence=self.claimed(store).fence)
        again = Change(state=State.PENDING, cause="retried", visit=60, wait=0, afresh=True)
        store.change(KEY, again, states={WITH_EVENT.state})
        clock.advance(60)
        assert ended is not None

        store.visit([KEY], [900], published=[ended.fence])
        waiting = store.get(KEY)
        second = store.change(KEY, WITH_EVENT, fence=self.claimed(store).fence)
        store.visit([KEY], [900], published=[ended.fence])

        assert waiting is not None
        assert waiting.visit == pytest.approx(store.now())
        assert store.get(KEY) == second
        assert second is not None
        assert second.event_due

    def test_an_event_is_published_before_or_after_its_visit_and_noted_once(
        self, store: JobStore
    ) -> None:
        self.insert(store, row())
        store.change(KEY, WITH_EVENT, fence=self.claimed(store).fence)

        store.visit([KEY], [60], published=[1])
        first = store.get(KEY)
        store.visit([KEY], [5], published=[1])

        assert first is not None
        assert not first.event_due
        assert store.get(KEY) == first

    def test_a_job_that_runs_again_has_no_event_due(self, store: JobStore) -> None:
        self.insert(store, row())
        store.change(KEY, WITH_EVENT, fence=self.claimed(store).fence)
        afresh = Change(state=State.PENDING, cause="retried", visit=0, wait=0, afresh=True)

        retried = store.change(KEY, afresh, states=ENDED)

        assert retried is not None
        assert not retried.event_due

    def test_rows_are_found_by_task_state_id_and_time(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        other = Key("app", "refund", "1")
        self.insert(store, row())
        clock.advance(1)
        self.insert(store, row(other), row(Key("other", "charge", "1")))
        self.claimed(store, other)

        assert [row.key for row in store.find("app")] == [other, KEY]
        assert [row.key for row in store.find("app", task="charge")] == [KEY]
        assert [row.key for row in store.find("app", states={State.STARTED})] == [other]
        assert [row.key for row in store.find("app", id="1", limit=1)] == [other]
        assert store.find("another") == []
        now = store.now()
        assert [row.key for row in store.find("app", since=now)] == [other]
        assert [row.key for row in store.find("app", until=now)] == [KEY]

    def test_a_row_is_deleted_in_the_right_state_alone(self, store: JobStore) -> None:
        self.insert(store, row(limit_key="a", in_order=True))
        there = store.get(KEY)

        assert store.delete(KEY, states=ENDED) is None
        assert store.delete(KEY, states={State.PENDING}) == there
        assert store.get(KEY) is None
        assert store.delete(KEY, states=frozenset(State)) is None

    def test_the_end_of_a_watched_job_is_noticed(self, store: JobStore) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.watch([KEY])
        while store.changed(0):
            pass

        store.change(KEY, DONE, fence=fence)

        assert store.changed(5)
        assert not store.changed(0)

    def test_jobs_that_have_ended_are_told_from_others(self, store: JobStore) -> None:
        ended, live, missing = (Key("app", "charge", id) for id in "123")
        self.insert(store, row(ended), row(live))
        done = store.change(ended, DONE, fence=self.claimed(store, ended).fence)

        assert store.ended([ended, live, missing]) == {ended: done, missing: None}
        assert store.ended([]) == {}

    def limited(self, store: JobStore, ids: Iterable[str], **values: object) -> list[Key]:
        """Insert jobs of one limit key, in this order, and return their keys."""
        keys = [Key("app", "charge", id) for id in ids]
        self.insert(store, *(row(key, **{"limit_key": "a", **values}) for key in keys))
        return keys

    def start(self, store: JobStore, key: Key, limit: int | None = 1) -> Row | None:
        return store.claim(key, lease=LEASE, instance="here", limit=limit)

    def end(self, store: JobStore, key: Key, change: Change = DONE) -> Row:
        kept = store.get(key)
        assert kept is not None
        changed = store.change(key, change, fence=kept.fence)
        assert changed is not None
        return changed

    @pytest.mark.parametrize("limit", [1, 2])
    def test_so_many_jobs_of_a_limit_key_start_in_the_order_of_sending(
        self, store: JobStore, limit: int
    ) -> None:
        keys = self.limited(store, "4213")

        for number, key in enumerate(keys):
            assert [self.start(store, later, limit) for later in keys[number + limit :]] == [
                None
            ] * len(keys[number + limit :])
            assert self.start(store, key, limit) is not None
            if number >= limit - 1:
                done = self.end(store, keys[number - limit + 1])
                rest = keys[number + 1 :]
                assert store.next_of(done, limit) == (Wake(rest[0]) if rest else None)

        kept = [store.get(key) for key in keys]
        assert [row and (row.attempts, row.fence) for row in kept] == [(0, 1)] * 4

    def test_another_limit_key_task_and_application_do_not_wait(self, store: JobStore) -> None:
        (first,) = self.limited(store, "1")
        others = [Key("app", "charge", "2"), Key("app", "refund", "1"), Key("b", "charge", "1")]
        self.insert(store, row(others[0], limit_key="b"), *(row(o, limit_key="a") for o in others))
        assert self.start(store, first) is not None

        assert all(self.start(store, other) for other in others)

    def test_a_job_that_is_not_due_or_has_expired_lets_others_of_its_key_pass(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        expiring, failing, third = self.limited(store, "123", expires=50.0)
        self.insert(store, row(Key("app", "charge", "late"), limit_key="a"), wait=100)
        clock.advance(20)
        fourth = self.limited(store, "4")[0]
        assert self.start(store, failing) is None  # the first comes first
        assert self.start(store, expiring) is not None
        assert store.next_of(self.end(store, expiring, AGAIN), 1) == Wake(failing)

        assert self.start(store, failing) is not None
        self.end(store, failing)
        clock.advance(40)

        assert self.start(store, third) is None
        assert self.start(store, fourth) is not None

    def test_a_dead_holder_is_passed_over_after_its_lease(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        dead, second, third = self.limited(store, "123")
        holder = self.start(store, dead)
        assert holder is not None
        clock.advance(LEASE - 0.1)
        assert self.start(store, second) is None
        assert store.next_of(holder, 1) is None
        clock.advance(0.1)

        assert store.next_of(holder, 1) == Wake(dead)
        assert self.start(store, second) is not None
        assert self.start(store, dead) is None
        done = self.end(store, second)
        assert store.next_of(done, 1) == Wake(dead)
        assert self.start(store, dead) is not None
        assert self.start(store, third) is None

    def test_jobs_in_order_wait_for_the_end_of_all_before(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        keys = self.limited(store, "123", in_order=True)
        first, second, third = keys
        assert self.start(store, first, None) is not None
        failed = self.end(store, first, AGAIN)

        assert store.next_of(failed, None) == Wake(second)  # a hint: it can't start
        assert [self.start(store, key, None) for key in keys] == [None] * 3
        clock.advance(AGAIN.visit)
        assert self.start(store, first, None) is not None
        clock.advance(LEASE)
        assert [self.start(store, key, None) for key in (second, third)] == [None] * 2
        assert self.start(store, first, None) is not None
        self.end(store, first, Change(state=State.PAUSED, cause="paused", visit=60))
        assert [self.start(store, key, None) for key in (second, third)] == [None] * 2
        store.change(first, Change(state=State.CANCELLED, cause="cancelled", visit=60))

        assert self.start(store, third, None) is None
        assert self.start(store, second, None) is not None

    def test_a_job_keeps_its_lane_and_so_does_the_wake_of_the_next(self, store: JobStore) -> None:
        other = KEY._replace(id="2")
        self.insert(store, row(lane="bulk", limit_key="a"), row(other, lane="big", limit_key="a"))

        claimed = store.claim(KEY, lease=30, instance="here", limit=1)
        assert claimed is not None
        done = self.end(store, KEY, DONE)

        assert claimed.lane == done.lane == "bulk"
        assert store.next_of(done, 1) == Wake(other, "big")

    def test_a_lane_is_paused_until_it_is_resumed(self, store: JobStore) -> None:
        assert store.paused_lanes("app") == frozenset()
        assert store.pause_lane("app", "charge", "bulk")
        assert store.pause_lane("app", "charge", "default")
        assert not store.pause_lane("app", "charge", "bulk")
        assert store.pause_lane("other", "charge", "bulk")

        assert store.paused_lanes("app") == {("charge", "bulk"), ("charge", "default")}
        assert store.resume_lane("app", "charge", "bulk")
        assert not store.resume_lane("app", "charge", "bulk")
        assert store.paused_lanes("app") == {("charge", "default")}
        assert store.paused_lanes("other") == {("charge", "bulk")}

    def test_the_steps_of_a_job_are_kept_in_their_order(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row(), row(CHILD))
        fence, other = self.claimed(store).fence, self.claimed(store, CHILD).fence
        sent = clock.now().timestamp()
        for name in ("b", "ä.`/", "a"):
            assert store.put_step(KEY, name, b'"\xc3\xa9"', fence=fence) is False
            clock.advance(1)
        store.put_step(CHILD, "b", b"2", fence=other)

        assert store.steps(KEY) == [
            Step("b", b'"\xc3\xa9"', sent),
            Step("ä.`/", b'"\xc3\xa9"', sent + 1),
            Step("a", b'"\xc3\xa9"', sent + 2),
        ]
        assert store.steps(KEY._replace(id="missing")) == []

    def test_a_step_takes_the_place_of_one_with_its_name(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        for value in (b"1", b"2"):
            store.put_step(KEY, "", value, fence=fence)
            clock.advance(1)

        assert [step.value for step in store.steps(KEY)] == [b"2"]

    def test_a_step_of_a_job_whose_end_was_asked_for_is_stored_and_says_so(
        self, store: JobStore
    ) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.put_step(KEY, "a", b"1", fence=fence)
        store.request_cancel(KEY)

        assert store.put_step(KEY, "a", b"2", fence=fence) is True
        assert [step.value for step in store.steps(KEY)] == [b"2"]

    @pytest.mark.parametrize("loss", ["lease", "end", "deletion"])
    def test_a_void_claim_stores_no_step(
        self, store: JobStore, clock: ManualClock, loss: str
    ) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.put_step(KEY, "a", b"1", fence=fence)
        if loss == "lease":
            clock.advance(LEASE)
            self.claimed(store)
        else:
            store.change(KEY, DONE, fence=fence)
        if loss == "deletion":
            store.delete(KEY, states=ENDED)

        assert store.put_step(KEY, "b", b"2", fence=fence) is None
        steps = [] if loss == "deletion" else ["a"]
        assert [step.name for step in store.steps(KEY)] == steps

    def test_steps_outlast_an_attempt_and_are_removed_with_the_row(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.put_step(KEY, "a", b"1", fence=fence)
        store.change(KEY, AGAIN, fence=fence)
        clock.advance(AGAIN.visit)
        fence = self.claimed(store).fence
        kept = store.steps(KEY)
        store.change(KEY, DONE, fence=fence)
        store.delete(KEY, states=ENDED)

        self.insert(store, row(owner="again"))

        assert [step.name for step in kept] == ["a"]
        assert store.steps(KEY) == []

    def test_a_job_of_the_same_id_has_no_steps_of_one_whose_retention_has_ended(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        self.insert(store, row())
        fence = self.claimed(store).fence
        store.put_step(KEY, "a", b"1", fence=fence)
        store.change(KEY, DONE, fence=fence)
        clock.advance(DONE.visit)
        if store.get(KEY) is not None:  # the sweep removes it
            store.delete(KEY, states=ENDED)

        self.insert(store, row(owner="again"))

        assert store.steps(KEY) == []

    def test_a_job_without_a_key_gets_one_before_a_limited_task_takes_it(
        self, store: JobStore
    ) -> None:
        (first,) = self.limited(store, "1")
        second = Key("app", "charge", "2")
        self.insert(store, row(second))
        assert self.start(store, second) is None

        changed = store.set_limit_key(second, "a")

        assert changed is not None
        assert changed.limit_key == "a"
        assert store.set_limit_key(second, "b") is None
        assert self.start(store, second) is None
        assert self.start(store, first) is not None
        self.end(store, first)
        assert self.start(store, second) is not None

    def test_a_task_that_has_no_limit_any_more_takes_every_job(self, store: JobStore) -> None:
        keys = self.limited(store, "123")

        assert all(self.start(store, key, None) for key in reversed(keys))

    def test_claims_at_once_take_no_more_than_the_limit(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        """A dead holder and the next job may start: neither comes before the other."""
        pairs: list[list[Key]] = []
        for number in range(30):
            ids = [f"{number}{letter}" for letter in "ab"]
            pair = self.limited(store, ids, limit_key=str(number))
            assert self.start(store, pair[0]) is not None
            pairs.append(pair)
        clock.advance(LEASE)

        with ThreadPoolExecutor(2) as pool:
            started = [list(pool.map(lambda key: self.start(store, key), pair)) for pair in pairs]

        assert [sum(row is not None for row in pair) for pair in started] == [1] * 30

    def members(self, store: JobStore, ids: str, batch: str = "sum/1") -> list[Key]:
        keys = [Key("app", "charge", id) for id in ids]
        self.insert(store, *(row(key, batch=batch) for key in keys))
        return keys

    def test_a_row_that_is_paused_when_it_is_sent_starts_by_a_change(self, store: JobStore) -> None:
        (new,) = self.insert(store, row(state=State.PAUSED))
        too_early = self.claim(store)

        store.change(KEY, Change(state=State.PENDING, cause="ended", visit=60, wait=0))

        assert (new.state, new.history[0].state, too_early) == (State.PAUSED, State.PAUSED, None)
        assert self.claimed(store).batch is None

    def test_a_batch_has_live_members_until_all_have_ended(self, store: JobStore) -> None:
        first, second = self.members(store, "ab")
        self.members(store, "c", batch="sum/2")
        live = []
        for key in (first, second):
            fence = self.claimed(store, key).fence
            live.append(store.has_live_members("app", "sum/1"))
            store.change(key, DONE, fence=fence)

        assert live == [True, True]
        assert not store.has_live_members("app", "sum/1")
        assert store.has_live_members("app", "sum/2")
        assert not store.has_live_members("other", "sum/2")

    def test_a_member_that_is_retried_is_live_again(self, store: JobStore) -> None:
        (key,) = self.members(store, "a")
        store.change(key, WITH_EVENT)
        had_ended = not store.has_live_members("app", "sum/1")

        store.change(key, AGAIN, states=ENDED)

        assert had_ended
        assert store.has_live_members("app", "sum/1")

    def test_members_are_counted_by_their_states(self, store: JobStore) -> None:
        keys = self.members(store, "abcd")
        self.claimed(store, keys[0])
        for key in keys[1:3]:
            store.change(key, DONE)

        counts = store.count_members("app", "sum/1")

        assert counts == {State.STARTED: 1, State.SUCCESS: 2, State.PENDING: 1}
        assert store.count_members("app", "sum/2") == {}

    def test_members_are_read_in_pages(self, store: JobStore) -> None:
        keys = self.members(store, "abcde")
        self.members(store, "fgh", batch="sum/2")
        pages: list[list[Row]] = [store.members("app", "sum/1", limit=2)]
        while pages[-1]:
            pages.append(store.members("app", "sum/1", after=pages[-1][-1].key, limit=2))

        assert [len(page) for page in pages] == [2, 2, 1, 0]
        assert {each.key for page in pages for each in page} == set(keys)
        assert {each.batch for page in pages for each in page} == {"sum/1"}

    def test_a_member_is_kept_after_its_retention_until_the_sweep_removes_it(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        (key,) = self.members(store, "a")
        store.change(key, DONE)
        clock.advance(DONE.visit)

        kept, (overdue,) = store.get(key), store.overdue("app", 10)
        store.visit([key], [60])

        assert kept is not None
        assert (overdue.key, overdue.batch, overdue.state) == (key, "sum/1", State.SUCCESS)
        assert store.overdue("app", 10) == []
        assert len(store.members("app", "sum/1", limit=10)) == 1
        assert store.delete(key, states=ENDED) is not None
        assert store.members("app", "sum/1", limit=10) == []

    def test_the_children_of_a_job_are_read_in_pages(self, store: JobStore) -> None:
        keys = [Key("app", task, id) for task in ("charge", "mail") for id in "ab"]
        self.insert(store, *(row(key, parent="order/1") for key in keys))
        self.insert(store, row(KEY, parent="order/2"), row(CHILD))
        pages: list[list[Row]] = [store.children("app", "order/1", limit=3)]
        while pages[-1]:
            pages.append(store.children("app", "order/1", after=pages[-1][-1].key, limit=3))

        assert [len(page) for page in pages] == [3, 1, 0]
        assert {each.key for page in pages for each in page} == set(keys)
        assert {each.parent for page in pages for each in page} == {"order/1"}
        assert store.children("other", "order/1", limit=3) == []
        child = store.get(CHILD)
        assert child is not None
        assert child.parent is None

    @pytest.mark.parametrize("filters", [{}, {"states": {State.PENDING}, "until": 1e12}])
    def test_rows_are_found_page_by_page(
        self, store: JobStore, clock: ManualClock, filters: dict[str, Any]
    ) -> None:
        keys = [Key("app", task, id) for id in "abc" for task in ("charge", "mail")]
        self.insert(store, *map(row, keys[:5]))
        clock.advance(1)
        self.insert(store, row(keys[5]))
        pages: list[list[Row]] = [store.find("app", limit=2, **filters)]
        while pages[-1]:
            last = pages[-1][-1]
            store.delete(last.key, states=LIVE)
            pages.append(store.find("app", after=last.place, limit=2, **filters))

        assert [len(page) for page in pages] == [2, 2, 2, 0]
        assert pages[0][0].key == keys[5]
        assert {each.key for page in pages for each in page} == set(keys)
