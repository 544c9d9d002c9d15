"""Driving the application as a server does: on an event loop, event by event."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.publishing import Publisher
from ucam_faas.serving.app import App
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock, make_push

WAIT_SECONDS = 60
"""The bound of every wait: a slow machine needs seconds, a fault never ends."""
EXECUTION_LINES = {
    "ucam_faas_function_completed",
    "ucam_faas_function_aborted",
    "function_failed_gracefully",
    "function_failed_uncaught_exception",
}


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine function."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def make_app(
    *functions: Any,
    clock: Clock | None = None,
    publisher: Publisher | None = None,
    store: JobStore | None = None,
    **settings: Any,
) -> App:
    """Return the application for decorated functions; it belongs to the running loop."""
    tasks = [task for task in map(registry.task_of, functions) if task is not None]
    runtime = Runtime(Settings(**settings), clock or ManualClock(), publisher, store=store)
    return App(tasks, runtime)


@dataclass
class Exchange:
    """One request, as a server plays it: events in, events out."""

    received: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode(), value.decode("latin-1")) for name, value in self.sent[0]["headers"]]

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent[1:])

    @property
    def text(self) -> str:
        return self.body.decode()


async def exchange(
    app: App,
    path: str = "/",
    chunks: Iterable[bytes | None] = (b"",),
    *,
    method: str = "POST",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    query: bytes = b"",
) -> Exchange:
    """Make one request; a chunk of None is the client going away."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs
        ],
    }
    waiting = list(chunks)
    record = Exchange()

    async def receive() -> dict[str, Any]:
        record.received += 1
        if not waiting or waiting[0] is None:
            return {"type": "http.disconnect"}
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(event: Any) -> None:
        record.sent.append(event)

    await app(scope, receive, send)
    return record


async def push(app: App, task: str, data: Any = b"", **options: Any) -> Exchange:
    """Deliver a message."""
    made = make_push(data)
    return await exchange(app, f"/{task}", [made.body], headers=made.headers, **options)


def start(coroutine: Coroutine[Any, Any, Exchange]) -> asyncio.Task[Exchange]:
    """Let a request run beside the test."""
    return asyncio.get_running_loop().create_task(coroutine)


async def begin(coroutine: Coroutine[Any, Any, Exchange], held: Held) -> asyncio.Task[Exchange]:
    """Let a request run beside the test, and wait until its task does."""
    request = start(coroutine)
    await until(held.begun)
    return request


async def settle() -> None:
    """Let the loop do all that it can do without anything from outside."""
    for _ in range(30):
        await asyncio.sleep(0)


async def until(event: threading.Event) -> None:
    """Wait for a thread."""
    assert await asyncio.to_thread(event.wait, WAIT_SECONDS), "nothing came"


async def advance(clock: ManualClock, seconds: float) -> None:
    """Let time pass on the loop, where the timers belong."""
    clock.advance(timedelta(seconds=seconds))
    await settle()


def lines(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the messages of the lines about executions."""
    return [record.getMessage() for record in records if record.getMessage() in EXECUTION_LINES]


def messages(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the messages of all lines of the package."""
    return [record.getMessage() for record in records if record.name == "ucam_faas"]


def fields_of(records: Iterable[logging.LogRecord], message: str) -> dict[str, Any]:
    """Return the fields of the one line with a message."""
    (record,) = [record for record in records if record.getMessage() == message]
    fields: dict[str, Any] = record.__dict__["fields"]
    return fields


class Held:
    """A sync function's body that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.ended = threading.Event()
        self.seen: list[Any] = []

    def __call__(self, value: Any = None) -> None:
        self.seen.append(value)
        self.begun.set()
        assert self.release.wait(WAIT_SECONDS)
        self.ended.set()


def body_of(**event: Any) -> bytes:
    return json.dumps(event).encode()
