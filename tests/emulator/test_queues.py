"""The deliveries of one subscription, and their times: the core, with hand-moved time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ucam_faas.emulator.core.lease import Holder, Rules
from ucam_faas.emulator.core.queues import BYTES_AT_ONCE, SCANNED_AT_ONCE
from ucam_faas.emulator.core.storage import Message
from ucam_faas.emulator.core.storage.memory import MemoryStorage

from .world import DEAD, TOPIC, World, attempts, restarted

# -- backlogs ---------------------------------------------------------------------------------


def test_the_messages_that_are_not_acknowledged_are_counted(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: True)
    began = world.now
    for text in ("a", "b", "c", "d"):
        world.publish(text)
        world.advance(1.0)
    leases = world.take(queue, 2)
    world.ack(queue, leases["b"])

    assert queue.backlog(10) == (3, began)
    assert queue.backlog(2) == (2, began)
    assert restarted(world).backlog(10) == (3, began)


def test_a_backlog_has_no_messages_that_the_filter_stops(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: False)
    world.publish("a")

    assert queue.backlog(10) == (0, None)


def test_the_observer_hears_of_messages_that_a_subscriber_acknowledged(world: World) -> None:
    queue, pushing = world.subscribe(), world.subscribe(pushes=True)
    world.publish("a", "b")

    world.ack(queue, world.take(queue)["b"])
    world.ack(pushing, world.take(pushing)["a"])

    (pulled,) = world.recorder.told("pulled")
    assert pulled["numbers"] == [2]


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
    leases = world.take(queue)

    assert world.ack(queue, leases["a"]) == []

    world.advance(3600)
    assert list(world.take(queue)) == ["b"]


def test_a_deadline_can_be_put_off_and_brought_forward(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("later", "sooner")
    leases = world.take(queue)

    world.modify(queue, 100, leases["later"])
    world.modify(queue, 1, leases["sooner"])

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
        leases = world.take(queue)
        assert attempts(leases) == {"a": attempt}
        world.nack(queue, leases["a"])


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
    leases = world.take(queue, 1)
    world.nack(queue, leases["a"])

    assert list(world.take(queue)) == ["a", "b"]


def test_a_late_acknowledgement_counts(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0)
    world.publish("waiting", "leased again", "delayed")
    leases = world.take(queue)
    world.advance(10.0)
    world.take(queue, 1)

    assert world.ack(queue, *leases.values()) == []

    world.advance(100.0)
    assert world.take(queue) == {}


def test_acknowledging_twice_does_no_harm(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")
    lease = world.take(queue)["a"]

    world.ack(queue, lease, lease)
    world.ack(queue, lease)

    assert world.holder.messages == world.holder.bytes == 0


def test_an_ack_id_of_another_subscription_does_nothing(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()
    world.publish("a")
    lease = world.take(first)["a"]
    world.take(second)

    world.ack(second, lease)
    world.nack(second, lease)

    world.advance(10.0)
    assert attempts(world.take(second)) == {"a": 2}


def test_nothing_is_due_for_what_was_acknowledged(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")

    world.ack(queue, world.take(queue)["a"])

    assert world.engine.timers.next_due() is None


# -- exactly-once delivery --------------------------------------------------------------------


def test_a_stale_id_does_not_count_with_exactly_once_delivery(world: World) -> None:
    queue = world.subscribe(ack_deadline=10.0, exactly_once=True)
    world.publish("a")
    late = world.take(queue)["a"]
    world.advance(10.0)

    assert world.ack(queue, late) == [late.ack_id]
    again = world.take(queue)["a"]
    assert world.ack(queue, late) != []
    assert world.modify(queue, 20, late) != []

    assert world.ack(queue, again) == []
    assert world.ack(queue, again) != []
    assert [told["numbers"] for told in world.recorder.told("pulled")] == [[], [], [1], []]


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


def test_a_backoff_holds_up_no_other_message(world: World) -> None:
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
        leases = world.take(queue)
        assert attempts(leases) == {"a": attempt}
        world.nack(queue, leases["a"])

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

    lease = world.take(queue)["a"]

    assert lease.attempt == 1
    assert lease.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_release_is_no_failure(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a")
    for _ in range(20):
        holder = Holder()
        assert attempts(world.take(queue, holder=holder)) == {"a": 1}
        world.engine.release(queue, holder)
        assert (holder.messages, holder.bytes) == (0, 0)


def test_a_lost_holder_is_a_failure_of_its_messages(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a", "b")
    holder = Holder()
    world.take(queue, 1, holder)

    world.engine.lose(queue, holder, world.moment)

    assert (holder.messages, holder.bytes) == (0, 0)
    assert attempts(world.take(queue)) == {"a": 2, "b": 1}


def test_release_takes_back_only_what_the_holder_has(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    first, second = Holder(), Holder()
    world.take(queue, 1, first)
    world.take(queue, 1, second)

    world.engine.release(queue, first)

    assert list(world.take(queue)) == ["a"]


# -- filters ----------------------------------------------------------------------------------


def test_what_a_filter_refuses_is_acknowledged(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: "good" in attributes)
    world.publish("bad")
    world.publish("good", good="1")
    world.publish("bad too")

    leases = world.take(queue)
    assert list(leases) == ["good"]
    world.ack(queue, leases["good"])
    world.advance(2.0)

    assert world.kept() == []


def test_a_filter_that_refuses_everything_gives_way_to_others(world: World) -> None:
    queue = world.subscribe(accepts=lambda attributes: "good" in attributes)
    for _ in range(SCANNED_AT_ONCE // 500 + 1):
        world.publish(*map(str, range(500)))
    world.publish("good", good="1")

    world.engine.awake.clear()
    assert world.take(queue) == {}
    assert queue in world.engine.awake, "the rest would be left"

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

    leases = world.take(queue, holder=holder)
    assert list(leases) == ["a", "b"]
    world.ack(queue, leases["a"])

    assert list(world.take(queue, holder=holder)) == ["c"]


@pytest.mark.parametrize("max_bytes", [12, 10], ids=["exactly", "and more"])
def test_a_holder_gets_nothing_more_once_it_has_the_bytes_that_it_wants(
    world: World, max_bytes: int
) -> None:
    queue = world.subscribe()
    world.publish("a" * 6, "b" * 6, "c")
    holder = Holder(max_bytes=max_bytes)

    leases = world.take(queue, holder=holder)
    assert list(leases) == ["a" * 6, "b" * 6]
    assert holder.bytes == 12
    world.ack(queue, leases["b" * 6])

    assert list(world.take(queue, holder=holder)) == ["c"]


def test_a_message_larger_than_what_a_holder_wants_comes_alone(world: World) -> None:
    queue = world.subscribe()
    world.publish("large" * 100, "a", "b")
    holder = Holder(max_bytes=10)

    leases = world.take(queue, holder=holder)
    assert list(leases) == ["large" * 100]
    world.ack(queue, *leases.values())

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
