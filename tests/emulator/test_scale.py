"""The cost of work as queues, lines and topics grow: counted in function calls, not in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from ucam_faas.emulator.core.answers import READ_SECONDS, Answers
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.wire import grpc

from .world import World

LINEAR = 2.5
"""Twice as much costs twice as many calls, and not four times as many."""


def calls_of(function: Callable[[], object]) -> int:
    """Return how many functions a function calls, in all."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def leased_line(count: int) -> tuple[World, Any, list[Any]]:
    world = World()
    queue = world.subscribe(ordered=True)
    world.publish(*(f"{number}" for number in range(count)), key="k")
    return world, queue, list(world.take(queue).values())


@pytest.mark.parametrize("answer", ["nack", "ack"])
def test_messages_of_one_key_may_be_answered_in_reverse(answer: str) -> None:
    def cost(count: int) -> int:
        world, queue, leases = leased_line(count)
        act = getattr(world, answer)

        def run() -> None:
            for delivery in reversed(leases):
                act(queue, delivery)
                world.engine.save()

        return calls_of(run)

    assert cost(400) < LINEAR * cost(200)


def test_messages_of_one_key_may_be_taken_one_by_one() -> None:
    def cost(count: int) -> int:
        world, queue, leases = leased_line(count)
        world.nack(queue, leases[0])  # and all come again

        def run() -> None:
            for _ in range(count):
                (delivery,) = world.take(queue, 1).values()
                world.ack(queue, delivery)

        return calls_of(run)

    assert cost(400) < LINEAR * cost(200)


def test_late_acknowledgements_in_reverse_cost_no_search() -> None:
    """They are of messages that wait again, in the middle of their line."""

    def cost(count: int) -> int:
        world, queue, leases = leased_line(count)
        world.nack(queue, leases[0])

        def run() -> None:
            for delivery in reversed(leases):
                world.ack(queue, delivery)

        calls = calls_of(run)
        assert queue.entries == {}
        return calls

    assert cost(400) < LINEAR * cost(200)


def test_a_message_costs_the_same_however_many_other_subscriptions_there_are() -> None:
    def cost(others: int) -> int:
        topics = [f"projects/p/topics/t{number}" for number in range(others)]
        world = World(topics=["projects/p/topics/top", *topics])
        queue = world.subscribe("projects/p/topics/top")
        for topic in topics:
            world.subscribe(topic, ack_deadline=600.0)
            world.publish("waiting", topic=topic)
        for other in list(world.queues.values())[1:]:
            world.take(other)
        world.advance(5.0)

        def run() -> None:
            world.publish("x", topic="projects/p/topics/top")
            world.ack(queue, *world.take(queue).values())
            world.advance(5.0)

        return calls_of(run)

    assert cost(200) < 1.2 * cost(20)


class CountingStorage(MemoryStorage):
    """Knows which logs were looked through."""

    def __init__(self) -> None:
        super().__init__()
        self.searched: list[int] = []

    def first_since(self, log: int, time: float) -> int | None:
        """Return the number of the first message that was published at `time` or later."""
        self.searched.append(log)
        return super().first_since(log, time)


def test_a_sweep_looks_at_the_topics_that_changed_once_for_all_of_one_retention() -> None:
    storage = CountingStorage()
    world = World(storage, topics=["projects/p/topics/one", "projects/p/topics/two"])
    for topic in world.topics:
        for _ in range(3):
            world.subscribe(topic)

    world.publish("x", topic="projects/p/topics/two")
    world.advance(5.0)

    assert storage.searched == [world.engine.topics["projects/p/topics/two"].number]


def test_answers_that_publishers_have_read_take_no_memory() -> None:
    answers = Answers(0)

    for number in range(1, 101):
        answers.note(number, number * READ_SECONDS)

    assert len(answers._read_at) == 1


def test_timers_of_leases_that_are_over_are_cleared_away() -> None:
    world = World()
    queue = world.subscribe()
    for _ in range(5000):
        world.publish("x")
        world.ack(queue, *world.take(queue).values())

    assert len(world.engine.timers) < 2500


class Details:
    """The details of a call, as gRPC has them."""

    def __init__(self, method: str) -> None:
        self.method = method


class NoServices:
    """Has no methods."""

    def find(self, service: str, method: str) -> None:
        """Find nothing."""


def test_methods_that_are_not_there_leave_nothing_behind() -> None:
    handlers = grpc._Handlers(NoServices())  # type: ignore[arg-type]

    for number in range(100):
        assert handlers.service(Details(f"/google.pubsub.v1.Publisher/None{number}")) is not None

    assert handlers._known == {}
