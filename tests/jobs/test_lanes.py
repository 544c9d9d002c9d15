"""Jobs in lanes: sent to one, kept in it, and woken through its inbox."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from tests.jobs.runs import FaultyStore, add, row_of, wake
from tests.serving.harness import make_app, on_a_loop
from ucam_faas import Limit, Priority, Retry, RetryPolicy, TaskCollection
from ucam_faas.config import Settings
from ucam_faas.exceptions import JobStoreError, NoSuchTopicError, PublishError
from ucam_faas.execution import inbox, lanes
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.job_runs import pauses
from ucam_faas.jobs.rows import Row, Wake
from ucam_faas.testing import JobsFactory, ManualClock, MemoryPublisher

shop = TaskCollection(lanes=["bulk"])
ran: list[str] = []


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    monkeypatch.setattr(lanes, "_WARNED", set())


@shop.message_handler(retry=RetryPolicy(min_backoff=timedelta(seconds=10)))
def charge(number: int) -> int:
    """Charge, the second time if it is number 13."""
    ran.append(f"charge {number}")
    if number == 13 and ran.count("charge 13") == 1:
        raise Retry
    return number


@ucam_faas.message_handler
def note(number: int) -> None:
    """Note."""


@shop.message_handler
def split(numbers: list[int]) -> list[str]:
    """Send a job for each number, and two notes."""
    note.send(1)
    note.send(2)
    return [charge.send(number).id for number in numbers]


@shop.message_handler(propagate_lane=False)
def split_apart(number: int) -> str:
    """Send a job."""
    return charge.send(number).id


@ucam_faas.message_handler(lanes=3)
def numbered(number: int) -> None: ...


@ucam_faas.message_handler(lanes=Priority)
def prioritised(number: int) -> None: ...


def lane_of(jobs: Any, job: Any) -> str:
    return str(jobs.store.get(job.key).lane)


def test_a_job_goes_to_the_lane_that_its_sending_names(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(charge, numbered, prioritised)

    sent = [
        charge.send(1),
        charge.send(2, lane="bulk"),
        numbered.send(1, lane=0),
        numbered.send(1, lane=1),
        numbered.send(1, lane="lane-2"),
        prioritised.send(1, lane=Priority.HIGH),
        prioritised.send(1, lane=Priority.MEDIUM),
        *charge.send_many([5, 6], lane="bulk"),
    ]
    jobs.run_all()

    lanes = [lane_of(jobs, job) for job in sent]
    assert lanes[:2] == ["default", "bulk"]
    assert lanes[2:5] == ["default", "lane-1", "lane-2"]
    assert lanes[5:] == ["high", "default", "bulk", "bulk"]
    assert {job.status for job in sent} == {ucam_faas.State.SUCCESS}
    assert "charge-inbox-bulk" in jobs.publisher.topics


@pytest.mark.parametrize(
    ("lane", "error"),
    [
        ("fast", ValueError),
        (1, ValueError),
        (True, TypeError),
        (-1, TypeError),
        ("A b", ValueError),
    ],
)
def test_a_lane_that_the_task_lacks_is_an_error_with_its_lanes(
    ucam_faas_jobs: JobsFactory, lane: Any, error: type[Exception]
) -> None:
    ucam_faas_jobs(charge)

    with pytest.raises(error, match=f"lane={lane!r}"):
        charge.send(1, lane=lane)


def test_what_a_task_sends_stays_in_its_lane_where_the_receiver_has_it(
    ucam_faas_jobs: JobsFactory, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = ucam_faas_jobs(charge, split, note)

    parent = split.send([1, 2], lane="bulk")
    jobs.run_all()

    rows = jobs.store.find("default")
    assert {row.key.task: row.lane for row in rows} == {
        "split": "bulk",
        "charge": "bulk",
        "note": "default",
    }
    assert parent.status is ucam_faas.State.SUCCESS
    (warning,) = [r for r in caplog.records if r.getMessage() == "ucam_faas_lane_left"]
    assert warning.levelno == logging.WARNING
    assert (warning.fields["task"], warning.fields["lane"]) == ("note", "bulk")  # type: ignore[attr-defined]


def test_a_task_that_does_not_propagate_sends_to_default_without_a_warning(
    ucam_faas_jobs: JobsFactory, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = ucam_faas_jobs(charge, split_apart)

    split_apart.send(1, lane="bulk")
    jobs.run_all()

    lanes = {row.key.task: row.lane for row in jobs.store.find("default")}
    assert lanes == {"split_apart": "bulk", "charge": "default"}
    assert "ucam_faas_lane_left" not in caplog.text


def test_a_job_inline_does_not_run_in_the_lane_of_its_sender(ucam_faas_jobs: JobsFactory) -> None:
    """Its own lane decides, and the sender's is back after it."""
    jobs = ucam_faas_jobs(charge, split, note, inline=True)

    split.send([1], lane="bulk")
    outside = charge.send(2)

    assert lane_of(jobs, outside) == "default"
    assert lanes.LANE.get() == "default"


