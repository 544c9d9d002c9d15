"""The tasks of the trials of workers. They note their runs in the file that RUNS names."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel

import ucam_faas

AT_ONCE = ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0))
SOON = timedelta(seconds=0.5)


class Order(BaseModel):
    """An order: the time that it takes, and its fault."""

    id: str
    seconds: float = 0
    fault: Literal["", "abort", "raise", "hang", "hang for good"] = ""


def note(event: str, order: Order) -> None:
    """Add a line to the file of runs."""
    context = ucam_faas.MESSAGE_CONTEXT.get(None)  # a batch has none
    line = {
        "event": event,
        "id": order.id,
        "attempt": context.delivery_attempt if context else 0,
        "at": time.time(),
        "process": os.getpid(),
    }
    with open(os.environ["RUNS"], "a") as file:
        file.write(json.dumps(line) + "\n")


def take(order: Order) -> str:
    """Take the order's time, or meet its fault."""
    note("began", order)
    if os.environ.get("KILL_AT") == "while it runs":
        os.kill(os.getpid(), 9)
    if order.fault == "abort":
        os.abort()
    if order.fault == "raise":
        raise ValueError("it fails")
    if order.fault:
        time.sleep(2.5 if order.fault == "hang" else 1e6)
    time.sleep(order.seconds)
    note("ended", order)
    return order.id


charge = ucam_faas.message_handler(name="charge", timeout=timedelta(seconds=2), retry=AT_ONCE)(take)
isolated = ucam_faas.message_handler(
    name="isolated", timeout=timedelta(seconds=2), retry=AT_ONCE, run_in_process=True
)(take)


@ucam_faas.message_handler(timeout=timedelta(seconds=180), retry=AT_ONCE)
async def deliver(order: Order) -> str:
    """Take the order's time. A cancelled run has no effect."""
    note("began", order)
    await asyncio.sleep(order.seconds)
    note("ended", order)
    return order.id


async def follow(order: Order) -> str:
    """Take the order's time. The fault ends when there is a file `repaired`."""
    note("began", order)
    await asyncio.sleep(order.seconds)
    if order.fault and not os.path.exists(os.environ["RUNS"] + ".repaired"):
        raise ValueError("it fails")
    note("ended", order)
    return order.id


limited = ucam_faas.message_handler(
    name="limited",
    ordered=True,
    concurrency=4,
    timeout=timedelta(seconds=20),
    retry=ucam_faas.RetryPolicy(max_attempts=5, min_backoff=SOON, max_backoff=SOON),
)(follow)
unlimited = ucam_faas.message_handler(
    name="unlimited",
    ordered=True,
    concurrency=4,
    timeout=timedelta(seconds=20),
    retry=ucam_faas.RetryPolicy(max_attempts=None, min_backoff=SOON, max_backoff=SOON),
)(follow)


@ucam_faas.message_handler(
    lanes=["bulk"], concurrency=4, timeout=timedelta(seconds=20), retry=AT_ONCE
)
async def laned(order: Order) -> str:
    """Take the order's time."""
    return await follow(order)


@ucam_faas.batch_handler(
    max_messages=50,
    max_wait=timedelta(seconds=0.2),
    timeout=timedelta(seconds=20),
    retry=ucam_faas.RetryPolicy(max_attempts=100, min_backoff=SOON, max_backoff=SOON),
)
def gather(orders: list[ucam_faas.BatchMessage[Order]]) -> ucam_faas.BatchResult:
    """Take a moment. One in ten fails the first time."""
    for each in orders:
        note("began", each.payload)
    time.sleep(0.1)
    failed = [each for each in orders if each.payload.fault and (each.delivery_attempt or 1) < 2]
    for each in orders:
        if each not in failed:
            note("ended", each.payload)
    return ucam_faas.BatchResult({each: ucam_faas.Retry() for each in failed})


@ucam_faas.batch_handler(
    max_messages=5,
    max_wait=timedelta(seconds=0.2),
    ordered=True,
    retry=ucam_faas.RetryPolicy(max_attempts=None, min_backoff=SOON, max_backoff=SOON),
)
def gather_in_order(orders: list[ucam_faas.BatchMessage[Order]]) -> ucam_faas.BatchResult:
    """Take the orders' time. Every fifth order fails once, and those of its key after it."""
    failed: dict[ucam_faas.BatchMessage[Order], type[ucam_faas.Retry]] = {}
    for message in orders:
        order = message.payload
        note("began", order)
        if os.environ.get("KILL_AT") == "while it runs":
            os.kill(os.getpid(), 9)
        mark = f"{os.environ['RUNS']}.{order.id}"
        if message.ordering_key in {each.ordering_key for each in failed}:
            continue
        if int(order.id) % 5 == 0 and not os.path.exists(mark):
            open(mark, "w").close()
            failed[message] = ucam_faas.Retry
        else:
            time.sleep(order.seconds)
            note("ended", order)
    return ucam_faas.BatchResult(failed)
