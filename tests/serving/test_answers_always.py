"""A delivery gets the right answer even if a failure surrounds it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from ucam_faas import testing
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import DeadLettered
from ucam_faas.testing import Client, ManualClock, MemoryPublisher

MakeClient = Callable[..., Client]
DEAD = "projects/p/topics/dead"


@pytest.fixture
def broken_handler() -> Iterator[None]:
    """A log handler of the user's that raises on every line."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("no log today")

    handler, root = Broken(), logging.getLogger()
    root.addHandler(handler)
    yield
    root.removeHandler(handler)


@pytest.mark.usefixtures("broken_handler")
def test_a_log_handler_that_raises_keeps_no_delivery_from_its_answer(
    ucam_faas_client: MakeClient,
) -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> object:
        return object()

    client = ucam_faas_client(task)

    statuses = [client.push("task").status, client.post("/task", body="x").status]

    assert statuses == [200, 400]


def test_a_report_that_says_completed_makes_no_success_of_a_failure(
    ucam_faas_client: MakeClient,
) -> None:
    def forgetful(*, execution: object) -> ucam_faas.MessageHandlerExecutionInfo:
        return ucam_faas.MessageHandlerExecutionInfo()

    @ucam_faas.message_handler(message_type=None, create_default_info=forgetful)
    def task(data: bytes) -> None:
        raise ucam_faas.UCAMFAASException

    assert ucam_faas_client(task).push("task").status == 500
    assert testing.run(task).execution.status == "ABORTED"


def test_a_response_of_text_alone_makes_no_success_of_a_failure(
    ucam_faas_client: MakeClient,
) -> None:
    options = ucam_faas.HandlerExecutionOptions(make_http_response=lambda info: "sorry")

    @ucam_faas.message_handler(message_type=None, options=options)
    def task(data: bytes) -> None:
        raise ucam_faas.UCAMFAASException

    response = ucam_faas_client(task).push("task")

    assert (response.status, response.text) == (500, "sorry")


def test_a_response_is_made_where_the_contexts_are_the_tasks(
    ucam_faas_client: MakeClient,
) -> None:
    def made(info: ucam_faas.ExecutionInfo) -> tuple[str, int]:
        return ucam_faas.MESSAGE_CONTEXT.get().pubsub_message.message_id, 200

    options = ucam_faas.HandlerExecutionOptions(make_http_response=made)

    @ucam_faas.message_handler(message_type=None, options=options)
    def task(data: bytes) -> None: ...

    response = ucam_faas_client(task).push("task", testing.make_message(message_id="77"))

    assert response.text == "77"


def test_an_event_that_is_no_message_is_not_dead_lettered_as_an_empty_one(
    ucam_faas_client: MakeClient, ucam_faas_publisher: MemoryPublisher
) -> None:
    @ucam_faas.cloud_event
    def task(event: Any) -> None:
        raise ucam_faas.DeadLetter("no use")

    ucam_faas_publisher.topics[DEAD] = []
    settings = Settings(dead_letter_topic=DEAD)
    client = ucam_faas_client(task, settings=settings, publisher=ucam_faas_publisher)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "com.b"}

    response = client.post("/task", json={"message": {"text": "precious"}}, headers=headers)

    assert response.status == 500
    assert ucam_faas_publisher.topics[DEAD] == []


@pytest.mark.parametrize("runs", [asyncio.run, lambda coroutine: coroutine], ids=["run", "return"])
def test_a_sync_wrapper_of_an_async_function_is_run(
    runs: Callable[[Any], Any], ucam_faas_client: MakeClient
) -> None:
    ran: list[bytes] = []

    async def work(data: bytes) -> None:
        ran.append(data)

    @ucam_faas.message_handler(message_type=None)
    @functools.wraps(work)
    def task(data: bytes) -> Any:
        return runs(work(data))

    task_function: Any = task

    assert ucam_faas_client(task_function).push("work", b"hi").status == 200
    assert ran == [b"hi"]


@pytest.mark.parametrize("status", [101, 102, 700])
def test_a_status_that_ends_no_response_is_a_failure(
    status: int, ucam_faas_client: MakeClient
) -> None:
    @ucam_faas.http(path="/page")
    def page(request: Any) -> tuple[str, int]:
        return "x", status

    assert ucam_faas_client(page).get("/page").status == 500


