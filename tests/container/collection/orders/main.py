"""Tasks whose fate can be told from the log."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from datetime import timedelta

from pydantic import BaseModel
from sortedcontainers import SortedSet  # type: ignore[import-untyped]  # from requirements.txt

import ucam_faas

from .greeting import GREETING

attempts: Counter[tuple[str, str]] = Counter()
"""Of a message: two Pub/Subs may give two messages one id."""
numbers = SortedSet()


class Order(BaseModel):
    """The payload."""

    number: int


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> dict[str, int]:
    """Succeed."""
    numbers.add(order.number)
    return {"number": order.number, "highest": numbers[-1]}


@ucam_faas.message_handler(message_type=Order)
def fail_twice(order: Order) -> None:
    """Fail, once as expected and once unexpectedly, and then succeed."""
    context = ucam_faas.MESSAGE_CONTEXT.get()
    message = (context.subscription, context.pubsub_message.message_id)
    attempts[message] += 1
    if attempts[message] == 1:
        raise ucam_faas.UCAMFAASCouldNotProcess("not yet")
    if attempts[message] == 2:
        raise RuntimeError("not yet either")


@ucam_faas.message_handler(message_type=Order)
def fail_always(order: Order) -> None:
    """Fail at every attempt."""
    raise RuntimeError("never")


@ucam_faas.message_handler(message_type=Order)
def give_up(order: Order) -> None:
    """Send the message to the dead-letter topic."""
    raise ucam_faas.DeadLetter("no such order")


@ucam_faas.message_handler(message_type=Order)
def take_time(order: Order) -> None:
    """Succeed after a while."""
    logging.getLogger(__name__).info("begun")
    time.sleep(0.1)


@ucam_faas.raw_event
def greet(body: bytes) -> str:
    """Answer with texts of another module of the package and of the environment."""
    return f"{GREETING}, {os.environ.get('NAME', 'stranger')}: {body.decode()}"


@ucam_faas.raw_event
def abort(body: bytes) -> None:
    """Fail as expected."""
    raise ucam_faas.UCAMFAASException("expected")


@ucam_faas.raw_event
def crash(body: bytes) -> None:
    """Fail unexpectedly."""
    raise RuntimeError("unexpected")


@ucam_faas.raw_event(timeout=timedelta(minutes=10))
async def wait(body: bytes) -> None:
    """Go on for longer than anybody waits."""
    print("waiting", flush=True)
    await asyncio.sleep(600)