def test_a_retry_a_resume_and_the_sweep_wake_through_the_inbox_of_the_lane(
    ucam_faas_jobs: JobsFactory,
) -> None:
    jobs = ucam_faas_jobs(charge)
    topic = "charge-inbox-bulk"

    job = charge.send(13, lane="bulk")
    jobs.run_all()
    jobs.advance(30)
    job.delete()
    late = charge.send(14, lane="bulk", delay=timedelta(hours=1))
    late.cancel()
    late.retry()
    jobs.run_all()

    assert ran == ["charge 13", "charge 13", "charge 14"]
    assert len(jobs.publisher.topics[topic]) >= 3
    assert "charge-inbox" not in jobs.publisher.topics


def test_the_next_job_of_a_limit_is_woken_in_its_own_lane(ucam_faas_jobs: JobsFactory) -> None:
    @ucam_faas.message_handler(name="print_label", lanes=["bulk"], limit=Limit("printer"))
    def print_label(number: int) -> None: ...

    jobs = ucam_faas_jobs(print_label)
    first = print_label.send(1)
    second = print_label.send(2, lane="bulk")
    jobs.publisher.topics.clear()

    jobs.run_all()

    assert first.status == second.status == ucam_faas.State.SUCCESS
    assert list(jobs.publisher.topics) == ["print_label-inbox-bulk"]


def test_a_limit_holds_for_all_lanes_together(store: FaultyStore) -> None:
    lanes_of = {str(number): ("default", "bulk")[number % 2] for number in range(4)}
    keys = [add(store, "charge", id, lane=lane, limit_key="a") for id, lane in lanes_of.items()]

    held = [store.claim(key, lease=60, instance=key.id, limit=2) for key in keys]

    assert [row.lane if row else None for row in held] == ["default", "bulk", None, None]


@pytest.mark.parametrize("deliveries", ["normal", "hostile"])
def test_lanes_hold_under_hostile_deliveries(ucam_faas_jobs: JobsFactory, deliveries: Any) -> None:
    jobs = ucam_faas_jobs(charge, split, note, deliveries=deliveries)

    parents = [split.send([n, n + 1], lane="bulk") for n in (1, 20, 30)]
    jobs.run_all()

    assert {job.status for job in parents} == {ucam_faas.State.SUCCESS}
    rows = [row for row in jobs.store.find("default") if row.key.task == "charge"]
    assert {row.lane for row in rows} == {"bulk"}
    assert len(rows) == 6


def test_without_a_store_the_payload_goes_to_the_inbox_of_the_lane(clock: ManualClock) -> None:
    publisher = MemoryPublisher({"charge-inbox-bulk": []})
    CURRENT.set(Runtime(Settings(), clock, publisher))

    charge.send(7, lane="bulk")

    (message,) = publisher.topics["charge-inbox-bulk"]
    assert message.data == b"7"
    CURRENT.set(None)


class WithoutLane(MemoryPublisher):
    """A Pub/Sub of a version that doesn't have the lane any more."""

    def __init__(self, error: PublishError) -> None:
        super().__init__({"charge-inbox": []})
        self.error = error

    def publish_many(self, topic: str, drafts: Any, **options: Any) -> list[str]:
        """Publish, but not to a lane."""
        if topic.endswith("bulk"):
            raise self.error
        return super().publish_many(topic, drafts, **options)


def _unreachable() -> PublishError:
    error = PublishError("no answer")
    error.__cause__ = OSError()
    return error


@pytest.mark.parametrize(
    ("error", "woken"),
    [(NoSuchTopicError("gone"), 1), (PublishError("403"), 1), (_unreachable(), 0)],
)
def test_the_jobs_of_a_lane_that_is_gone_are_woken_in_default(
    clock: ManualClock, store: FaultyStore, error: PublishError, woken: int
) -> None:
    publisher = WithoutLane(error)
    key = add(store, "charge", lane="bulk")
    here = Runtime(Settings(), clock, publisher, store=store)

    inbox.wake(here, [Wake(key, row_of(store, key).lane)])

    assert len(publisher.topics["charge-inbox"]) == woken


