"""Mirrors: the book has all letters and failed jobs, and they stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dead_letters import MemoryPubsub, dead_message
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.book_lock import BookBusyError
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import LetterState, letter_of
from ucam_faas.dead_letters.source import Received, SourceError, Subscription
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.testing import ManualClock

KEEPER = "charge-dead-letter"
GONE = Filter(states=frozenset({LetterState.GONE}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pubsub(clock: ManualClock) -> MemoryPubsub:
    pubsub = MemoryPubsub(clock)
    pubsub.subscribe(KEEPER, KEEPER)
    return pubsub


@pytest.fixture
def bench(tmp_path: Path, pubsub: MemoryPubsub, clock: ManualClock) -> Iterator[Workbench]:
    bench = Workbench(Book(tmp_path / "book.sqlite3", clock), pubsub, by="ada@laptop")
    yield bench
    bench.close()


def test_a_mirror_copies_all_letters_and_leaves_them(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    pubsub.publish(KEEPER, *map(dead_message, range(3_000)))

    mirrored = bench.mirror()

    assert (mirrored.pulled, mirrored.new, mirrored.gone) == (3_000, 3_000, 0)
    assert bench.count() == 3_000
    assert len(pubsub.pull(KEEPER)) == 100
    assert bench.mirrored() == mirrored
    assert bench.journal(limit=1)[0].detail == "3000 letters, 3000 new, 0 gone"


def test_letters_that_another_process_acknowledged_are_gone(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    pubsub.publish(KEEPER, *map(dead_message, range(10)))
    bench.mirror()
    bench.handled([f"{KEEPER}/3"])
    taken = [each for each in pubsub.pull(KEEPER) if each.message.message_id in ("2", "3")]
    pubsub.acknowledge(KEEPER, [each.ack_id for each in taken])
    pubsub.clock.sleep(10)

    assert bench.mirror().gone == 2
    assert [letter.id for letter in bench.letters(GONE)] == [f"{KEEPER}/3", f"{KEEPER}/2"]
    assert bench.count() == 8


def test_a_letter_that_another_process_held_waits_again_after_the_next_mirror(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    pubsub.publish(KEEPER, dead_message(1))
    bench.mirror()
    pubsub.pull(KEEPER)
    assert bench.mirror().gone == 1

    pubsub.clock.sleep(10)

    assert bench.mirror().new == 0
    assert bench.count() == 1


@pytest.mark.parametrize("state", [LetterState.REPLAYED, LetterState.PURGED])
def test_a_letter_that_is_done_and_still_there_is_acknowledged(
    bench: Workbench, pubsub: MemoryPubsub, state: LetterState
) -> None:
    """Its lease ended before the acknowledgement, which Pub/Sub then ignores."""
    pubsub.publish(KEEPER, dead_message(1), dead_message(2))
    bench.mirror()
    bench.book.mark(Filter.of_ids([f"{KEEPER}/1"]), state, by="ada")

    assert bench.mirror().pulled == 1
    assert pubsub.ids(KEEPER) == ["2"]


def test_the_book_forgets_what_was_done_a_month_ago_and_keeps_the_journal(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    pubsub.publish(KEEPER, dead_message(1), dead_message(2))
    bench.mirror()
    bench.edit(f"{KEEPER}/1", data=b"secret")
    bench.book.mark(Filter.of_ids([f"{KEEPER}/1"]), LetterState.REPLAYED, by="ada")
    bench.mirror()
    pubsub.clock.sleep(32 * 24 * 3600)

    bench.mirror()

    assert [letter.id for letter in bench.letters(Filter(states=frozenset()))] == [f"{KEEPER}/2"]
    journal = [(entry.what, entry.detail) for entry in bench.journal(letter=f"{KEEPER}/1")]
    assert journal == [("replayed", ""), ("edited", "")]  # its data are forgotten, too


def test_every_dead_letter_topic_is_looked_at(bench: Workbench, pubsub: MemoryPubsub) -> None:
    topic = "projects/local/topics/unpaid"
    pubsub.subscribe("charge", "orders", endpoint="http://x", dead_letter_topic=topic)
    pubsub.subscribe("unpaid-kept", "unpaid")
    pubsub.subscribe("unpaid-in-a-bucket", "unpaid", exports=True)
    pubsub.subscribe("given-up-kept", "given-up")
    pubsub.publish("unpaid", dead_message(1))
    pubsub.publish("given-up", dead_message(2))
    pubsub.subscribe("lost-kept", "lost")  # of a task that isn't known here
    pubsub.publish("lost", dead_message(3))
    pubsub.subscribe("audit", "audits")
    pubsub.publish("audits", dead_message(4))
    needs = TaskNeeds(
        name="ship",
        path="/ship",
        takes="JSON",
        topic="parcels",
        decided_dead_letter_topic="given-up",
    )
    bench.tasks = lambda: [needs]

    bench.mirror()

    assert {letter.keeper for letter in bench.letters()} == {
        "unpaid-kept",
        "given-up-kept",
        "lost-kept",
    }
    assert bench.mirrored().problems == ()  # type: ignore[union-attr]  # there was one


def test_a_dead_letter_topic_that_a_task_reads_is_named(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    """Terraform and `ucam-faas dev` make no keeper for it."""
    topics = [f"projects/{project}/topics/unpaid" for project in ("local", "other")]
    for number, topic in enumerate(topics):
        pubsub.subscribe(f"task-{number}", "orders", endpoint="http://x", dead_letter_topic=topic)
    pubsub.subscribe("complain", "unpaid", endpoint="http://x")

    assert bench.mirror().problems == (
        "The dead letters on unpaid go to complain, which handles them: nothing keeps them.",
        "The dead letters on projects/other/topics/unpaid are in the project other: look there.",
    )


def test_a_dead_letter_topic_without_a_subscription_is_named(
    bench: Workbench, pubsub: MemoryPubsub
) -> None:
    topic = "projects/local/topics/unpaid"
    pubsub.subscribe("charge", "orders", endpoint="http://x", dead_letter_topic=topic)

    (problem,) = bench.mirror().problems

    assert problem.startswith("No subscription keeps the dead letters on unpaid: ")


class _Listless(MemoryPubsub):
    """The account may pull, and may not list."""

    def subscriptions(self) -> list[Subscription]:
        raise SourceError("list: PERMISSION_DENIED: no", status=403)


def test_without_the_right_to_list_the_names_of_terraform_are_used(
    tmp_path: Path, clock: ManualClock
) -> None:
    pubsub = _Listless(clock)
    for keeper, topic in ((KEEPER, KEEPER), ("unpaid-kept", "unpaid")):
        pubsub.subscribe(keeper, topic)
        pubsub.publish(topic, dead_message(1))
    needs = TaskNeeds(
        name="charge",
        path="/charge",
        takes="JSON",
        topic="orders",
        dead_letter_topic=KEEPER,
        decided_dead_letter_topic="unpaid",
    )
    bench = Workbench(
        Book(tmp_path / "book.sqlite3", clock), pubsub, by="ada", tasks=lambda: [needs]
    )

    assert bench.mirror().pulled == 2
    bench.tasks = list
    with pytest.raises(SourceError, match="PERMISSION_DENIED"):
        bench.mirror()
    bench.close()


class _Failing(MemoryPubsub):
    """A subscription fails in the middle."""

    def pull(self, subscription: str) -> list[Received]:
        if subscription == "b-dead-letter":
            raise SourceError("b-dead-letter: INTERNAL: sorry", status=500)
        return super().pull(subscription)


def test_letters_of_a_subscription_that_fails_are_not_gone(
    tmp_path: Path, clock: ManualClock
) -> None:
    pubsub = _Failing(clock)
    bench = Workbench(Book(tmp_path / "book.sqlite3", clock), pubsub, by="ada")
    for keeper in (KEEPER, "b-dead-letter"):
        pubsub.subscribe(keeper, keeper)
    pubsub.publish(KEEPER, dead_message(1))
    bench.book.put([letter_of(dead_message(7), "b-dead-letter")])

    mirrored = bench.mirror()

    assert (mirrored.pulled, mirrored.gone) == (1, 0)
    assert mirrored.problems == ("b-dead-letter: INTERNAL: sorry.",)
    bench.close()


def test_only_one_process_holds_the_letters(bench: Workbench) -> None:
    with (
        bench.book.lock.alone(),
        pytest.raises(BookBusyError, match="being copied, replayed or purged"),
    ):
        bench.mirror()
    bench.mirror()


class _Late(MemoryPubsub):
    """Answers once without the letters that it has."""

    late = True

    def pull(self, subscription: str) -> list[Received]:
        if subscription == "b-dead-letter" and self.late:
            self.late = False
            return []
        return super().pull(subscription)


def test_an_empty_answer_is_doubted_for_all_keepers_at_once(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Pub/Sub may answer without the messages that it has. Ten tasks don't wait ten times."""
    pubsub = _Late(clock)
    for task in "abcdefghij":
        pubsub.subscribe(f"{task}-dead-letter", f"{task}-dead-letter")
    pubsub.publish("b-dead-letter", dead_message(1))
    bench = Workbench(Book(tmp_path / "book.sqlite3", clock), pubsub, by="ada")
    began = clock.monotonic()

    mirrored = bench.mirror()

    assert mirrored.pulled == 1
    assert clock.monotonic() - began == pytest.approx(0.1 + 0.1 + 0.5)
    bench.close()


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "1900-01-01T00:00:00",
        "9999-99-99",
        "soon",
    ],
)
def test_a_time_that_cannot_be_is_not_taken_from_an_attribute(time: str) -> None:
    """A publisher to the dead-letter topic writes these."""
    times = {
        "ucam_faas_first_attempt": time,
        "ucam_faas_last_attempt": time,
        "CloudPubSubDeadLetterSourceTopicPublishTime": time,
    }
    message = dead_message(7)
    letter = letter_of(message.model_copy(update={"attributes": times}), "kept")

    assert message.publish_time is not None
    published = message.publish_time.timestamp()
    assert (letter.first_attempt, letter.last_attempt) == (None, None)
    assert (letter.time, letter.sent) == (published, published)
