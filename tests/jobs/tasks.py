"""The tasks that the tests of jobs send to, under `ucam-faas dev`."""

from __future__ import annotations

import fcntl
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import ucam_faas
from ucam_faas import Retry


class Order(BaseModel):
    """An order."""

    id: int


class Receipt(BaseModel):
    """The answer to an order."""

    order: int
    executions: int


def executions(order: Order) -> int:
    """Count the executions of an order."""
    with Path(f"order-{order.id}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two executions at once would both count two
        file.write(".")
        file.seek(0)
        return len(file.read())


def note(file: str, data: bytes) -> None:
    """Add a line to a file."""
    with Path(file).open("ab") as lines:
        lines.write(data + b"\n")


@ucam_faas.message_handler
def charge(order: Order) -> Receipt:
    """Charge an order."""
    return Receipt(order=order.id, executions=executions(order))


@ucam_faas.message_handler
async def charge_async(order: Order) -> Receipt:
    """Charge an order, on the event loop."""
    return Receipt(order=order.id, executions=executions(order))


@ucam_faas.message_handler(lanes=2)
def pack(order: Order) -> str:
    """Pack an order, and say in which lane."""
    return ucam_faas.MESSAGE_CONTEXT.get().subscription


@ucam_faas.raw_event
def count(body: bytes) -> int:
    """Count bytes."""
    return len(body)


@ucam_faas.message_handler(topic="shared", filter="attributes:never")
def hears_nothing(data: bytes) -> str:
    """Return the data; its topic's messages are filtered out."""
    note("hears-nothing", data)
    return data.decode()


@ucam_faas.message_handler(topic="shared")
def hears_all(data: bytes) -> str:
    """Return the data; it has the topic with another task."""
    note("hears-all", data)
    return data.decode()


@ucam_faas.message_handler
def refuse(order: Order) -> None:
    """Fail at once, for good."""
    raise ucam_faas.DeadLetter("refused")


@ucam_faas.message_handler
def second_time(order: Order) -> int:
    """Succeed at the second execution."""
    times = executions(order)
    if times == 1:
        raise Retry(after=timedelta(seconds=0.5))
    return times


@ucam_faas.message_handler
def nap(order: Order) -> list[int]:
    """Count the executions in a step and after a sleep."""
    job = ucam_faas.current_job()
    before = job.step("before", executions, order)
    job.sleep(timedelta(seconds=0.5))
    return [before, executions(order), job.attempt]


@ucam_faas.message_handler
async def nap_async(order: Order) -> list[int]:
    """Count the executions in a step and after a sleep, on the event loop."""
    job = ucam_faas.current_job()
    before = await job.step_async("before", executions, order)
    await job.sleep_async(timedelta(seconds=0.5))
    return [before, executions(order), job.attempt]


class Kind(BaseModel):
    """Of a result or an error."""

    name: str


@ucam_faas.message_handler
def answer(kind: Kind) -> Any:
    """Return a value that is odd, or large."""
    return {"none": None, "nan": float("nan"), "large": "result" * 900_000}[kind.name]


class Unprintable(Exception):
    """Its text can't be made."""

    def __str__(self) -> str:
        raise RuntimeError


@ucam_faas.message_handler
def fail(kind: Kind) -> None:
    """Raise an exception that is odd, or large."""
    cyclic, other = ValueError("cyclic"), KeyError("other")
    cyclic.__cause__, other.__cause__ = other, cyclic
    errors: dict[str, BaseException] = {
        "huge": ValueError("text" * 3_000_000),
        "unprintable": Unprintable(),
        "unstorable": ValueError("a\0b\ud800"),
        "cyclic": cyclic,
        "group": ExceptionGroup("group", [ValueError(str(n)) for n in range(1000)]),
        "exit": SystemExit(3),
    }
    raise errors[kind.name]


@ucam_faas.message_handler
def parent(order: Order) -> list[str]:
    """Send three jobs, two of them alike, and fail the first time."""
    ids = [charge.send(Order(id=number)).id for number in (201, 202, 202)]
    if executions(order) == 1:
        raise Retry(after=timedelta(seconds=0.1))
    return ids


@ucam_faas.message_handler
def count_up(order: Order) -> None:
    """Report progress until the job is cancelled."""
    for number in range(6000):
        ucam_faas.current_job().progress(number)
        time.sleep(0.01)