def test_a_job_by_name_goes_to_the_lane_that_is_named(clock: ManualClock) -> None:
    publisher = MemoryPublisher({"of-another-process-inbox-bulk": []})
    CURRENT.set(Runtime(Settings(), clock, publisher))

    ucam_faas.send("of-another-process", 1, lane="bulk")

    assert len(publisher.topics["of-another-process-inbox-bulk"]) == 1
    CURRENT.set(None)


def test_no_job_of_a_paused_lane_starts_and_the_others_do(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(charge)
    jobs.store.pause_lane("default", "charge", "bulk")

    bulk, default = charge.send(1, lane="bulk"), charge.send(2)
    jobs.advance(3600)

    assert (bulk.status, default.status) == (ucam_faas.State.PENDING, ucam_faas.State.SUCCESS)
    assert [entry.cause for entry in bulk.history] == ["sent"], "a wake costs the job nothing"
    jobs.store.resume_lane("default", "charge", "bulk")
    jobs.advance(600)
    assert bulk.status is ucam_faas.State.SUCCESS, "the sweep wakes it"


def test_a_job_that_runs_when_its_lane_is_paused_ends_and_its_retry_waits(
    ucam_faas_jobs: JobsFactory,
) -> None:
    @ucam_faas.message_handler(
        name="pausing", lanes=["bulk"], retry=RetryPolicy(min_backoff=timedelta(seconds=10))
    )
    def pausing(number: int) -> str:
        jobs.store.pause_lane("default", "pausing", "bulk")
        ran.append(f"pausing {number}")
        if number == 13 and len(ran) == 1:
            raise Retry
        return "done"

    jobs = ucam_faas_jobs(pausing)
    failing = pausing.send(13, lane="bulk")
    jobs.run_all()
    jobs.advance(3600)
    waiting = failing.status
    jobs.store.resume_lane("default", "pausing", "bulk")
    jobs.advance(600)

    assert waiting is ucam_faas.State.PENDING
    assert failing.status is ucam_faas.State.SUCCESS
    assert ran == ["pausing 13", "pausing 13"]


def test_a_pause_holds_after_five_seconds_and_its_end_at_once(
    store: FaultyStore, clock: ManualClock
) -> None:
    def is_paused() -> bool:
        return pauses.is_paused(store, "default", "charge", "bulk", clock)

    before = is_paused()
    store.pause_lane("default", "charge", "bulk")
    soon = is_paused()
    clock.advance(5)
    later = is_paused()
    store.resume_lane("default", "charge", "bulk")

    assert (before, soon, later, is_paused()) == (False, False, True, False)


class Counting(FaultyStore):
    """Counts the questions for paused lanes."""

    asked = 0

    def paused_lanes(self, app: str) -> frozenset[tuple[str, str]]:
        """Return the paused lanes."""
        self.asked += 1
        return super().paused_lanes(app)


@on_a_loop
async def test_the_store_is_asked_for_pauses_once_in_five_seconds_and_only_for_lanes(
    clock: ManualClock,
) -> None:
    store = Counting(clock)
    app = make_app(charge, note, clock=clock, store=store)
    for number in range(30):
        add(store, "charge", str(number), payload=b"1")
        add(store, "note", str(number), payload=b"1")

    for number in range(10):
        await wake(app, "note", str(number))
    without_lanes = store.asked
    for number in range(30):
        await wake(app, "charge", str(number))
        clock.advance(0.5)

    assert (without_lanes, store.asked) == (0, 3)
    store.close()


@on_a_loop
async def test_a_store_that_does_not_say_which_lanes_are_paused_is_asked_again(
    clock: ManualClock,
) -> None:
    class Down(FaultyStore):
        def paused_lanes(self, app: str) -> frozenset[tuple[str, str]]:
            raise JobStoreError("down")

    store = Down(clock)
    key = add(store, "charge", payload=b"1")

    answer = await wake(make_app(charge, clock=clock, store=store), "charge")

    assert (answer.status, row_of(store, key).executions) == (503, 0)
    store.close()


def test_the_end_of_a_pause_wakes_the_jobs_of_the_lane_that_are_due(store: FaultyStore) -> None:
    keys = [add(store, "charge", str(number), lane="bulk") for number in range(3)]
    add(store, "charge", "of another lane")
    add(store, "note", "of another task", lane="bulk")
    later = Row(key=keys[0]._replace(id="later"), payload=b"", visit=60.0, lane="bulk")
    store.insert([later], wait=[60.0])

    wakes = list(pauses.wakes(store, "default", "charge", "bulk"))

    assert sorted(wakes) == sorted(Wake(key, "bulk") for key in keys)
