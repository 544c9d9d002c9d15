"""Tasks for the tests of `ucam-faas dev`. What they do, they write to the file EFFECTS."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

import ucam_faas
from ucam_faas import RetryPolicy, Schedule

EFFECTS = Path(os.environ["EFFECTS"])
AT_ONCE = RetryPolicy(max_attempts=5, min_backoff=timedelta(0), max_backoff=timedelta(seconds=1))


def record(effect: str, **fields: Any) -> None:
    """Append a line to the file of effects, in one write."""
    line = json.dumps({"effect": effect, **fields}) + "\n"
    descriptor = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def said(name: str) -> bool:
    """Return True if the test has made a file of this name beside the effects."""
    return EFFECTS.with_name(name).exists()


class Order(BaseModel):
    number: int = Field(examples=[7])


@ucam_faas.message_handler(message_type=Order, retry=AT_ONCE)
def store(order: Order) -> None:
    record("store", number=order.number)


@ucam_faas.message_handler(
    message_type=None,
    topic="shop-events",
    filter='attributes.kind = "order"',
    ordered=True,
    retry=RetryPolicy(
        max_attempts=7, min_backoff=timedelta(seconds=2), max_backoff=timedelta(seconds=20)
    ),
    dead_letter_topic="shop-dead",
    timeout=timedelta(seconds=45),
)
def on_order(data: bytes) -> None:
    record("on_order", data=data.decode())


@ucam_faas.raw_event(
    schedule=[
        Schedule("0 3 * * *", time_zone="Europe/London", data=b"nightly", attributes={"a": "b"}),
        Schedule("30 6 1 1 *", data=b"yearly", paused=True),
    ]
)
def clean_up(body: bytes) -> None:
    if said("no-clean-up"):
        raise ValueError("never")
    record("clean_up", data=body.decode())


@ucam_faas.message_handler(message_type=None, retry=AT_ONCE)
def fail(data: bytes) -> None:
    record("fail", data=data.decode())
    raise ValueError("never")


@ucam_faas.message_handler(message_type=None, name="quote")
def refuse_and_quote(data: bytes) -> None:
    raise ucam_faas.UCAMFAASException(f"cannot do {data.decode()}")


@ucam_faas.message_handler(message_type=None, retry=replace(AT_ONCE, max_attempts=100))
def flaky(data: bytes) -> None:
    if said("broken"):
        raise ucam_faas.UCAMFAASException("broken")
    record("flaky", data=data.decode())


@ucam_faas.message_handler(message_type=None, retry=AT_ONCE)
def linger(data: bytes) -> None:
    record("begin", data=data.decode())
    deadline = time.monotonic() + 20
    while not said("go") and time.monotonic() < deadline:
        time.sleep(0.01)
    record("end", data=data.decode())


@ucam_faas.message_handler(message_type=None, retry=AT_ONCE)
def relay(data: bytes) -> None:
    from google.cloud import pubsub_v1

    record("relay", host=os.environ["PUBSUB_EMULATOR_HOST"])
    publisher = pubsub_v1.PublisherClient()
    topic = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/topics/store"
    publisher.publish(topic, data).result(timeout=10)
    publisher.transport.close()


@ucam_faas.http(path="/hello")
def hello(request: Any) -> str:
    return "hello"
