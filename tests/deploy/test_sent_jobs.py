"""The jobs that a task sends, as its code shows them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import ucam_faas
from ucam_faas import Priority, send_async
from ucam_faas.deploy.sent_jobs import sent_by

here = sys.modules[__name__]
BULK = "bulk"


@ucam_faas.message_handler(name="charge-card")
def charge(number: int) -> None: ...


@ucam_faas.message_handler
def by_task(number: int) -> None:
    charge.send(number)


@ucam_faas.message_handler
def of_a_module(number: int) -> None:
    here.charge.send_many([number], delay=None)


@ucam_faas.message_handler
async def asynchronous(number: int) -> None:
    await charge.send_async(number, at=None)
    await send_async("shop.charge", number)


@ucam_faas.message_handler
def of_others(number: int, socket: Any = None) -> None:
    socket.send(number)
    ucam_faas.send(f"charge{number}", number)


@ucam_faas.message_handler
def in_lanes(number: int) -> None:
    charge.send(number, lane="bulk")
    charge.send(number, lane=2)
    charge.send(number, lane=BULK)
    charge.send(number, lane=Priority.HIGH)
    charge.send(number, lane=ucam_faas.Priority.LOW)
    charge.send(number, lane=str(number))
    charge.send(number)


@ucam_faas.message_handler
def summarise(batch: ucam_faas.BatchEnded) -> None: ...


@ucam_faas.message_handler
def of_a_batch(numbers: list[int]) -> None:
    charge.send_many(numbers, then=summarise)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (charge, []),
        (by_task, [("charge-card", False)]),
        (of_a_module, [("charge-card", True)]),
        (asynchronous, [("charge-card", True), ("charge", False)]),
        (of_others, []),
        (of_a_batch, [("charge-card", False), ("summarise", False)]),
    ],
)
def test_a_call_that_sends_is_read(function: Any, expected: list[tuple[str, bool]]) -> None:
    calls = list(sent_by(function.task))

    assert [(sent.receiver, sent.is_delayed) for sent in calls] == expected


def test_the_lane_of_a_call_is_read() -> None:
    lanes = [sent.lane for sent in sent_by(in_lanes.task)]

    assert lanes == ["bulk", "lane-2", "bulk", "high", "low", None, None]


def test_a_call_is_at_its_line() -> None:
    (sent,) = sent_by(by_task.task)

    assert sent.place.line == by_task.task.place[1] + 2


def test_a_function_that_is_made_at_run_time_sends_nothing() -> None:
    space: dict[str, Any] = {"ucam_faas": ucam_faas}
    exec("@ucam_faas.raw_event\ndef made(body: bytes) -> None: ...", space)

    assert list(sent_by(space["made"].task)) == []
