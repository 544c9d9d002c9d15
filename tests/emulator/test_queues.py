"""What one subscription delivers, and when: the core, with hand-moved time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ucam_faas.emulator.engine import RETENTION_SWEEP_SECONDS
from ucam_faas.emulator.lease import DAY, Holder, Rules, parse_ack_id
from ucam_faas.emulator.queues import BYTES_AT_ONCE, SCANNED_AT_ONCE, Queue
from ucam_faas.emulator.storage import Message, Storage
from ucam_faas.emulator.storage.memory import MemoryStorage
from ucam_faas.emulator.storage.sqlite import SqliteStorage

from .world import DEAD, START, TOPIC, World, attempts, subscription


@pytest.fixture
def world() -> World:
    return World(topics=(TOPIC, DEAD))


@pytest.fixture(params=["memory", "sqlite"])
def kept_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world in each storage, for what is about restarts."""
    storage: Storage = (
        MemoryStorage() if request.param == "memory" else SqliteStorage(tmp_path / "state")
    )
    world = World(storage, topics=(TOPIC, DEAD))
    yield world
    world.storage.close()


def restarted(world: World) -> Queue:
    """Save, begin anew, and return the first subscription's queue."""
    world.engine.save()
    world.now += 0.001
    world.begin(world.storage)
    return world.queues[100]


# -- leases -----------------------------------------------------------------------------------


def test_a_subscription_gets_what_is_published_after_it(world: World) -> None:
    world.publish("before")
    queue = world.subscribe()
    world.publish("a", "b")

    assert list(world.take(queue)) == ["a", "b"]


