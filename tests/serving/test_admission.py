"""The gate lets in no more than its limit, in order of arrival, and loses no turn."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ucam_faas.serving.admission import FullError, Gate


class GateMachine(RuleBasedStateMachine):
    """Plays arrivals, departures and desertions against a list of who should be where."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.inside: list[int] = []
        self.queue: list[int] = []
        self.turns: dict[int, asyncio.Future[None]] = {}
        self.numbers = iter(range(10**6))

    @initialize(limit=st.integers(1, 4), queue=st.none() | st.integers(0, 4))
    def build(self, limit: int, queue: int | None) -> None:
        self.limit, self.places = limit, limit if queue is None else queue
        self.gate = Gate(limit, queue)

    @rule()
    def arrive(self) -> None:
        number = next(self.numbers)
        if self.gate.try_enter():
            assert not self.queue, "it passed others"
            self.inside.append(number)
            return
        assert len(self.inside) == self.limit or self.queue
        try:
            self.turns[number] = self.loop.run_until_complete(self._join())
        except FullError:
            assert len(self.queue) == self.places
            return
        self.queue.append(number)

    async def _join(self) -> asyncio.Future[None]:
        return self.gate.join_queue()

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.inside))
        turn = self.turns.pop(number, None)
        if turn is not None and data.draw(st.booleans()):
            self.gate.leave_queue(turn)  # it gives up just when its turn has come
        else:
            self.gate.leave()
        self.inside.remove(number)
        self._next()

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def desert(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.queue))
        self.gate.leave_queue(self.turns.pop(number))
        self.queue.remove(number)
        self._next()

    def _next(self) -> None:
        while self.queue and len(self.inside) < self.limit:
            self.inside.append(self.queue.pop(0))

    @invariant()
    def agrees_with_the_model(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert self.gate.inside == len(self.inside) <= self.limit
        assert self.gate.waiting == len(self.queue) <= self.places
        for number, turn in self.turns.items():
            assert turn.done() == (number in self.inside)

    def teardown(self) -> None:
        while self.inside or self.queue:
            number = self.inside[0]
            self.turns.pop(number, None)
            self.gate.leave()
            self.inside.remove(number)
            self._next()
            self.agrees_with_the_model()
        self.loop.close()


GateMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestGateBehavesAsItsModel = pytest.mark.slow(GateMachine.TestCase)


@pytest.mark.parametrize(("queue", "places"), [(None, 2), (0, 0), (1, 1), (5, 5)])
def test_as_many_wait_as_may(queue: int | None, places: int) -> None:
    async def fill() -> int:
        gate = Gate(2, queue)
        while gate.try_enter():
            pass
        for count in range(100):
            try:
                gate.join_queue()
            except FullError:
                return count
        return 100

    assert asyncio.run(fill()) == places


def test_a_new_arrival_does_not_pass_those_that_wait() -> None:
    async def play() -> tuple[bool, bool]:
        gate = Gate(1, 5)
        assert gate.try_enter()
        turn = gate.join_queue()
        gate.leave()
        return turn.done(), gate.try_enter()

    assert asyncio.run(play()) == (True, False)
