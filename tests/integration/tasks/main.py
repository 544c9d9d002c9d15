"""Tasks that write down what they do: one JSON line for each effect, in the file EFFECTS."""

import asyncio
import json
import os
import resource
import time
from datetime import timedelta
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel

import ucam_faas


class Order(BaseModel):
    """The payload of most of the tasks."""

    number: int


def record(effect: str, **fields: Any) -> None:
    """Append an effect, whole, whoever else writes: O_APPEND and one write."""
    context = ucam_faas.MESSAGE_CONTEXT.get(None)
    if context is not None:
        message = context.pubsub_message
        fields |= {"message_id": message.message_id, "attributes": message.attributes}
        fields |= {"subscription": context.subscription}
    line = json.dumps({"effect": effect, "pid": os.getpid(), **fields}) + "\n"
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def times_recorded(message_id: str) -> int:
    """Count the effects of a message."""
    with open(os.environ["EFFECTS"]) as lines:
        return sum(json.loads(line).get("message_id") == message_id for line in lines)


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None:
    """Record a JSON message."""
    record("store", number=order.number)


@ucam_faas.message_handler(message_type=Order)
async def store_async(order: Order) -> None:
    """Record a JSON message, after giving way to others."""
    await asyncio.sleep(0)
    record("store_async", number=order.number)


@ucam_faas.message_handler(message_type=list[Order])
def store_list(orders: list[Order]) -> None:
    """Record how many there are."""
    record("store_list", orders=len(orders))


@ucam_faas.message_handler(message_type=list[Order])
async def store_list_async(orders: list[Order]) -> None:
    """Record how many there are."""
    record("store_list_async", orders=len(orders))


@ucam_faas.message_handler(message_type=StringValue)
def store_protobuf(message: StringValue) -> None:
    """Record a protobuf message."""
    record("store_protobuf", value=message.value)


@ucam_faas.message_handler(message_type=None)
def store_bytes(data: bytes) -> None:
    """Record a message of any form."""
    record("store_bytes", data=data.decode())


@ucam_faas.message_handler(message_type=Order)
def fail_twice(order: Order) -> None:
    """Fail, once as expected and once unexpectedly, and then succeed."""
    record("fail_twice", number=order.number)
    times = times_recorded(ucam_faas.MESSAGE_CONTEXT.get().pubsub_message.message_id)
    if times == 1:
        raise ucam_faas.UCAMFAASCouldNotProcess("not yet")
    if times == 2:
        raise RuntimeError("not yet either")


@ucam_faas.message_handler(message_type=Order)
def fail_always(order: Order) -> None:
    """Fail at every attempt."""
    record("fail_always", number=order.number)
    raise RuntimeError("never")


@ucam_faas.message_handler(message_type=Order)
def give_up(order: Order) -> None:
    """Send the message to the dead-letter topic."""
    record("give_up", number=order.number)
    raise ucam_faas.DeadLetter("no such order")


@ucam_faas.message_handler(message_type=Order, timeout=timedelta(seconds=1))
def give_up_in_time(order: Order) -> None:
    """Send the message to the dead-letter topic, under a deadline."""
    raise ucam_faas.DeadLetter("no such order")


@ucam_faas.raw_event
def work(body: bytes) -> str:
    """Take the seconds that the request asks for, and record it then."""
    asked = json.loads(body)
    record("work_begins", id=asked["id"])
    time.sleep(asked["seconds"])
    record("work", id=asked["id"])
    return str(asked["id"])


@ucam_faas.raw_event
async def work_async(body: bytes) -> str:
    """Take the seconds that the request asks for on the event loop, and record it then."""
    asked = json.loads(body)
    record("work_begins", id=asked["id"])
    await asyncio.sleep(asked["seconds"])
    record("work", id=asked["id"])
    return str(asked["id"])


@ucam_faas.raw_event(timeout=timedelta(seconds=0.2))
def hang(body: bytes) -> None:
    """Outlive the deadline by far."""
    time.sleep(600)


@ucam_faas.raw_event
def process_id(body: bytes) -> str:
    """Tell in which process it runs."""
    return str(os.getpid())


@ucam_faas.raw_event
def echo(body: bytes) -> bytes:
    """Record the body and send it back."""
    record("echo", body=body.decode(), type=type(body).__name__)
    return body


@ucam_faas.raw_event
def abort(body: bytes) -> None:
    """Fail as expected."""
    raise ucam_faas.UCAMFAASException("expected")


@ucam_faas.message_handler(message_type=None)
def abort_by_report(data: bytes) -> ucam_faas.ExecutionInfo:
    """Fail by a report."""
    return ucam_faas.ExecutionInfo(execution=ucam_faas.AbortedExecutionResult(reason="mine"))


@ucam_faas.raw_event
def crash(body: bytes) -> None:
    """Fail unexpectedly."""
    raise RuntimeError("unexpected")


def not_a_task(body: bytes) -> None:
    """Lack a decorator."""


@ucam_faas.raw_event
def exit_with(body: bytes) -> None:
    """End the process at once, with the code that the request asks for."""
    os._exit(int(body))


@ucam_faas.raw_event
def answer_with_headers(body: bytes) -> Any:
    """Answer with the headers that the request asks for."""
    record("answer_with_headers")
    return "done", 201, json.loads(body)


@ucam_faas.raw_event
def leak_descriptors(body: bytes) -> str:
    """Open files until no more can be opened, and keep them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    while True:
        try:
            _leaked.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return str(os.getpid())


_leaked: list[int] = []


@ucam_faas.raw_event
def close_stdout(body: bytes) -> None:
    """Close what the process prints to, as careless code does."""
    os.close(1)


@ucam_faas.batch_handler(message_type=None)
def gather(messages: list[ucam_faas.BatchMessage[bytes]]) -> None:
    """Runs in a worker only."""
