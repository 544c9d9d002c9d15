"""Failed jobs: one list with the dead letters, and their replay is a retry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.runs import add, row_of
from tests.support.dead_letters import MemoryPubsub, dead_message
from tests.support.replays import Killed
from ucam_faas.actions.jobs import Jobs
from ucam_faas.config import Settings
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Kind, LetterState
from ucam_faas.dead_letters.runs import Run
from ucam_faas.dead_letters.targets import CloudTargets, To
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import JobStoreError
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Change, Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import ManualClock

KEEPER = "charge-dead-letter"
INBOX = "projects/local/topics/charge-inbox"
GONE = Filter(states=frozenset({LetterState.GONE}))


@dataclass
class Shop:
    """A workbench with a store of jobs and a Pub/Sub."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.store = SqliteStore(":memory:", self.clock)
        self.publisher = MemoryPublisher({INBOX: []})
        settings = Settings(app="default", project="local")
        runtime = Runtime(settings, self.clock, self.publisher, store=self.store)
        self.jobs = Jobs(runtime, self.store)
        self.pubsub = MemoryPubsub(self.clock)
        self.pubsub.subscribe(KEEPER, KEEPER)
        self.pubsub.subscribe("charge-inbox", "charge-inbox", endpoint="http://x")
        self.targets = CloudTargets(self.pubsub, self.publisher, None, self.jobs)
        self.bench = Workbench(
            Book(self.folder / "book.sqlite3", self.clock),
            self.pubsub,
            self.jobs,
            self.targets,
            by="ada@laptop",
        )

    def add(self, id: str, **values: object) -> Key:
        """Insert a job of the task `charge`, and let it fail."""
        key = add(self.store, "charge", id, payload=b'{"order": 17}', **values)
        self.fail(key)
        return key

    def fail(self, key: Key) -> None:
        row = self.store.claim(key, lease=60, instance="x")
        assert row is not None
        error = {"type": "KeyError", "fingerprint": "1:abc", "summary": "KeyError at shop.price"}
        change = Change(
            state=State.FAILURE, cause="failed", visit=60, failed=True, message="no", error=error
        )
        assert self.store.change(key, change, fence=row.fence) is not None
        self.clock.advance(1)

    @property
    def wakes(self) -> list[str]:
        return [each.attributes["ucam_faas_job"] for each in self.publisher.topics[INBOX]]

    def close(self) -> None:
        self.bench.close()
        self.store.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.close()


def test_failed_jobs_are_in_the_list_of_dead_letters(shop: Shop) -> None:
    shop.add("order/17", attributes={"tenant": "x"})
    add(shop.store, "charge", "waits")
    shop.pubsub.publish(KEEPER, dead_message(1))

    assert shop.bench.mirror().pulled == 2

    job, message = sorted(shop.bench.letters(), key=lambda letter: letter.kind)
    assert (job.id, job.kind, job.task) == ("job:charge/order/17", Kind.JOB, "charge")
    assert (job.reason, job.error, job.fingerprint) == ("no", "KeyError at shop.price", "1:abc")
    assert (job.attempts, job.replays, job.size) == (1, 0, 13)
    assert shop.bench.letter(job.id).data == b'{"order": 17}'
    assert shop.bench.content(job.id).attributes == {"tenant": "x"}
    assert message.kind is Kind.MESSAGE
    assert [group.count for group in shop.bench.groups()] == [1, 1]
    assert shop.bench.find("order/17") == [job.id]
    assert shop.bench.mirror().new == 0


def test_the_replay_of_a_failed_job_is_a_retry(shop: Shop) -> None:
    keys = [shop.add("17"), shop.add("18")]
    shop.bench.mirror()
    plan = shop.bench.plan(Filter(task="charge"))
    assert dict(plan.targets) == {"charge": ("2 jobs run again",)}

    assert shop.bench.run(plan.id).acked == 2

    assert [row_of(shop.store, key).state for key in keys] == [State.PENDING, State.PENDING]
    assert shop.wakes == ["17", "18"]
    assert shop.bench.count() == 0
    assert shop.bench.mirror().pulled == 0


def test_a_job_that_fails_again_is_a_new_letter_and_the_guard_sees_it(shop: Shop) -> None:
    key = shop.add("17")
    shop.bench.mirror()
    shop.bench.run(shop.bench.plan(Filter()).id)
    shop.fail(key)

    shop.bench.mirror()
    (letter,) = shop.bench.letters()
    plan = shop.bench.plan(Filter())

    assert (letter.state, letter.replays) == (LetterState.NEW, 1)
    assert (plan.total, plan.excluded) == (0, 1)
    assert shop.bench.plan(Filter(), again=True).total == 1


