"""One task of each kind that takes messages, for the matrix of front doors.

A task whose name ends in `_apart` runs in a process, and is otherwise the one without that end.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pydantic
from cloudevents.http import CloudEvent
from google.protobuf.wrappers_pb2 import StringValue

import ucam_faas
from ucam_faas.job_runs.current_job import CURRENT_JOB
from ucam_faas.logs.context import LOG_CONTEXT

NOTES = "MATRIX_NOTES"
"""The variable that names the file of notes: any process can add to it."""
STARTED: list[str] = []
"""The tasks whose start-up code this process has run."""


def start(task: str) -> None:
    STARTED.append(task)


here = ucam_faas.TaskCollection(init=[start])
apart = ucam_faas.TaskCollection(init=[start], run_in_process=True, concurrency=1)


class User(pydantic.BaseModel):
    name: str


def note(**fields: Any) -> None:
    with Path(os.environ[NOTES]).open("a") as file:
        file.write(json.dumps(fields) + "\n")


def behave(name: str) -> dict[str, str]:
    """Note the call and its surroundings, and end as the name says."""
    context = ucam_faas.MESSAGE_CONTEXT.get(None)
    message = None if context is None else context.pubsub_message
    event, log, job = (
        variable.get(None) for variable in (ucam_faas.CLOUD_EVENT_CONTEXT, LOG_CONTEXT, CURRENT_JOB)
    )
    note(
        name=name,
        started=list(STARTED) == [log.task],
        message=message and [message.attributes, message.ordering_key],
        event=event and event.attributes.event_type,
        trace=[log.trace, log.span_id, log.sampled],
        job=job and [job.id == message.message_id, job.attempt],
    )
    if name == "fail":
        raise ucam_faas.UCAMFAASCouldNotProcess("failed")
    if name == "crash":
        raise ValueError("crashed")
    if name == "retry":
        raise ucam_faas.Retry
    if name == "ignore":
        raise ucam_faas.Ignore("nothing to do")
    if name == "reject":
        raise ucam_faas.DeadLetter("no such user")
    return {"name": name}


@here.message_handler
def json_sync(user: User) -> dict[str, str]:
    return behave(user.name)


@apart.message_handler
def json_sync_apart(user: User) -> dict[str, str]:
    return behave(user.name)


@here.message_handler
async def json_async(user: User) -> dict[str, str]:
    return behave(user.name)


@here.message_handler(ordered=True)
def ordered(user: User) -> dict[str, str]:
    return behave(user.name)


@apart.message_handler(ordered=True)
def ordered_apart(user: User) -> dict[str, str]:
    return behave(user.name)


@here.message_handler
def protobuf(message: StringValue) -> dict[str, str]:
    return behave(message.value)


@apart.message_handler
def protobuf_apart(message: StringValue) -> dict[str, str]:
    return behave(message.value)


def parse(data: bytes) -> str:
    return str(json.loads(data)["name"])


@here.message_handler(message_type=parse)
def parsed(name: str) -> dict[str, str]:
    return behave(name)


@apart.message_handler(message_type=parse)
def parsed_apart(name: str) -> dict[str, str]:
    return behave(name)


def name_of_message() -> str:
    return parse(ucam_faas.MESSAGE_CONTEXT.get().pubsub_message.data)


@here.message_handler
def without_argument() -> dict[str, str]:
    return behave(name_of_message())


@apart.message_handler
def without_argument_apart() -> dict[str, str]:
    return behave(name_of_message())


@here.message_handler(idempotent=True)
def adopted(user: User) -> dict[str, str]:
    return behave(user.name)


@apart.message_handler(idempotent=True)
def adopted_apart(user: User) -> dict[str, str]:
    return behave(user.name)


@here.message_handler(idempotent=True)
async def adopted_async(user: User) -> dict[str, str]:
    return behave(user.name)


def around(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    """Note when it begins and ends."""
    note(name="outer")
    try:
        return call_next(delivery)
    finally:
        note(name="ended")


async def around_async(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    note(name="outer")
    try:
        return await call_next(delivery)
    finally:
        note(name="ended")


def forward(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    """Take the name that the task gets out of the message."""
    note(name="inner")
    return call_next(replace(delivery, payload=delivery.payload.name))


async def forward_async(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    note(name="inner")
    return await call_next(replace(delivery, payload=delivery.payload.name))


in_middleware = ucam_faas.TaskCollection(
    init=[start], middleware=[(around, around_async), (forward, forward_async)]
)


@in_middleware.message_handler(message_type=User)
def layered(name: Any) -> dict[str, str]:
    return behave(name)


@in_middleware.message_handler(message_type=User, run_in_process=True, concurrency=1)
def layered_apart(name: Any) -> dict[str, str]:
    return behave(name)


@in_middleware.message_handler(message_type=User)
async def layered_async(name: Any) -> dict[str, str]:
    return behave(name)


def behaviour() -> Iterator[Callable[[str], dict[str, str]]]:
    yield behave
    note(name="closed")


Behaviour = Annotated[Callable[[str], dict[str, str]], ucam_faas.Depends(behaviour)]


@here.message_handler
def depending(user: User, behave: Behaviour) -> dict[str, str]:
    return behave(user.name)


@apart.message_handler
def depending_apart(user: User, behave: Behaviour) -> dict[str, str]:
    return behave(user.name)


@here.message_handler
async def depending_async(user: User, behave: Behaviour) -> dict[str, str]:
    return behave(user.name)


@here.cloud_event
def event(event: CloudEvent) -> None:
    behave(parse(base64.b64decode(event.get_data()["message"]["data"])))


def message_of(event: CloudEvent) -> dict[str, Any]:
    message: dict[str, Any] = event.get_data()["message"]
    return message


@here.cloud_event_handler(event_data_parser=message_of)
def event_data(message: dict[str, Any]) -> None:
    behave(parse(base64.b64decode(message["data"])))


@apart.cloud_event_handler(event_data_parser=message_of)
def event_data_apart(message: dict[str, Any]) -> None:
    behave(parse(base64.b64decode(message["data"])))


@here.raw_event
def raw(body: bytes) -> str:
    return behave(parse(body))["name"]
