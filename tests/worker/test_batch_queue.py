"""Which messages of a task of batches start together, and when."""

from __future__ import annotations

import itertools
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies as st

from ucam_faas.tasks.message_batches import BatchLimits
from ucam_faas.testing import ManualClock
from ucam_faas.worker.batches import BatchQueue
from ucam_faas.worker.messages import Pulled
from ucam_faas.worker.pace import BatchPace


class Queue:
    """A queue on a clock of its own, which starts the batches that are ready."""

    def __init__(self, max_messages: int = 3, max_wait: float = 10, room: int = 1000) -> None:
        self.clock = ManualClock()
        limits = BatchLimits(max_messages=max_messages, max_wait=timedelta(seconds=max_wait))
        self.queue = BatchQueue(limits, self.clock, lambda: room, self.start)
        self.started: list[list[Pulled]] = []

    def add(self, *names: str) -> None:
        """Add messages, each named with its key and a number, such as `a1`."""
        self.queue.add([message(name) for name in names])
        self.start()

    def start(self) -> None:
        while self.queue.is_ready:
            self.started.append(list(self.queue.take()))

    def end(self, number: int, *failed: str) -> list[str]:
        """End a batch that was started; return the messages that are given back."""
        batch = self.started[number]
        returned = self.queue.ended(batch, [each for each in batch if each.ack_id in failed])
        names = [each.ack_id for each in returned]
        self.start()
        return names

    @property
    def names(self) -> list[str]:
        return [" ".join(each.ack_id for each in batch) for batch in self.started]


def message(name: str) -> Pulled:
    received = SimpleNamespace(ack_id=name, message=SimpleNamespace(message_id=name))
    pulled = Pulled(cast("Any", None), received, 0)
    pulled.key = name[0] if name[0].isalpha() else ""
    return pulled


def test_a_full_batch_starts_at_once() -> None:
    queue = Queue(max_messages=2)

    queue.add("1", "2", "3")

    assert queue.names == ["1 2"]


def test_the_first_message_waits_no_longer_than_max_wait() -> None:
    queue = Queue(max_messages=3, max_wait=10)
    queue.add("1")
    queue.clock.advance(9)
    queue.add("2")
    queue.clock.advance(0.5)

    assert queue.names == []

    queue.clock.advance(0.5)

    assert queue.names == ["1 2"]


def test_the_wait_of_the_next_batch_begins_with_its_own_first_message() -> None:
    queue = Queue(max_messages=2, max_wait=10)
    queue.add("1")
    queue.clock.advance(9)
    queue.add("2", "3")
    queue.clock.advance(9)

    assert queue.names == ["1 2"]

    queue.clock.advance(1)

    assert queue.names == ["1 2", "3"]


def test_without_a_wait_messages_start_as_they_come() -> None:
    queue = Queue(max_messages=3, max_wait=0)

    queue.add("1", "2")
    queue.add("3")

    assert queue.names == ["1 2", "3"]


def test_a_worker_that_ends_soon_waits_for_no_more_than_it_takes() -> None:
    queue = Queue(max_messages=100, room=2)

    queue.add("1", "2", "3")

    assert queue.names[0] == "1 2"


def test_messages_of_a_key_are_in_one_batch_and_later_ones_wait_for_its_end() -> None:
    queue = Queue(max_messages=3)

    queue.add("a1", "a2", "b1", "a3", "c1", "c2", "c3")

    assert queue.names == ["a1 a2 b1", "c1 c2 c3"]

    queue.add("d1", "d2")
    queue.end(0)

    assert queue.names[2:] == ["a3 d1 d2"]


def test_later_messages_of_a_failed_key_are_given_back() -> None:
    queue = Queue(max_messages=2)
    queue.add("a1", "b1", "a2", "b2", "b3")

    assert queue.end(0, "a1") == ["a2"]
    assert queue.names == ["a1 b1", "b2 b3"]


def test_all_that_wait_is_given_back_at_the_end() -> None:
    queue = Queue(max_messages=2)
    queue.add("a1", "b1", "a2", "1")

    assert {each.ack_id for each in queue.queue.clear()} == {"a2", "1"}
    queue.clock.advance(60)
    assert queue.names == ["a1 b1"]


@settings(max_examples=150, deadline=None)
@given(
    max_messages=st.integers(1, 5),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.lists(st.sampled_from("ab0"), max_size=6)),
            st.tuples(st.just("end"), st.lists(st.sampled_from("ab"), max_size=2)),
            st.tuples(st.just("advance"), st.sampled_from([0.5, 5.0, 20.0])),
        ),
        max_size=30,
    ),
)
def test_whatever_comes_and_fails(max_messages: int, steps: list[Any]) -> None:
    """Each message starts or is given back, within the size, and a key's in its order."""
    queue, added, ended, returned = Queue(max_messages), 0, 0, set[str]()
    for step, value in steps:
        if step == "add":
            names = [f"{key.strip('0')}{added + n:04}" for n, key in enumerate(value)]
            added += len(names)
            queue.add(*names)
        elif step == "advance":
            queue.clock.advance(value)
        elif ended < len(queue.started):
            failed = [each.ack_id for each in queue.started[ended] if each.key in value]
            returned.update(queue.end(ended, *failed))
            ended += 1
    queue.clock.advance(60)
    while ended < len(queue.started):
        queue.end(ended)
        ended += 1
        queue.clock.advance(60)

    started = [each.ack_id for batch in queue.started for each in batch]
    assert len(started) + len(returned) == added
    assert set(started).isdisjoint(returned)
    assert all(1 <= len(batch) <= max_messages for batch in queue.started)
    for key in "ab":
        of_key = [name for name in started if name[0] == key]
        assert of_key == sorted(of_key)


@pytest.mark.parametrize("limit", [None, 700])
def test_the_next_batch_gathers_only_if_it_starts_soon(limit: int | None) -> None:
    pace = BatchPace(1, 500, limit)
    sizes = [pace.size]

    for seconds in (0.1, 60.0, 60.0, 0.9, *[0.1] * 30):
        pace.add(seconds)
        sizes.append(pace.size)

    assert sizes[0] == sizes[-1] == (limit or 1000)
    assert 500 in sizes
    assert sum(before != after for before, after in itertools.pairwise(sizes)) == 2