def test_a_job_that_fails_again_before_its_run_is_resumed_stays_in_the_list(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was killed after the retry, and before its note."""
    key = shop.add("17")
    shop.bench.mirror()
    plan = shop.bench.plan(Filter())
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_acknowledge", _killed)
        with pytest.raises(Killed):
            shop.bench.run(plan.id)
    shop.fail(key)
    shop.bench.mirror()

    shop.bench.run(plan.id)

    assert [letter.state for letter in shop.bench.letters()] == [LetterState.NEW]
    assert shop.bench.plan(Filter(), again=True).total == 1


def _killed(*arguments: object) -> None:
    raise Killed


def test_a_job_that_was_retried_elsewhere_is_not_retried_twice(shop: Shop) -> None:
    """As after the end of a process between the retry and its note."""
    key = shop.add("17")
    shop.bench.mirror()
    plan = shop.bench.plan(Filter())
    shop.jobs.job(key).retry()

    assert shop.bench.run(plan.id).acked == 1
    assert shop.wakes == ["17"]


def test_a_job_that_was_cancelled_meanwhile_is_not_retried(shop: Shop) -> None:
    key = shop.add("17")
    shop.bench.mirror()
    plan = shop.bench.plan(Filter())
    shop.jobs.job(key).retry()
    shop.jobs.job(key).cancel()

    report = shop.bench.run(plan.id)

    assert (report.failed, row_of(shop.store, key).state) == (1, State.CANCELLED)
    assert shop.bench.rows(plan.id)[0].reason == "the job is CANCELLED now"


def test_a_job_that_succeeded_meanwhile_is_gone(shop: Shop) -> None:
    key = shop.add("17")
    shop.bench.mirror()
    shop.jobs.job(key).retry()

    assert shop.bench.mirror().gone == 1
    assert [letter.id for letter in shop.bench.letters(GONE)] == ["job:charge/17"]


def test_a_job_that_was_deleted_after_the_plan_fails_in_its_run(shop: Shop) -> None:
    key = shop.add("17")
    shop.bench.mirror()
    plan = shop.bench.plan(Filter())
    shop.jobs.job(key).delete()

    assert shop.bench.run(plan.id).failed == 1
    assert "the job is gone" in shop.bench.rows(plan.id)[0].reason


def test_an_edited_job_is_sent_to_its_inbox_as_a_message(shop: Shop) -> None:
    """A job's payload doesn't change: the replay is another job."""
    key = shop.add("17")
    shop.bench.mirror()
    shop.bench.edit("job:charge/17", data=b'{"order": 18}')
    plan = shop.bench.plan(Filter())

    assert shop.bench.run(plan.id).acked == 1

    (message,) = shop.publisher.topics[INBOX]
    assert message.data == b'{"order": 18}'
    assert message.attributes["ucam_faas_replay_id"] == f"{plan.id}-1"
    assert row_of(shop.store, key).state is State.FAILURE
    assert shop.bench.mirror().pulled == 0  # it is dealt with, until it fails again


def test_a_job_and_the_dead_letter_of_its_message_are_one(shop: Shop) -> None:
    shop.add("10001")
    attributes = {**dead_message(1).attributes, "ucam_faas_task": "charge"}
    message = dead_message(1).model_copy(update={"attributes": attributes})
    shop.pubsub.publish(KEEPER, message)

    for _ in range(2):
        assert shop.bench.mirror().pulled == 1
    (letter,) = shop.bench.letters()
    assert (letter.kind, letter.job) == (Kind.MESSAGE, "charge/10001")

    plan = shop.bench.plan(Filter())
    assert shop.bench.rows(plan.id)[0].target.to is To.JOB
    assert shop.bench.run(plan.id).acked == 1
    assert shop.wakes == ["10001"]
    assert shop.pubsub.ids(KEEPER) == []
    assert shop.bench.mirror().pulled == 0


def test_an_edited_replay_or_a_purge_deals_with_the_job_of_a_letter_too(shop: Shop) -> None:
    for number in (1, 2):
        shop.add(str(10_000 + number))
        attributes = {**dead_message(number).attributes, "ucam_faas_task": "charge"}
        message = dead_message(number).model_copy(update={"attributes": attributes})
        shop.pubsub.publish(KEEPER, message)
    shop.bench.mirror()
    shop.bench.edit(f"{KEEPER}/1", data=b"1")

    assert shop.bench.run(shop.bench.plan([f"{KEEPER}/1"]).id).acked == 1
    assert shop.bench.purge([f"{KEEPER}/2"]) == 1

    assert shop.bench.mirror().pulled == 0
    assert shop.store.get(Key("default", "charge", "10002")) is None


def test_a_job_whose_message_dies_later_moves_to_the_letter(shop: Shop) -> None:
    shop.add("10001")
    shop.bench.mirror()
    attributes = {**dead_message(1).attributes, "ucam_faas_task": "charge"}
    shop.pubsub.publish(KEEPER, dead_message(1).model_copy(update={"attributes": attributes}))

    shop.bench.mirror()

    assert [letter.id for letter in shop.bench.letters(Filter(states=frozenset()))] == [
        f"{KEEPER}/1"
    ]


def test_a_letter_keeps_its_job_while_a_mirror_reads_the_store(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that is made meanwhile would send the message, and leave the job."""
    shop.add("10001")
    attributes = {**dead_message(1).attributes, "ucam_faas_task": "charge"}
    shop.pubsub.publish(KEEPER, dead_message(1).model_copy(update={"attributes": attributes}))
    shop.bench.mirror()
    find, jobs = shop.store.find, []

    def look(*arguments: Any, **options: Any) -> Any:
        jobs.append(shop.bench.letter(f"{KEEPER}/1").job)
        return find(*arguments, **options)

    monkeypatch.setattr(shop.store, "find", look)
    shop.bench.mirror()
    monkeypatch.undo()
    shop.jobs.job(Key("default", "charge", "10001")).retry()
    shop.bench.mirror()

    assert set(jobs) == {"charge/10001"}
    assert shop.bench.letter(f"{KEEPER}/1").job == ""


def test_a_store_that_fails_leaves_its_jobs_in_the_book(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("17")
    shop.bench.mirror()

    def fail(*arguments: object, **options: object) -> None:
        raise JobStoreError("The job store is down.")

    monkeypatch.setattr(shop.store, "find", fail)
    mirrored = shop.bench.mirror()

    assert (mirrored.gone, shop.bench.count()) == (0, 1)
    assert "The job store is down." in mirrored.problems[0]


def test_purged_jobs_are_deleted(shop: Shop) -> None:
    key = shop.add("17")
    shop.bench.mirror()

    assert shop.bench.purge(Filter(kind=Kind.JOB)) == 1

    assert shop.store.get(key) is None
    assert shop.bench.mirror().gone == 0