def test_a_dead_letter_is_published_although_tasks_fill_asyncios_threads(
    ucam_faas_client: MakeClient, ucam_faas_publisher: MemoryPublisher
) -> None:
    release = threading.Event()

    @ucam_faas.message_handler(message_type=None, timeout=timedelta(minutes=10))
    async def task(data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(64):
            loop.run_in_executor(None, release.wait)
        raise ucam_faas.DeadLetter("no use")

    ucam_faas_publisher.topics[DEAD] = []
    settings = Settings(dead_letter_topic=DEAD)
    client = ucam_faas_client(task, settings=settings, publisher=ucam_faas_publisher)

    response = client.push("task", b"hi")
    release.set()

    assert response.status == 200
    assert [message.data for message in ucam_faas_publisher.topics[DEAD]] == [b"hi"]


def test_a_body_that_does_not_come_is_answered_at_the_deadline() -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None: ...

    clock = ManualClock()
    with testing.serve(task, clock=clock) as client:

        async def exchange() -> int:
            async def receive() -> dict[str, Any]:
                await asyncio.Event().wait()
                raise AssertionError

            scope = {"type": "http", "method": "POST", "path": "/task", "headers": []}
            response = asyncio.ensure_future(client.app.respond(scope, receive))
            await asyncio.sleep(0)
            clock.advance(timedelta(minutes=5))
            return (await response).status

        assert client.loop.run(exchange) == 504


def test_a_full_process_refuses_without_reading_the_body() -> None:
    release = threading.Event()

    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        release.wait(10)

    with testing.serve(task, settings=Settings(threads=1, queue=0)) as client:

        async def exchange() -> int:
            push = testing.make_push(b"hi")

            async def whole() -> dict[str, Any]:
                return {"type": "http.request", "body": push.body}

            async def never() -> dict[str, Any]:
                raise AssertionError("the body was read")

            headers = [(b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/task", "headers": headers}
            first = asyncio.ensure_future(client.app.respond(scope, whole))
            await asyncio.sleep(0)
            refused = await client.app.respond(scope, never)
            release.set()
            await first
            return refused.status

        assert client.loop.run(exchange) == 429


def test_async_tasks_that_do_not_mind_being_cancelled_ask_for_another_process() -> None:
    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        while not ended.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(ended.wait(), 3600)

    ended = asyncio.Event()
    clock = ManualClock()
    with testing.serve(task, settings=Settings(max_abandoned_threads=0), clock=clock) as client:

        async def exchange() -> int:
            push = testing.make_push(b"hi")

            async def whole() -> dict[str, Any]:
                return {"type": "http.request", "body": push.body}

            headers = [(b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/task", "headers": headers}
            response = asyncio.ensure_future(client.app.respond(scope, whole))
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(timedelta(minutes=5))
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(timedelta(seconds=1))
            ended.set()
            return (await response).status

        assert client.loop.run(exchange) == 504
        assert client.app.service.runner.is_exhausted


def test_the_report_of_a_dead_letter_says_why_it_is_one(
    ucam_faas_publisher: MemoryPublisher,
) -> None:
    @ucam_faas.message_handler(message_type=int)
    def task(number: int) -> None: ...

    ucam_faas_publisher.topics[DEAD] = []
    runtime = Runtime(Settings(dead_letter_topic=DEAD), SystemClock(), ucam_faas_publisher)

    conclusion = testing.conclude(task, b"no number", runtime=runtime)

    assert isinstance(conclusion.outcome, DeadLettered)
    assert conclusion.info.execution.status == "ABORTED"
    assert conclusion.info.execution.reason == "ucam_faas.user-data-invalid"


def test_the_time_that_a_body_takes_counts_towards_the_deadline() -> None:
    ended = asyncio.Event()

    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        await ended.wait()

    clock = ManualClock()
    with testing.serve(task, clock=clock) as client:

        async def exchange() -> int:
            push, sent = testing.make_push(b"hi"), asyncio.Event()

            async def receive() -> dict[str, Any]:
                await sent.wait()
                return {"type": "http.request", "body": push.body}

            headers = [(b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/task", "headers": headers}
            response = asyncio.ensure_future(client.app.respond(scope, receive))
            await asyncio.sleep(0)
            clock.advance(timedelta(minutes=4))
            sent.set()
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(timedelta(minutes=1))
            for _ in range(5):
                await asyncio.sleep(0)
            answered = response.done()
            ended.set()
            return (await response).status if answered else 0

        assert client.loop.run(exchange) == 504
