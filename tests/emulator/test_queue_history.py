"""Messages that are kept, and come again: retention, seeking, restarts."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from ucam_faas.emulator.core.engine import RETENTION_SWEEP_SECONDS
from ucam_faas.emulator.core.lease import DAY, Holder
from ucam_faas.emulator.core.queues import SCANNED_AT_ONCE, Queue
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage

from .world import DEAD, START, World, attempts, restarted, subscription

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
    leases = world.take(queue)
    world.now += 600.5

    world.nack(queue, leases["old"])

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

    world.engine.seek_time(queue, published, world.moment)

    assert list(world.take(queue)) == ["a"]


def test_messages_that_all_have_acknowledged_are_dropped(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()
    world.publish("a", "b")
    leases = world.take(first)
    world.ack(first, *leases.values())
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
    leases = world.take(queue)
    unacknowledged, cursor = queue.unacknowledged(), queue.cursor
    queue.log.pins["snapshot"] = min(unacknowledged)
    world.ack(queue, *leases.values())
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


def test_expired_messages_are_dropped_without_a_pull(world: World) -> None:
    queue = world.subscribe(retention=3600.0)
    world.publish("a")

    world.advance(3600.0 + RETENTION_SWEEP_SECONDS)

    assert world.kept() == []
    assert queue.floor > 1


def test_there_is_always_a_next_sweep(world: World) -> None:
    """Subscriptions and snapshots expire then, though nothing is published."""
    world.subscribe()

    world.advance(3 * RETENTION_SWEEP_SECONDS)

    due = world.next_due()
    assert due is not None
    assert due <= world.now + RETENTION_SWEEP_SECONDS


# -- seeking ----------------------------------------------------------------------------------


def test_seeking_to_a_time_acknowledges_what_is_older(world: World) -> None:
    queue = world.subscribe(ack_deadline=600.0)
    world.publish("leased", "waiting")
    world.take(queue, 1)
    world.advance(10.0)
    world.publish("new")

    world.engine.seek_time(queue, world.now, world.moment)

    assert list(world.take(queue)) == ["new"]
    world.advance(600.0)
    assert list(world.take(queue)) == ["new"]


def test_seeking_past_what_was_acknowledged_out_of_order(world: World) -> None:
    queue = world.subscribe(ordered=True)
    world.publish("a1", "a2", key="a")
    leases = world.take(queue)
    world.ack(queue, leases["a2"])

    world.engine.seek_time(queue, world.now + 1.0, world.moment)

    assert queue.entries == {}
    assert (world.holder.messages, world.holder.bytes) == (0, 0)


def test_seeking_back_delivers_again_what_was_retained(world: World) -> None:
    queue = world.subscribe(retain_acked=True)
    world.publish("a")
    world.advance(10.0)
    middle = world.now
    world.publish("b", "c")
    leases = world.take(queue)
    world.ack(queue, *leases.values())

    world.engine.seek_time(queue, middle, world.moment)

    assert attempts(world.take(queue)) == {"b": 1, "c": 1}
    assert world.holder.messages == 2


def test_seeking_back_without_retention_brings_back_nothing(world: World) -> None:
    queue = world.subscribe()
    world.publish("a", "b")
    leases = world.take(queue)
    world.ack(queue, leases["a"])

    world.engine.seek_time(queue, START - 10.0, world.moment)

    assert list(world.take(queue)) == ["b"]


def test_an_acknowledgement_of_before_a_seek_does_not_count_after_it(world: World) -> None:
    queue = world.subscribe()
    world.publish("a")
    before = world.take(queue)["a"]

    world.engine.seek_time(queue, START, world.moment)
    world.ack(queue, before)

    assert attempts(world.take(queue)) == {"a": 1}


def test_seeking_into_the_future_acknowledges_everything(world: World) -> None:
    queue = world.subscribe(retain_acked=True)
    world.publish("a", "b")
    world.take(queue, 1)

    world.engine.seek_time(queue, world.now + 3600.0, world.moment)

    assert world.take(queue) == {}
    assert world.holder.messages == 0
    world.publish("c")
    assert list(world.take(queue)) == ["c"]


def test_seeking_forgets_failures(world: World) -> None:
    queue = world.subscribe(retain_acked=True, min_backoff=600.0, max_backoff=600.0)
    world.publish("a")
    world.nack(queue, world.take(queue)["a"])

    world.engine.seek_time(queue, START, world.moment)

    assert attempts(world.take(queue)) == {"a": 1}


def test_seeking_to_a_snapshot_restores_what_was_not_acknowledged(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c")
    leases = world.take(queue)
    world.ack(queue, leases["b"])
    cursor, unacknowledged = snapshot(queue)
    world.publish("d")
    world.ack(queue, *leases.values())
    world.ack(queue, *world.take(queue).values())

    world.engine.seek(queue, cursor, unacknowledged)

    queue = restarted(world)
    assert attempts(world.take(queue)) == {"a": 1, "c": 1, "d": 1}


def test_a_snapshot_after_a_restart_remembers_acknowledgements(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c", "d")
    leases = world.take(queue, 3)
    world.ack(queue, leases["b"], leases["c"])
    queue = restarted(world)

    cursor, unacknowledged = snapshot(queue)
    world.engine.seek(queue, cursor, unacknowledged)

    assert list(world.take(queue)) == ["a", "d"]


def snapshot(queue: Queue) -> tuple[int, list[int]]:
    """Remember the unacknowledged messages, as CreateSnapshot does."""
    unacknowledged = queue.unacknowledged()
    queue.log.pins["snapshot"] = min(unacknowledged, default=queue.cursor)
    return queue.cursor, unacknowledged


# -- restarts ---------------------------------------------------------------------------------


def test_a_restart_keeps_acknowledgements_failures_and_the_cursor(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c", "d")
    leases = world.take(queue, 3)
    world.ack(queue, leases["b"])
    world.nack(queue, leases["a"])
    world.nack(queue, world.take(queue, 1)["a"])
    world.nack(queue, leases["c"])

    queue = restarted(world)

    assert attempts(world.take(queue)) == {"a": 3, "c": 2, "d": 1}


def test_two_restarts_keep_as_much_as_one(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b", "c")
    leases = world.take(queue)
    world.ack(queue, leases["b"])
    world.nack(queue, leases["c"])

    restarted(world)
    queue = restarted(world)

    assert attempts(world.take(queue)) == {"a": 1, "c": 2}


def test_an_acknowledgement_of_before_a_restart_counts_after_it(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe()
    world.publish("a", "b")
    leases = world.take(queue)

    queue = restarted(world)
    world.ack(queue, leases["a"])

    assert list(world.take(queue)) == ["b"]
    queue = restarted(world)
    assert list(world.take(queue)) == ["b"]


def test_a_restart_keeps_the_order(kept_world: World) -> None:
    world = kept_world
    queue = world.subscribe(ordered=True)
    world.publish("a1", "a2", "a3", key="a")
    leases = world.take(queue)
    world.ack(queue, leases["a2"])

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
        world.recorder.events.clear()

    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    storage.close()
    assert after - before < 200_000, "of 4 MB that were published"
    assert len(queue.entries) == 1


@pytest.mark.slow
def test_leases_that_are_long_over_take_no_memory(world: World) -> None:
    """A client that works fast has few messages, however long their leases are."""
    queue = world.subscribe(ack_deadline=600.0)
    for _ in range(100):
        world.publish(*map(str, range(100)))
        leases = world.take(queue).values()
        world.modify(queue, 300, *leases)
        world.ack(queue, *leases)

    assert len(queue._timers) < 3000


def test_an_event_is_told_of_each_publish_and_dead_letter(world: World) -> None:
    queue = world.subscribe(dead_letter_topic=DEAD, max_attempts=5)
    world.publish("a")
    for _ in range(5):
        world.nack(queue, world.take(queue)["a"])

    assert [name for name, _ in world.recorder.events] == [
        "published",
        "published",
        "dead_lettered",
    ]
    fields = world.recorder.events[-1][1]
    assert fields["subscription"] == subscription(100)
    assert fields["letter"].number != fields["message"].number


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
    leases = world.take(queue)
    world.nack(queue, leases["b"])
    world.ack(queue, leases["c"])

    world.publish("d", key="k")

    assert list(world.take(queue)) == []
    world.ack(queue, leases["a"])
    world.advance(10)
    assert list(world.take(queue)) == ["b", "d"]


def test_exactly_once_what_was_acknowledged_does_not_come_again_with_its_key(world: World) -> None:
    queue = world.subscribe(ordered=True, exactly_once=True)
    world.publish("a", "b", "c", key="k")
    leases = world.take(queue)
    assert world.ack(queue, leases["b"]) == []

    world.nack(queue, leases["a"])

    assert list(world.take(queue)) == ["a", "c"]


def test_a_backlog_of_one_key_holds_up_no_other_queue(world: World) -> None:
    """The messages that wait for the first of their key are not read all at once."""
    queue = world.subscribe(ordered=True)
    world.publish(*map(str, range(SCANNED_AT_ONCE + 100)), key="k")
    world.take(queue, 1)

    assert not world.take(queue, holder=Holder())

    assert queue in world.engine.awake
    assert len(queue.entries) < SCANNED_AT_ONCE + 10
