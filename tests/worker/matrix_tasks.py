"""One task of each kind that takes messages, for the matrix of front doors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any

import pydantic
from cloudevents.http import CloudEvent
from google.protobuf.wrappers_pb2 import StringValue

import ucam_faas

SEEN: list[Any] = []


class User(pydantic.BaseModel):
    name: str


def behave(name: str) -> dict[str, str]:
    """Note the call, and end as the name says."""
    SEEN.append(name)
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


@ucam_faas.message_handler
def json_sync(user: User) -> dict[str, str]:
    return behave(user.name)


@ucam_faas.message_handler
async def json_async(user: User) -> dict[str, str]:
    return behave(user.name)


@ucam_faas.message_handler
def protobuf(message: StringValue) -> dict[str, str]:
    return behave(message.value)


def parse(data: bytes) -> str:
    return str(json.loads(data)["name"])


@ucam_faas.message_handler(message_type=parse)
def parsed(name: str) -> dict[str, str]:
    return behave(name)


@ucam_faas.message_handler
def without_argument() -> dict[str, str]:
    message = ucam_faas.MESSAGE_CONTEXT.get().pubsub_message
    return behave(json.loads(message.data)["name"])


@ucam_faas.message_handler(idempotent=True)
def adopted(user: User) -> dict[str, str]:
    return behave(user.name)


@ucam_faas.message_handler(idempotent=True)
async def adopted_async(user: User) -> dict[str, str]:
    return behave(user.name)


def around(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    """Note when it begins and ends."""
    SEEN.append("outer")
    try:
        return call_next(delivery)
    finally:
        SEEN.append("ended")


async def around_async(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    SEEN.append("outer")
    try:
        return await call_next(delivery)
    finally:
        SEEN.append("ended")


def forward(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    """Take the name that the task gets out of the message."""
    SEEN.append("inner")
    return call_next(replace(delivery, payload=delivery.payload.name))


async def forward_async(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> Any:
    SEEN.append("inner")
    return await call_next(replace(delivery, payload=delivery.payload.name))


in_middleware = ucam_faas.TaskCollection(
    middleware=[(around, around_async), (forward, forward_async)]
)


@in_middleware.message_handler(message_type=User)
def layered(name: Any) -> dict[str, str]:
    return behave(name)


@in_middleware.message_handler(message_type=User)
async def layered_async(name: Any) -> dict[str, str]:
    return behave(name)


def behaviour() -> Iterator[Callable[[str], dict[str, str]]]:
    yield behave
    SEEN.append("closed")


@ucam_faas.message_handler
def depending(
    user: User, behave: Annotated[Callable[[str], dict[str, str]], ucam_faas.Depends(behaviour)]
) -> dict[str, str]:
    return behave(user.name)


@ucam_faas.message_handler
async def depending_async(
    user: User, behave: Annotated[Callable[[str], dict[str, str]], ucam_faas.Depends(behaviour)]
) -> dict[str, str]:
    return behave(user.name)


@ucam_faas.cloud_event
def event(event: CloudEvent) -> None:
    import base64

    message = event.get_data()["message"]
    behave(json.loads(base64.b64decode(message["data"]))["name"])


@ucam_faas.cloud_event_handler(event_data_parser=lambda event: event.get_data()["message"])
def event_data(message: dict[str, Any]) -> None:
    import base64

    behave(json.loads(base64.b64decode(message["data"]))["name"])


@ucam_faas.raw_event
def raw(body: bytes) -> str:
    return behave(json.loads(body)["name"])["name"]