def test_every_subscription_gets_every_message(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()
    world.publish("a")

    world.ack(first, world.take(first)["a"])

    assert list(world.take(second)) == ["a"]


def test_a_leased_message_is_not_delivered_again_before_its_deadline(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("a")
    world.take(queue)

    world.advance(9.999)
    assert world.take(queue) == {}
    world.advance(0.001)

    assert attempts(world.take(queue)) == {"a": 2}


def test_a_holder_may_have_another_deadline(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("a")
    world.take(queue, holder=Holder(ack_deadline=60.0))

    world.advance(59.0)
    assert world.take(queue) == {}
    world.advance(1.0)

    assert list(world.take(queue)) == ["a"]


def test_what_is_acknowledged_does_not_come_again(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    found = world.take(queue)

    assert world.ack(queue, found["a"]) == []

    world.advance(3600)
    assert list(world.take(queue)) == ["b"]


def test_a_deadline_can_be_put_off_and_brought_forward(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("later", "sooner")
    found = world.take(queue)

    world.modify(queue, 100, found["later"])
    world.modify(queue, 1, found["sooner"])

    world.advance(1.0)
    assert list(world.take(queue, holder=Holder(ack_deadline=600.0))) == ["sooner"]
    world.advance(98.0)
    assert world.take(queue) == {}
    world.advance(1.0)
    assert list(world.take(queue)) == ["later"]


def test_a_nack_lets_a_message_come_again_at_once(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")

    for attempt in range(1, 4):
        found = world.take(queue)
        assert attempts(found) == {"a": attempt}
        world.nack(queue, found["a"])


def test_a_late_nack_is_no_failure(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("a")
    late = world.take(queue)["a"]
    world.advance(10.0)
    again = world.take(queue)["a"]

    world.nack(queue, late)

    assert world.take(queue) == {}
    world.ack(queue, again)
    world.advance(100.0)
    assert world.take(queue) == {}


def test_what_is_to_be_delivered_again_comes_before_what_is_new(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    found = world.take(queue, 1)
    world.nack(queue, found["a"])

    assert list(world.take(queue)) == ["a", "b"]


def test_a_late_acknowledgement_counts(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("waiting", "leased again", "delayed")
    found = world.take(queue)
    world.advance(10.0)
    world.take(queue, 1)

    assert world.ack(queue, *found.values()) == []

    world.advance(100.0)
    assert world.take(queue) == {}


def test_acknowledging_twice_does_no_harm(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")
    found = world.take(queue)["a"]

    world.ack(queue, found, found)
    world.ack(queue, found)

    assert world.holder.messages == world.holder.bytes == 0


def test_an_ack_id_of_another_subscription_does_nothing(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()
    world.publish("a")
    found = world.take(first)["a"]
    world.take(second)

    world.ack(second, found)
    world.nack(second, found)

    world.advance(10.0)
    assert attempts(world.take(second)) == {"a": 2}


@pytest.mark.parametrize(
    "text", ["", "1-2", "1-2-3-4", "a-b-c", "-1-2-3", "1-2-3 ", "\u0661-2-3", "1" * 99]
)
def test_what_is_no_ack_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its text is the id
        parse_ack_id(text)


def test_nothing_is_due_for_what_was_acknowledged(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")

    world.ack(queue, world.take(queue)["a"])

    assert queue.next_due() is None


# -- exactly-once delivery --------------------------------------------------------------------


def test_a_stale_id_does_not_count_with_exactly_once_delivery(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0, exactly_once=True)
    world.publish("a")
    late = world.take(queue)["a"]
    world.advance(10.0)

    assert [str(found) for found in world.ack(queue, late)] == [late.ack_id]
    again = world.take(queue)["a"]
    assert world.ack(queue, late) != []
    assert world.modify(queue, 20, late) != []

    assert world.ack(queue, again) == []
    assert world.ack(queue, again) != []


def test_ids_of_before_a_restart_are_stale(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe(exactly_once=True)
    world.publish("a")
    old = world.take(queue)["a"]

    queue = restarted(world)

    assert world.ack(queue, old) != []
    world.take(queue)
    assert world.ack(queue, old) != []


# -- retries ----------------------------------------------------------------------------------


def test_backoff_doubles_up_to_its_maximum(world: World) -> None:
    queue = world.subscribe(min_backoff=10.0, max_backoff=60.0)
    world.publish("a")

    for seconds in (10.0, 20.0, 40.0, 60.0, 60.0):
        world.nack(queue, world.take(queue)["a"])
        world.advance(seconds - 0.001)
        assert world.take(queue) == {}
        world.advance(0.001)

    assert attempts(world.take(queue)) == {"a": 6}


def test_an_expired_lease_waits_for_its_backoff_too(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0, min_backoff=30.0, max_backoff=60.0)
    world.publish("a")
    world.take(queue)

    world.advance(39.9)
    assert world.take(queue) == {}
    world.advance(0.1)

    assert attempts(world.take(queue)) == {"a": 2}


def test_backoff_stays_finite() -> None:
    assert Rules(min_backoff=600.0, max_backoff=600.0).backoff(100_000) == 600.0
    assert Rules(min_backoff=0.0, max_backoff=600.0).backoff(100_000) == 0.0


def test_a_backoff_holds_up_nobody_else(world: World) -> None:
    queue = world.subscribe(min_backoff=30.0, max_backoff=30.0)
    world.publish("a", "b")
    world.nack(queue, world.take(queue, 1)["a"])

    assert list(world.take(queue)) == ["b"]


# -- dead letters -----------------------------------------------------------------------------


def test_a_message_is_dead_lettered_when_its_attempts_are_used_up(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5, ack_deadline=10.0)
    dead_queue = world.subscribe(DEAD)
    world.publish("a", colour="red", key="k")
    published = world.now
    for attempt in range(1, 5):
        assert attempts(world.take(queue)) == {"a": attempt}
        world.advance(10.0)
        assert world.take(dead_queue) == {}
    world.nack(queue, world.take(queue)["a"])

    assert world.take(queue) == {}
    (dead,) = world.take(dead_queue).values()
    assert dead.attempt == 1
    assert dead.message.key == "k"
    assert dead.message.time == published + 40.0
    assert dead.message.attributes == {
        "colour": "red",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "s100",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2023-11-14T22:13:20.000Z",
    }
    assert world.holder.messages == 1


def test_without_its_topic_a_message_is_delivered_on_and_on(world: World) -> None:
    missing = "projects/p/topics/missing"
    queue = world.subscribe(dead_letter_topic=missing, max_attempts=5)
    world.publish("a")
    for attempt in range(1, 9):
        found = world.take(queue)
        assert attempts(found) == {"a": attempt}
        world.nack(queue, found["a"])

    world.engine.topics[missing] = world.engine.open_log(77)
    world.nack(queue, world.take(queue)["a"])

    assert world.take(queue) == {}
    assert len(world.messages(missing)) == 1


class FullDisk(MemoryStorage):
    """A storage that takes no message while it is full."""

    is_full = False

    def append(self, log: int, messages: Sequence[Message]) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        super().append(log, messages)


def test_a_message_that_cannot_be_dead_lettered_comes_again() -> None:
    """Whatever goes wrong on the way to the dead-letter topic."""
    storage = FullDisk()
    world = World(storage, topics=(TOPIC, DEAD))
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a")
    for _ in range(4):
        world.nack(queue, *world.take(queue).values())
    (last,) = world.take(queue).values()
    storage.is_full = True

    with pytest.raises(OSError, match="no space"):
        world.nack(queue, last)

    assert list(world.take(queue)) == ["a"]


def test_a_dead_letter_topic_may_be_the_topic_itself(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=TOPIC, max_attempts=5)
    world.publish("a")
    for _ in range(5):
        world.nack(queue, world.take(queue)["a"])

    found = world.take(queue)["a"]

    assert found.attempt == 1
    assert found.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_release_is_no_failure(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a")
    for _ in range(20):
        holder = Holder()
        assert attempts(world.take(queue, holder=holder)) == {"a": 1}
        world.engine.release(queue, holder)
        assert (holder.messages, holder.bytes) == (0, 0)


def test_release_takes_back_only_what_the_holder_has(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    first, second = Holder(), Holder()
    world.take(queue, 1, first)
    world.take(queue, 1, second)

    world.engine.release(queue, first)

    assert list(world.take(queue)) == ["a"]


# -- ordering ---------------------------------------------------------------------------------


@pytest.fixture
def ordered(world: World) -> Queue:
    return world.subscribe(ordered=True, ack_deadline=10.0)


def test_a_key_waits_and_others_do_not(world: World, ordered: Queue) -> None:
    world.publish("a1", key="a")
    world.take(ordered)

    world.publish("a2", key="a")
    world.publish("b1", key="b")
    world.publish("none")

    assert list(world.take(ordered, holder=Holder())) == ["b1", "none"]


def test_messages_of_a_key_go_out_together_in_order(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", "a3", key="a")

    found = world.take(ordered, 2)

    other = Holder()
    assert list(found) == ["a1", "a2"]
    assert world.take(ordered, holder=other) == {}
    world.ack(ordered, found["a1"])
    assert world.take(ordered, holder=other) == {}
    world.ack(ordered, found["a2"])
    assert list(world.take(ordered, holder=other)) == ["a3"]


def test_a_failure_lets_all_later_ones_of_its_key_come_again(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", "a3", key="a")
    world.publish("b1", key="b")
    found = world.take(ordered)

    world.nack(ordered, found["a2"])

    assert world.take(ordered) == {}
    world.ack(ordered, found["a1"])
    assert attempts(world.take(ordered)) == {"a2": 2, "a3": 1}


def test_what_was_acknowledged_out_of_order_comes_again(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", key="a")
    found = world.take(ordered)
    world.ack(ordered, found["a2"])

    world.nack(ordered, found["a1"])

    assert list(world.take(ordered)) == ["a1", "a2"]


def test_what_was_acknowledged_out_of_order_is_done_in_the_end(
    world: World, ordered: Queue
) -> None:
    world.publish("a1", "a2", "a3", key="a")
    found = world.take(ordered)

    world.ack(ordered, found["a3"], found["a2"], found["a1"])

    world.advance(100.0)
    assert world.take(ordered) == {}
    assert ordered.entries == {}


def test_an_expiry_keeps_the_order(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", key="a")
    world.take(ordered)
    world.publish("a3", key="a")

    world.advance(10.0)

    assert attempts(world.take(ordered)) == {"a1": 2, "a2": 1, "a3": 1}


def test_a_key_waits_for_a_backoff(world: World) -> None:
    queue = world.subscribe(ordered=True, min_backoff=30.0, max_backoff=30.0)
    world.publish("a1", "a2", key="a")
    world.nack(queue, world.take(queue)["a1"])
    world.publish("a3", key="a")
    world.publish("b1", key="b")

    assert list(world.take(queue)) == ["b1"]
    world.advance(30.0)

    assert list(world.take(queue)) == ["a1", "a2", "a3"]


def test_a_key_goes_on_after_a_dead_letter(world: World) -> None:
    queue = world.subscribe(ordered=True, dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a1", "a2", key="a")
    for _ in range(5):
        world.nack(queue, world.take(queue)["a1"])

    assert attempts(world.take(queue)) == {"a2": 1}
    assert world.kept(DEAD) == ["a1"]


def test_a_key_goes_on_after_a_message_that_is_too_old(world: World) -> None:
    queue = world.subscribe(ordered=True, retention=600.0, ack_deadline=10.0)
    world.publish("a1", key="a")
    world.take(queue)
    world.advance(595.0)
    world.publish("a2", key="a")

    world.advance(6.0)

    assert list(world.take(queue)) == ["a2"]


def test_pushes_go_one_at_a_time_for_each_key(world: World) -> None:
    queue = world.subscribe(ordered=True, pushes=True)
    world.publish("a1", "a2", key="a")
    world.publish("b1", "b2", key="b")

    found = world.take(queue)
    assert list(found) == ["a1", "b1"]
    world.nack(queue, found["a1"])
    world.ack(queue, found["b1"])

    assert attempts(world.take(queue)) == {"a1": 2, "b2": 1}


def test_keys_mean_nothing_without_ordering(world: World) -> None:
    queue = world.subscribe(pushes=True)
    world.publish("a1", "a2", key="a")

    assert list(world.take(queue)) == ["a1", "a2"]


def test_flow_control_does_not_let_a_message_pass_an_earlier_one(
    world: World, ordered: Queue
) -> None:
    """One that was not taken for want of room holds up new ones of its key."""
    world.publish("a1", "a2", key="a")
    world.publish("b", "c")
    found = world.take(ordered)
    holder = Holder(max_messages=2)
    world.nack(ordered, found["b"])
    world.take(ordered, holder=holder)
    world.nack(ordered, found["a1"])
    assert list(world.take(ordered, holder=holder)) == ["a1"]
    world.publish("a3", key="a")
    holder.max_messages = 10

    assert world.take(ordered, holder=holder) == {}


def test_who_has_messages_of_a_key_gets_the_next_ones(world: World, ordered: Queue) -> None:
    """Google's page: "messages with the same ordering key … to the same client"."""
    world.publish("a1", key="a")
    world.take(ordered)
    world.publish("a2", key="a")

    assert world.take(ordered, holder=Holder()) == {}
    world.publish("a3", key="a")
    assert world.take(ordered) == {}, "a2 is before it, and was not delivered"


def test_who_has_messages_of_a_key_gets_new_ones_at_once(world: World, ordered: Queue) -> None:
    world.publish("a1", key="a")
    world.take(ordered)
    world.publish("a2", key="a")

    assert list(world.take(ordered)) == ["a2"]


def test_releasing_one_of_a_key_releases_those_behind_it(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", key="a")
    world.take(ordered)

    world.engine.release(ordered, world.holder)

    assert (world.holder.messages, world.holder.bytes) == (0, 0)
    assert attempts(world.take(ordered)) == {"a1": 1, "a2": 1}


def test_a_late_acknowledgement_moves_a_key_on(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", key="a")
    found = world.take(ordered, 1)
    world.advance(10.0)

    world.ack(ordered, found["a1"])

    assert list(world.take(ordered)) == ["a2"]


# -- filters ----------------------------------------------------------------------------------


def test_what_a_filter_refuses_is_acknowledged(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: "good" in attributes)
    world.publish("bad")
    world.publish("good", good="1")
    world.publish("bad too")

    found = world.take(queue)
    assert list(found) == ["good"]
    world.ack(queue, found["good"])
    world.advance(2.0)

    assert world.kept() == []


def test_a_filter_that_refuses_everything_gives_way_to_others(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: "good" in attributes)
    for _ in range(SCANNED_AT_ONCE // 500 + 1):
        world.publish(*map(str, range(500)))
    world.publish("good", good="1")

    world.engine.awake.clear()
    assert world.take(queue) == {}
    assert queue in world.engine.awake, "nobody would come back for the rest"

    assert list(world.take(queue)) == ["good"]


def test_a_filter_does_not_hold_up_a_key(world: World) -> None:
    queue = world.subscribe(ordered=True, accepts=lambda attributes: "bad" not in attributes)
    world.publish("a1", key="a", bad="1")
    world.publish("a2", key="a")

    assert list(world.take(queue)) == ["a2"]


# -- flow control -----------------------------------------------------------------------------


def test_a_holder_gets_no_more_messages_than_it_wants(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b", "c")
    holder = Holder(max_messages=2)

    found = world.take(queue, holder=holder)
    assert list(found) == ["a", "b"]
    world.ack(queue, found["a"])

    assert list(world.take(queue, holder=holder)) == ["c"]


def test_a_holder_gets_nothing_more_once_it_has_the_bytes_that_it_wants(world: World) -> None:
    queue = world.subscribe()
    world.publish("a" * 6, "b" * 6, "c")
    holder = Holder(max_bytes=10)

    found = world.take(queue, holder=holder)
    assert list(found) == ["a" * 6, "b" * 6]
    assert holder.bytes == 12
    world.ack(queue, found["b" * 6])

    assert list(world.take(queue, holder=holder)) == ["c"]


def test_a_message_larger_than_what_a_holder_wants_comes_alone(world: World) -> None:
    queue = world.subscribe()
    world.publish("large" * 100, "a", "b")
    holder = Holder(max_bytes=10)

    found = world.take(queue, holder=holder)
    assert list(found) == ["large" * 100]
    world.ack(queue, *found.values())

    assert list(world.take(queue, holder=holder)) == ["a", "b"]


def test_flow_control_counts_bytes_of_text(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", letter="\u00fc" * 10)
    holder = Holder()

    world.take(queue, holder=holder)

    assert holder.bytes == 1 + len("letter") + 20


def test_one_take_returns_what_fits_into_memory(world: World) -> None:
    queue = world.subscribe()
    size = BYTES_AT_ONCE // 4
    world.publish(*[str(n) * size for n in range(6)])

    assert len(world.take(queue)) == 4
    assert len(world.take(queue)) == 2


def test_an_expired_lease_makes_room(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("a", "b")
    holder = Holder(max_messages=1)
    world.take(queue, holder=holder)

    world.advance(10.0)

    assert holder.messages == 0
    assert list(world.take(queue, holder=holder)) == ["a"]


# -- retention --------------------------------------------------------------------------------


def test_what_is_too_old_is_not_delivered(world: World) -> None:
    queue = world.subscribe(retention=600.0)
    world.publish("old")
    world.advance(300.0)
    world.publish("new")

    world.advance(300.5)

    assert list(world.take(queue)) == ["new"]


def test_what_became_too_old_while_it_was_delivered_does_not_come_again(world: World) -> None:
    queue = world.subscribe(retention=600.0, ack_deadline=600.0)
    world.publish("old")
    found = world.take(queue)
    world.now += 600.5

    world.nack(queue, found["old"])

    assert world.take(queue) == {}
    assert queue.entries == {}


def test_a_topic_that_retains_messages_offers_them_to_its_subscriptions(world: World) -> None:
    """Google's reference: what is in a topic's retention "is always available to subscribers"."""
    world.retain(31 * DAY)
    queue = world.subscribe(retention=600.0)
    world.publish("a")
    published = world.now
    world.ack(queue, world.take(queue)["a"])
    world.advance(20 * DAY)

    world.engine.seek_time(queue, published, world.now)

    assert list(world.take(queue)) == ["a"]


def test_what_everybody_has_acknowledged_is_dropped(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()
    world.publish("a", "b")
    found = world.take(first)
    world.ack(first, *found.values())
    world.advance(5.0)
    assert world.kept() == ["a", "b"]

    world.ack(second, world.take(second)["a"])
    world.advance(5.0)

    assert world.kept() == ["b"]


def test_messages_of_a_topic_without_subscriptions_are_dropped(world: World) -> None:
    world.publish("a")

    world.advance(5.0)

    assert world.kept() == []


def test_what_a_snapshot_needs_is_kept(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    found = world.take(queue)
    unacknowledged, cursor = queue.unacknowledged(), queue.cursor
    queue.log.pins["snapshot"] = min(unacknowledged)
    world.ack(queue, *found.values())
    world.advance(5.0)
    assert world.kept() == ["a", "b"]

    world.engine.seek(queue, cursor, unacknowledged)
    assert list(world.take(queue)) == ["a", "b"]
    queue.log.pins.clear()
    world.ack(queue, *world.take(queue).values())

    assert world.kept() == ["a", "b"]


@pytest.mark.parametrize("by", ["topic", "subscription"])
def test_retained_messages_are_kept_as_long_as_is_asked_for(world: World, by: str) -> None:
    if by == "topic":
        world.retain(3600.0)
    queue = world.subscribe(retain_acked=by == "subscription", retention=3600.0)
    world.publish("a")
    world.ack(queue, world.take(queue)["a"])

    world.advance(3500.0)
    assert world.kept() == ["a"]
    world.advance(100.0 + RETENTION_SWEEP_SECONDS)

    assert world.kept() == []


def test_what_is_too_old_is_dropped_though_nobody_asked_for_it(world: World) -> None:
    queue = world.subscribe(retention=3600.0)
    world.publish("a")

    world.advance(3600.0 + RETENTION_SWEEP_SECONDS)

    assert world.kept() == []
    assert queue.floor > 1


def test_there_is_always_a_next_sweep(world: World) -> None:
    """Subscriptions and snapshots expire then, though nothing is published."""
    world.subscribe()

    world.advance(3 * RETENTION_SWEEP_SECONDS)

    due = world.engine.next_due()
    assert due is not None
    assert due <= world.now + RETENTION_SWEEP_SECONDS


# -- seeking ----------------------------------------------------------------------------------


def test_seeking_to_a_time_acknowledges_what_is_older(world: World) -> None:
    queue = world.subscribe(ack_deadline=600.0)
    world.publish("leased", "waiting")
    world.take(queue, 1)
    world.advance(10.0)
    world.publish("new")

    world.engine.seek_time(queue, world.now, world.now)

    assert list(world.take(queue)) == ["new"]
    world.advance(600.0)
    assert list(world.take(queue)) == ["new"]


def test_seeking_past_what_was_acknowledged_out_of_order(world: World) -> None:
    queue = world.subscribe(ordered=True)
    world.publish("a1", "a2", key="a")
    found = world.take(queue)
    world.ack(queue, found["a2"])

    world.engine.seek_time(queue, world.now + 1.0, world.now)

    assert queue.entries == {}
    assert (world.holder.messages, world.holder.bytes) == (0, 0)


def test_seeking_back_delivers_again_what_was_retained(world: World) -> None:
    queue = world.subscribe(retain_acked=True)
    world.publish("a")
    world.advance(10.0)
    middle = world.now
    world.publish("b", "c")
    found = world.take(queue)
    world.ack(queue, *found.values())

    world.engine.seek_time(queue, middle, world.now)

    assert attempts(world.take(queue)) == {"b": 1, "c": 1}
    assert world.holder.messages == 2


def test_seeking_back_without_retention_brings_back_nothing(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    found = world.take(queue)
    world.ack(queue, found["a"])

    world.engine.seek_time(queue, START - 10.0, world.now)

    assert world.take(queue) == {}
    world.advance(10.0)
    assert list(world.take(queue)) == ["b"]


def test_seeking_into_the_future_acknowledges_everything(world: World) -> None:
    queue = world.subscribe(retain_acked=True)
    world.publish("a", "b")
    world.take(queue, 1)

    world.engine.seek_time(queue, world.now + 3600.0, world.now)

    assert world.take(queue) == {}
    assert world.holder.messages == 0
    world.publish("c")
    assert list(world.take(queue)) == ["c"]


def test_seeking_forgets_failures(world: World) -> None:
    queue = world.subscribe(retain_acked=True, min_backoff=600.0, max_backoff=600.0)
    world.publish("a")
    world.nack(queue, world.take(queue)["a"])

    world.engine.seek_time(queue, START, world.now)

    assert attempts(world.take(queue)) == {"a": 1}


def test_seeking_to_a_snapshot_restores_what_was_not_acknowledged(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c")
    found = world.take(queue)
    world.ack(queue, found["b"])
    cursor, unacknowledged = snapshot(queue)
    world.publish("d")
    world.ack(queue, *found.values())
    world.ack(queue, *world.take(queue).values())

    world.engine.seek(queue, cursor, unacknowledged)

    queue = restarted(world)
    assert attempts(world.take(queue)) == {"a": 1, "c": 1, "d": 1}


def test_a_snapshot_after_a_restart_remembers_acknowledgements(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c", "d")
    found = world.take(queue, 3)
    world.ack(queue, found["b"], found["c"])
    queue = restarted(world)

    cursor, unacknowledged = snapshot(queue)
    world.engine.seek(queue, cursor, unacknowledged)

    assert list(world.take(queue)) == ["a", "d"]


def snapshot(queue: Queue) -> tuple[int, list[int]]:
    """Remember what is not acknowledged, as CreateSnapshot does."""
    unacknowledged = queue.unacknowledged()
    queue.log.pins["snapshot"] = min(unacknowledged, default=queue.cursor)
    return queue.cursor, unacknowledged


# -- restarts ---------------------------------------------------------------------------------


def test_a_restart_keeps_acknowledgements_failures_and_the_cursor(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c", "d")
    found = world.take(queue, 3)
    world.ack(queue, found["b"])
    world.nack(queue, found["a"])
    world.nack(queue, world.take(queue, 1)["a"])
    world.nack(queue, found["c"])

    queue = restarted(world)

    assert attempts(world.take(queue)) == {"a": 3, "c": 2, "d": 1}


def test_two_restarts_keep_as_much_as_one(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c")
    found = world.take(queue)
    world.ack(queue, found["b"])
    world.nack(queue, found["c"])

    restarted(world)
    queue = restarted(world)

    assert attempts(world.take(queue)) == {"a": 1, "c": 2}


def test_an_acknowledgement_of_before_a_restart_counts_after_it(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b")
    found = world.take(queue)

    queue = restarted(world)
    world.ack(queue, found["a"])

    assert list(world.take(queue)) == ["b"]
    queue = restarted(world)
    assert list(world.take(queue)) == ["b"]


def test_a_restart_keeps_the_order(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe(ordered=True)
    world.publish("a1", "a2", "a3", key="a")
    found = world.take(queue)
    world.ack(queue, found["a2"])

    queue = restarted(world)

    assert list(world.take(queue)) == ["a1", "a3"]


def test_a_subscription_that_was_all_done_stays_so(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a")
    world.ack(queue, world.take(queue)["a"])

    queue = restarted(world)

    assert world.take(queue) == {}
    world.publish("b")
    assert list(world.take(queue)) == ["b"]


# -- size -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backlog_takes_no_memory(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "state")
    world = World(storage)
    queue = world.subscribe()
    world.publish("x")
    world.take(queue)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    for _ in range(20):
        world.publish(*["x" * 200] * 1000)
        world.engine.save()
        world.events.clear()

    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    storage.close()
    assert after - before < 200_000, "of 4 MB that were published"
    assert len(queue.entries) == 1


def test_leases_that_are_long_over_take_no_memory(world: World) -> None:
    """A client that works fast has few messages, however long their leases are."""
    queue = world.subscribe(ack_deadline=600.0)
    for _ in range(100):
        world.publish(*map(str, range(100)))
        found = world.take(queue).values()
        world.modify(queue, 300, *found)
        world.ack(queue, *found)

    assert len(queue._timers) < 3000


def test_an_event_is_told_of_each_publish_and_dead_letter(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a")
    for _ in range(5):
        world.nack(queue, world.take(queue)["a"])

    assert [name for name, _ in world.events] == ["published", "published", "dead_lettered"]
    fields = world.events[-1][1]
    assert fields["subscription"] == subscription(100)
    assert fields["as"].number != fields["message"].number


def test_an_ack_id_of_an_earlier_emulator_acknowledges_nothing() -> None:
    """An emulator that keeps nothing counts from 1 again, and its clients may be older than it."""
    before, after = World(), World()
    queue = before.subscribe()
    before.publish("old")
    old = before.take(queue)["old"]
    after.now += 60
    queue = after.subscribe()
    after.publish("new")

    after.ack(queue, old)

    assert list(after.take(queue)) == ["new"]


def test_a_late_acknowledgement_lets_nothing_overtake_what_failed(world: World) -> None:
    queue = world.subscribe(ordered=True, min_backoff=10.0, max_backoff=10.0)
    world.publish("a", "b", "c", key="k")
    found = world.take(queue)
    world.nack(queue, found["b"])
    world.ack(queue, found["c"])

    world.publish("d", key="k")

    assert list(world.take(queue)) == []
    world.ack(queue, found["a"])
    world.advance(10)
    assert list(world.take(queue)) == ["b", "d"]


def test_exactly_once_what_was_acknowledged_does_not_come_again_with_its_key(world: World) -> None:
    queue = world.subscribe(ordered=True, exactly_once=True)
    world.publish("a", "b", "c", key="k")
    found = world.take(queue)
    assert world.ack(queue, found["b"]) == []

    world.nack(queue, found["a"])

    assert list(world.take(queue)) == ["a", "c"]


def test_a_backlog_of_one_key_holds_nobody_up(world: World) -> None:
    """What waits for the first message of its key is not read all at once."""
    queue = world.subscribe(ordered=True)
    world.publish(*map(str, range(SCANNED_AT_ONCE + 100)), key="k")
    world.take(queue, 1)

    assert not world.take(queue, holder=Holder())

    assert queue in world.engine.awake
    assert len(queue.entries) < SCANNED_AT_ONCE + 10
