"""The engine does what a simple model does, whatever happens, over both storages.

For a long run: `UCAM_FAAS_MODEL_EXAMPLES=5000 pytest tests/emulator/test_model.py`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ucam_faas.emulator.core.engine import RETENTION_SWEEP_SECONDS, Draft
from ucam_faas.emulator.core.lease import Holder
from ucam_faas.emulator.core.storage import Storage
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage

from .model import LEASED, Item, ModelQueue
from .world import DEAD, TOPIC, World

RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "backoff": {"min_backoff": 4.0, "max_backoff": 20.0},
    "exactly once": {"exactly_once": True},
    "filtered": {"accepts": lambda attributes: "odd" not in attributes},
    "ordered": {"ordered": True},
    "ordered, backoff": {"ordered": True, "min_backoff": 4.0, "max_backoff": 20.0},
    "ordered, exactly once": {"ordered": True, "exactly_once": True},
    "pushed": {"ordered": True, "pushes": True},
    "dead letters": {"dead_letter_topic": DEAD, "max_attempts": 5},
    "ordered, dead letters": {"ordered": True, "dead_letter_topic": DEAD, "max_attempts": 5},
    "retained": {"retain_acked": True},
    "ordered, retained": {"ordered": True, "retain_acked": True},
    "short": {"retention": 600.0, "ordered": True},
}
HOLDERS: dict[str, dict[str, Any]] = {
    "any": {},
    "patient": {"ack_deadline": 60.0},
    "few": {"max_messages": 2},
    "small": {"max_bytes": 30, "ack_deadline": 15.0},
}
some = st.integers(0, 1_000_000)
"""To choose one of several things by."""
kind_of_holder = st.sampled_from(sorted(HOLDERS))


class Comparison(RuleBasedStateMachine):
    """Does the same with an engine and with the model."""

    def make_storage(self) -> Storage:
        return MemoryStorage()

    @initialize(kinds=st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3))
    def begin(self, kinds: list[str]) -> None:
        self.world = World(self.make_storage(), topics=(TOPIC, DEAD))
        for kind in kinds:
            self.world.subscribe(**RULES[kind])
        self.world.subscribe(DEAD)
        self.models = {number: ModelQueue(rules) for number, (_, rules) in self.world.rules.items()}
        self.holders: dict[tuple[int, str], Holder] = {}
        self.published = 0
        self.snapshots: list[tuple[int, int, int, list[int], set[int]]] = []
        self.world.engine.save()
        self.remember()

    # -- what users do ------------------------------------------------------------------------

    @rule(
        count=st.integers(1, 5),
        key=st.sampled_from(["", "a", "b"]),
        size=st.sampled_from([4, 12, 40]),
        odd=st.booleans(),
    )
    def publish(self, count: int, key: str, size: int, odd: bool) -> None:
        drafts = []
        for _ in range(count):
            self.published += 1
            data = f"{self.published:04}".ljust(size, ".").encode()
            drafts.append(Draft(key, {"odd": "1"} if odd else {}, data))
        for message in self.world.engine.publish(TOPIC, drafts, self.world.moment):
            self.enter(TOPIC, message.number, message.data.decode(), key, message.size)

    def enter(self, topic: str, number: int, data: str, key: str, size: int) -> None:
        for queue_number, (of, rules) in self.world.rules.items():
            refused = rules.accepts is not None and size > len(data)
            if of == topic and not refused:
                item = Item(number, data, key, self.world.now, size)
                self.models[queue_number].items.append(item)

    @rule(which=some, kind=kind_of_holder, limit=st.sampled_from([1, 2, 5, 100]))
    def take(self, which: int, kind: str, limit: int) -> None:
        number = self.chosen(which)
        queue, model, now = self.world.queues[number], self.models[number], self.world.now
        holder = self.holders.setdefault((number, kind), Holder(**HOLDERS[kind]))
        could_go = model.waiting(now, kind)
        room = deepcopy(holder)

        self.world.engine.answered(self.world.engine.last)
        leases = self.world.engine.take(queue, self.world.moment, holder, limit)

        if not model.rules.ordered:
            assert [d.message.number for d in leases] == fitting(could_go, room, limit)
        seen: set[int] = set()
        for lease in leases:
            message = lease.message
            item = model.item(message.number)
            assert item in could_go, f"{item} is not due"
            assert room.has_room(), f"{item} is more than the holder wants"
            room.messages += 1
            room.bytes += item.size
            assert lease.attempt == item.failures + 1
            assert (message.data.decode(), message.key) == (item.data, item.key)
            earlier = [
                other.number
                for other in model.line(item)
                if other.number < item.number and not other.done and not model.too_old(other, now)
                if other.state != LEASED
            ]
            assert seen.issuperset(earlier), f"{item} passes {earlier}"
            seen.add(item.number)
        assert len(leases) <= limit
        assert len(seen) == len(leases)
        for lease in leases:
            due = now + (holder.ack_deadline or model.rules.ack_deadline)
            model.lease(lease.message.number, kind, lease.ack_id, due)
        if kind in ("any", "patient") and len(leases) < limit:
            assert model.waiting(now) == [], "not all that could go was taken"

    @rule(which=some, chosen=st.lists(some, min_size=1, max_size=4))
    def ack(self, which: int, chosen: list[int]) -> None:
        number = self.chosen(which)
        model, queue = self.models[number], self.world.queues[number]
        deliveries = [
            model.deliveries[n % len(model.deliveries)] for n in chosen if model.deliveries
        ]
        expected = [delivery.ack_id for delivery in deliveries if not model.ack(delivery)]

        stale = self.world.engine.ack(
            queue, [delivery.ack_id for delivery in deliveries], self.world.moment
        )

        assert stale == expected

    @rule(which=some, holder=kind_of_holder, count=st.integers(1, 4))
    def ack_current(self, which: int, holder: str, count: int) -> None:
        number = self.chosen(which)
        model, queue = self.models[number], self.world.queues[number]
        ids = [item.ack_id for item in model.items if item.ack_id and item.state == LEASED][:count]
        for delivery in [delivery for delivery in model.deliveries if delivery.ack_id in ids]:
            assert model.ack(delivery)

        stale = self.world.engine.ack(queue, ids, self.world.moment)

        assert stale == []

    @rule(
        which=some, chosen=st.lists(some, min_size=1, max_size=4),
        seconds=st.sampled_from([0, 0, 0, 1, 7, 60]),
    )  # fmt: skip
    def modify(self, which: int, chosen: list[int], seconds: int) -> None:
        number = self.chosen(which)
        model, queue, now = self.models[number], self.world.queues[number], self.world.now
        deliveries = [
            model.deliveries[n % len(model.deliveries)] for n in chosen if model.deliveries
        ]
        for delivery in deliveries:
            failed = model.modify(delivery, seconds, now)
            if failed is not None:
                model.fail(failed, now, self.dead_letters())
        ids = [delivery.ack_id for delivery in deliveries]

        self.world.engine.modify(queue, ids, seconds, self.world.moment)

        self.check_dead_letters()

    @rule(which=some, holder=kind_of_holder)
    def release(self, which: int, holder: str) -> None:
        number = self.chosen(which)
        held = self.holders.pop((number, holder), None)
        if held is not None:
            self.models[number].release(holder)
            self.world.engine.release(self.world.queues[number], held)
            assert (held.messages, held.bytes) == (0, 0)

    @rule(which=some, holder=kind_of_holder)
    def lose(self, which: int, holder: str) -> None:
        number = self.chosen(which)
        held = self.holders.pop((number, holder), None)
        if held is not None:
            now = self.world.now
            self.models[number].lose(holder, now, self.dead_letters())
            self.world.engine.lose(self.world.queues[number], held, self.world.moment)
            assert (held.messages, held.bytes) == (0, 0)
            self.check_dead_letters()

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 60.0, 400.0]))
    def wait(self, seconds: float) -> None:
        until = self.world.now + seconds
        while True:
            dues = [
                due[0]
                for model in self.models.values()
                if (due := model.next_due()) is not None and due[0] <= until
            ]
            if not dues:
                break
            self.world.now = max(self.world.now, min(dues))
            self.world.engine.tick(self.world.moment)
            for model in self.models.values():
                while (ended := model.next_due()) is not None and ended[0] <= self.world.now:
                    model.end(ended[1], self.world.now, self.dead_letters())
            self.check_dead_letters()
        self.world.advance(until - self.world.now)
        for model in self.models.values():
            for item in model.items:
                if not item.done and model.too_old(item, self.world.now):
                    self.forget_if_gone(model, item)
        self.save()

    def forget_if_gone(self, model: ModelQueue, item: Item) -> None:
        """A sweep drops expired messages, at a time that it chooses."""
        number = next(n for n, other in self.models.items() if other is model)
        if item.number not in self.world.queues[number].entries:
            item.state, item.holder, item.ever_acked = "acked", "", True

    @rule(which=some, back=st.sampled_from([0.0, 1.0, 5.0, 30.0, 500.0]))
    def seek_time(self, which: int, back: float) -> None:
        number = self.chosen(which)
        model, queue, time = self.models[number], self.world.queues[number], self.world.now - back
        kept = {message.number for message in self.world.messages(self.world.rules[number][0])}
        since = {item.number for item in model.items if item.time >= time}
        if model.rules.retain_acked:
            assert since <= kept, "a retained message was dropped"
            model.deliver_only(since)
        else:
            model.deliver_only(since & model.unacknowledged())

        self.world.engine.seek_time(queue, time, self.world.moment)

    @rule(which=some)
    def create_snapshot(self, which: int) -> None:
        number = self.chosen(which)
        queue, model = self.world.queues[number], self.models[number]
        unacknowledged = queue.unacknowledged()
        queue.log.pins[f"snapshot-{len(self.snapshots)}"] = min(
            unacknowledged, default=queue.cursor
        )
        # After this number everything is new.
        last = max((item.number for item in model.items), default=0)
        self.snapshots.append((number, queue.cursor, last, unacknowledged, model.unacknowledged()))

    @precondition(lambda self: self.snapshots)
    @rule(which=some)
    def seek_snapshot(self, which: int) -> None:
        snapshot = self.snapshots[which % len(self.snapshots)]
        number, cursor, last, unacknowledged, expected = snapshot
        model = self.models[number]
        new = {item.number for item in model.items if item.number > last}
        model.deliver_only(expected | new)

        self.world.engine.seek(self.world.queues[number], cursor, unacknowledged)
        self.world.engine._touch(self.world.queues[number], self.world.moment)

    # -- what happens to the process ----------------------------------------------------------

    @rule()
    def save(self) -> None:
        self.world.engine.save()
        self.remember()

    @rule()
    def stop_and_start(self) -> None:
        self.save()
        self.recall(self.reopened())

    def reopened(self) -> Storage:
        return self.world.storage

    def remember(self) -> None:
        self.durable = deepcopy((self.models, self.snapshots, self.published))

    def recall(self, storage: Storage) -> None:
        self.models, self.snapshots, self.published = deepcopy(self.durable)
        for model in self.models.values():
            model.crash()
        self.holders = {}
        self.world.now += 1e-3
        self.world.begin(storage)
        for index, (number, cursor, _, unacknowledged, _) in enumerate(self.snapshots):
            floor = min(unacknowledged, default=cursor)
            self.world.queues[number].log.pins[f"snapshot-{index}"] = floor

    # -- what holds always --------------------------------------------------------------------

    @invariant()
    def holders_hold_what_is_leased(self) -> None:
        if not hasattr(self, "holders"):
            return
        for (number, kind), holder in self.holders.items():
            entries = [
                entry
                for entry in self.world.queues[number].entries.values()
                if entry.holder is holder
            ]
            assert holder.messages == len(entries)
            assert holder.bytes == sum(entry.size for entry in entries)
            leased = [
                item.number
                for item in self.models[number].items
                if item.state == LEASED and item.holder == kind
            ]
            assert [entry.number for entry in entries] == leased

    @invariant()
    def what_is_needed_is_kept(self) -> None:
        if not hasattr(self, "models"):
            return
        for number, model in self.models.items():
            kept = {message.number for message in self.world.messages(self.world.rules[number][0])}
            needed = {
                item.number
                for item in model.items
                if not item.done and not model.too_old(item, self.world.now)
            }
            assert needed <= kept

    def teardown(self) -> None:
        """In the end everything can be delivered and acknowledged, and then nothing is left."""
        if not hasattr(self, "models"):
            return
        left = True
        while left:
            for which, (number, model) in enumerate(self.models.items()):
                self.take(which, "any", 100)
                for item in [item for item in model.items if item.state == LEASED]:
                    delivery = next(
                        delivery for delivery in model.deliveries if delivery.ack_id == item.ack_id
                    )
                    assert model.ack(delivery)
                    self.world.engine.ack(
                        self.world.queues[number], [delivery.ack_id], self.world.moment
                    )
            self.wait(10.0)
            left = any(
                not item.done and not model.too_old(item, self.world.now)
                for model in self.models.values()
                for item in model.items
            )
        self.wait(RETENTION_SWEEP_SECONDS)
        retains = any(rules.retain_acked for _, rules in self.world.rules.values())
        if not retains and not self.snapshots:
            assert self.world.kept() == self.world.kept(DEAD) == []
        self.stop_and_start()
        for number in self.models:
            self.take(list(self.models).index(number), "any", 100)
        self.world.storage.close()

    # -- helpers ------------------------------------------------------------------------------

    def chosen(self, which: int) -> int:
        return list(self.models)[which % len(self.models)]

    def dead_letters(self) -> Any:
        self.expected_dead: list[Item] = getattr(self, "expected_dead", [])
        return self.expected_dead.append

    def check_dead_letters(self) -> None:
        """Enter the message that the engine has just dead-lettered: the same as in the model."""
        expected = self.dead_letters().__self__
        known = {item.number for item in list(self.models.values())[-1].items}
        known_last = max(known, default=0)
        dead = [m for m in self.world.messages(DEAD) if m.number > known_last]
        assert sorted(m.data.decode() for m in dead) == sorted(item.data for item in expected)
        for message in dead:
            self.enter(DEAD, message.number, message.data.decode(), message.key, message.size)
        expected.clear()


def fitting(items: list[Item], holder: Holder, limit: int) -> list[int]:
    """Return the numbers of the first items that fit."""
    numbers: list[int] = []
    room = deepcopy(holder)
    for item in items:
        if len(numbers) >= limit or not room.has_room():
            break
        room.messages += 1
        room.bytes += item.size
        numbers.append(item.number)
    return numbers


class SqliteComparison(Comparison):
    """With a file, and with crashes."""

    def make_storage(self) -> Storage:
        self.folder = Path(tempfile.mkdtemp(prefix="ucam-faas-model-"))
        return SqliteStorage(self.folder / "state")

    def reopened(self) -> Storage:
        self.world.storage.close()
        return SqliteStorage(self.folder / "state")

    @rule()
    def crash(self) -> None:
        """Unsaved changes are lost, and nothing else."""
        self.world.storage._db.close()  # type: ignore[attr-defined]  # rolls back
        getattr(self, "expected_dead", []).clear()
        self.recall(SqliteStorage(self.folder / "state"))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "folder"):
                self.world.storage._db.close()  # type: ignore[attr-defined]
                shutil.rmtree(self.folder)


EXAMPLES = int(os.environ.get("UCAM_FAAS_MODEL_EXAMPLES", "25"))
_settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


class TestInMemory(Comparison.TestCase):  # type: ignore[misc]  # made by hypothesis
    settings = _settings
    pytestmark = pytest.mark.slow


class TestInSqlite(SqliteComparison.TestCase):  # type: ignore[misc]
    settings = _settings
    pytestmark = pytest.mark.slow
