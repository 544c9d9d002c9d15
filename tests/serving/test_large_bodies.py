"""Large bodies are decoded off the event loop, and otherwise treated like small ones."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from ucam_faas.execution.off_loop import LARGE_BYTES
from ucam_faas.testing import ManualClock

from .harness import advance, exchange, fields_of, make_app, on_a_loop, push, settle, start, until

LARGE = b"x" * (LARGE_BYTES + 1)


class Parser:
    """A parser that says in which thread it was, and waits if it is told to."""

    def __init__(self, *, waits: bool = False) -> None:
        self.threads: list[threading.Thread] = []
        self.begun, self.release = threading.Event(), threading.Event()
        if not waits:
            self.release.set()

    def __call__(self, data: bytes) -> int:
        self.threads.append(threading.current_thread())
        self.begun.set()
        assert self.release.wait(10)
        return len(data)


def task_of(parse: Any, **policy: Any) -> tuple[Any, list[Any]]:
    seen: list[Any] = []

    @ucam_faas.message_handler(message_type=parse, **policy)
    async def task(size: Any) -> None:
        message = ucam_faas.MESSAGE_CONTEXT.get().pubsub_message
        event = ucam_faas.CLOUD_EVENT_CONTEXT.get().attributes
        seen.append((size, len(message.data), event.event_type, threading.current_thread()))

    return task, seen


@pytest.mark.parametrize(("data", "in_loop"), [(b"small", True), (LARGE, False)], ids=["S", "L"])
@on_a_loop
async def test_an_async_task_gets_a_large_payload_with_its_contexts(
    data: bytes, in_loop: bool
) -> None:
    parse = Parser()
    task, seen = task_of(parse)

    response = await push(make_app(task), "task", data)

    assert response.status == 200
    here = threading.current_thread()
    event_type = "google.cloud.pubsub.topic.v1.messagePublished"
    assert seen == [(len(data), len(data), event_type, here)]
    assert (parse.threads == [here]) is in_loop


@on_a_loop
async def test_a_large_body_that_is_no_event_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    task, seen = task_of(None)

    response = await exchange(make_app(task), "/task", [LARGE])

    assert response.status == 400
    assert seen == []
    assert fields_of(caplog.records, "ucam_faas_request_rejected")["outcome"] == "not_an_event"


@pytest.mark.parametrize("how", ["deadline", "drain"])
@on_a_loop
async def test_a_large_payload_that_is_still_parsed_is_answered_once(
    how: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    parse = Parser(waits=True)
    task, seen = task_of(parse, timeout=timedelta(seconds=2))
    app = make_app(task, clock=clock, grace_seconds=1)
    request = start(push(app, "task", LARGE))
    await until(parse.begun)

    if how == "drain":
        app.service.drain()
    await advance(clock, 2)
    response = await request
    parse.release.set()
    parse.threads[0].join(10)
    await settle()

    assert response.status == (503 if how == "drain" else 504)
    assert seen == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
