"""The order of messages with one key: the core, with hand-moved time."""

from __future__ import annotations

import pytest

from ucam_faas.emulator.core.lease import Holder
from ucam_faas.emulator.core.queues import Queue

from .world import DEAD, World, attempts

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

    leases = world.take(ordered, 2)

    other = Holder()
    assert list(leases) == ["a1", "a2"]
    assert world.take(ordered, holder=other) == {}
    world.ack(ordered, leases["a1"])
    assert world.take(ordered, holder=other) == {}
    world.ack(ordered, leases["a2"])
    assert list(world.take(ordered, holder=other)) == ["a3"]


def test_a_failure_lets_all_later_ones_of_its_key_come_again(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", "a3", key="a")
    world.publish("b1", key="b")
    leases = world.take(ordered)

    world.nack(ordered, leases["a2"])

    assert world.take(ordered) == {}
    world.ack(ordered, leases["a1"])
    assert attempts(world.take(ordered)) == {"a2": 2, "a3": 1}


def test_what_was_acknowledged_out_of_order_comes_again(world: World, ordered: Queue) -> None:
    world.publish("a1", "a2", key="a")
    leases = world.take(ordered)
    world.ack(ordered, leases["a2"])

    world.nack(ordered, leases["a1"])

    assert list(world.take(ordered)) == ["a1", "a2"]


def test_what_was_acknowledged_out_of_order_is_done_in_the_end(
    world: World, ordered: Queue
) -> None:
    world.publish("a1", "a2", "a3", key="a")
    leases = world.take(ordered)

    world.ack(ordered, leases["a3"], leases["a2"], leases["a1"])

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

    leases = world.take(queue)
    assert list(leases) == ["a1", "b1"]
    world.nack(queue, leases["a1"])
    world.ack(queue, leases["b1"])

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
    leases = world.take(ordered)
    holder = Holder(max_messages=2)
    world.nack(ordered, leases["b"])
    world.take(ordered, holder=holder)
    world.nack(ordered, leases["a1"])
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
    leases = world.take(ordered, 1)
    world.advance(10.0)

    world.ack(ordered, leases["a1"])

    assert list(world.take(ordered)) == ["a2"]
