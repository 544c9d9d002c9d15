"""The memory of a message is freed when it is answered, without the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import ucam_faas
from tests.serving.harness import on_a_loop

from .harness import cloud, until, working


class Part(bytearray):
    """Bytes that a weak reference can watch, to see if they are still in memory."""


PART: ContextVar[Part] = ContextVar("PART")
PARTS: list[weakref.ref[Part]] = []


def _keep(data: bytes) -> None:
    """Keep bytes for the rest of the execution."""
    part = Part(data)
    PARTS.append(weakref.ref(part))
    PART.set(part)


@ucam_faas.message_handler(message_type=None)
def in_thread(data: bytes) -> None:
    _keep(data)


@ucam_faas.message_handler(message_type=None)
async def on_loop(data: bytes) -> None:
    _keep(data)


@pytest.fixture(autouse=True)
def _no_garbage_collection() -> Iterator[None]:
    PARTS.clear()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("task", [in_thread, on_loop])
@on_a_loop
async def test_an_execution_is_freed_when_its_message_is_answered(task: Any) -> None:
    async with cloud() as pubsub, working(pubsub.worker(task)):
        pubsub.publish(task.__name__, b"x")
        await until(lambda: PARTS and PARTS[0]() is None, "it is freed")


@on_a_loop
async def test_a_message_does_not_see_the_context_of_the_one_before_it() -> None:
    seen: list[Any] = []

    @ucam_faas.message_handler(message_type=None, name="task", concurrency=1)
    async def task(data: bytes) -> None:
        seen.append(PART.get(None))
        PART.set(Part(data))

    async with cloud() as pubsub, working(pubsub.worker(task, messages_limit=2)) as running:
        pubsub.publish("task", b"1", b"2")
        await running

    assert seen == [None, None]
