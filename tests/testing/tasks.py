"""Tasks for the tests of `ucam_faas_local`."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from ucam_faas import RetryPolicy, message_handler, raw_event
from ucam_faas.local_testing import EmbeddedCloud

ATTEMPTS = RetryPolicy().max_attempts or 0
"""Of a task without a policy."""


class User(BaseModel):
    name: str


@message_handler(message_type=User)
def greet(user: User) -> str:
    return f"Hello {user.name}"


@message_handler(message_type=None)
async def wait_a_moment(data: bytes) -> int:
    await asyncio.sleep(0)
    return len(data)


@message_handler(name="count-letters", topic="letters")
def count(data: bytes) -> int:
    return len(data)


@raw_event
def shout(body: bytes) -> str:
    return body.decode().upper()


@message_handler(message_type=None)
def crash(data: bytes) -> None:
    raise ZeroDivisionError


def values(cloud: EmbeddedCloud, task: Any) -> list[Any]:
    return [execution.value for execution in cloud.executions_of(task)]
