"""Middleware runs around a task's function, the outermost first, on every way in."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest

from ucam_faas import (
    CallNext,
    DeadLetter,
    Retry,
    TaskCollection,
    TaskDefinitionError,
    TaskDelivery,
    current_job,
)
from ucam_faas.outcomes import Crashed, InvalidPayload
from ucam_faas.testing import conclude, jobs, make_cloud_event, make_message, run, serve

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def noting(name: str) -> Any:
    """Return a pair of middleware that notes when it begins and ends."""

    def layer(delivery: TaskDelivery, call_next: CallNext) -> Any:
        seen.append(f"{name} begins")
        try:
            return call_next(delivery)
        finally:
            seen.append(f"{name} ends")

    async def layer_async(delivery: TaskDelivery, call_next: CallNext) -> Any:
        seen.append(f"{name} begins")
        try:
            return await call_next(delivery)
        finally:
            seen.append(f"{name} ends")

    return layer, layer_async


def keeping(delivery: TaskDelivery, call_next: CallNext) -> Any:
    seen.append(delivery)
    return call_next(delivery)


@contextmanager
def tasks_of_both_kinds(**options: Any) -> Iterator[tuple[Any, Any]]:
    collection = TaskCollection(**options)

    @collection.message_handler(message_type=int)
    def double(number: int) -> int:
        seen.append("double")
        return 2 * number

    @collection.message_handler(message_type=int)
    async def double_async(number: int) -> int:
        await asyncio.sleep(0)
        seen.append("double")
        return 2 * number

    yield double, double_async


@pytest.mark.parametrize("kind", [0, 1], ids=["sync", "async"])
def test_the_first_is_the_outermost(kind: int) -> None:
    with tasks_of_both_kinds(middleware=[noting("a"), noting("b")]) as both:
        assert conclude(both[kind], 21).value == 42

    assert seen == ["a begins", "b begins", "double", "b ends", "a ends"]


@pytest.mark.parametrize("kind", [0, 1], ids=["sync", "async"])
def test_a_refused_payload_doesnt_reach_it(kind: int) -> None:
    with tasks_of_both_kinds(middleware=[noting("a")]) as both:
        assert isinstance(conclude(both[kind], "x").outcome, InvalidPayload)

    assert seen == []


def test_an_outer_collections_is_around_an_inner_ones_and_a_tasks_own_is_the_innermost() -> None:
    outer, inner = (
        TaskCollection(middleware=[noting("a")]),
        TaskCollection(middleware=[noting("b")]),
    )

    @inner.message_handler(message_type=None, middleware=[noting("c")])
    def task(data: bytes) -> None: ...

    outer.include(inner)
    run(task, b"")

    assert [each for each in seen if each.endswith("begins")] == [
        "a begins",
        "b begins",
        "c begins",
    ]


def test_a_decorator_above_is_inside_the_middleware() -> None:
    def traced(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(event: Any) -> Any:
            seen.append("traced")
            return function(event)

        return wrapper

    @traced
    @TaskCollection(middleware=[noting("a")]).message_handler(message_type=int)
    def double(number: int) -> int:
        return 2 * number

    assert conclude(double, 21).value == 42
    assert seen == ["a begins", "traced", "a ends"]


def test_a_direct_call_is_the_functions_own() -> None:
    with tasks_of_both_kinds(middleware=[noting("a")]) as (double, double_async):
        assert double(21) == 42
        assert asyncio.run(double_async(21)) == 42

    assert seen == ["double", "double"]


def test_it_reads_the_message() -> None:
    @TaskCollection(middleware=[keeping]).message_handler(message_type=int)
    def double(number: int) -> int:
        return 2 * number

    run(double, make_message(21, attributes={"tenant": "a"}, message_id="17"))

    (delivery,) = seen
    assert (delivery.task.name, delivery.payload, delivery.id) == ("double", 21, "17")
    assert delivery.attributes == {"tenant": "a"}
    assert delivery.message.delivery_attempt is None
    assert delivery.execution_id


def test_it_reads_the_event() -> None:
    @TaskCollection(middleware=[keeping]).cloud_event
    def handle(data: Any) -> None: ...

    run(handle, make_cloud_event({"a": 1}, type="com.example.a", id="e1"))

    (delivery,) = seen
    assert (delivery.id, delivery.payload, delivery.message) == ("e1", {"a": 1}, None)
    assert delivery.attributes["type"] == "com.example.a"


def test_it_reads_bytes_which_have_no_attributes() -> None:
    @TaskCollection(middleware=[keeping]).raw_event
    def shout(body: bytes) -> bytes:
        return body.upper()

    assert conclude(shout, b"a").value == b"A"

    (delivery,) = seen
    assert (delivery.id, delivery.payload) == (delivery.execution_id, b"a")
    assert delivery.attributes == {}


def test_it_is_around_an_http_tasks_function_and_gets_the_request() -> None:
    @TaskCollection(middleware=[keeping]).http(path="/rooms/<int:number>")
    def room(number: int) -> str:
        return f"Room {number}"

    with serve(room) as client:
        assert client.get("/rooms/5").text == "Room 5"

    assert isinstance(seen[0].payload, flask.Request)


def test_its_value_is_the_result() -> None:
    def add_one(delivery: TaskDelivery, call_next: CallNext) -> Any:
        return call_next(dataclasses.replace(delivery, payload=delivery.payload + 1)) + 1

    with tasks_of_both_kinds(middleware=[(add_one, noting("a")[1])]) as (double, _):
        assert conclude(double, 20).value == 43


@pytest.mark.parametrize("outcome", [Retry(), DeadLetter("known")], ids=str)
def test_it_may_decide_in_place_of_the_function(outcome: Any) -> None:
    def refuse(delivery: TaskDelivery, call_next: CallNext) -> Any:
        raise outcome

    with tasks_of_both_kinds(middleware=[(refuse, noting("a")[1])]) as (double, _):
        assert conclude(double, 1).outcome is outcome
    assert seen == []


def test_its_exception_is_the_executions() -> None:
    async def fail(delivery: TaskDelivery, call_next: CallNext) -> Any:
        raise OSError

    with tasks_of_both_kinds(middleware=[(noting("a")[0], fail)]) as (_, double_async):
        conclusion = conclude(double_async, 1)
    assert isinstance(conclusion.outcome, Crashed)
    assert isinstance(conclusion.error, OSError)


@pytest.mark.parametrize("outer", [[], [noting("a")]])
def test_a_call_without_the_delivery_says_so(outer: list[Any]) -> None:
    def forgetful(delivery: TaskDelivery, call_next: Any) -> Any:
        return call_next()

    with tasks_of_both_kinds(middleware=[(forgetful, noting("b")[1]), *outer]) as (double, _):
        error = conclude(double, 1).error
    assert "call_next() missing 1 required positional argument: 'delivery'" in str(error)


def test_objects_are_middleware_sync_or_async_as_their_call_is() -> None:
    class Counter:
        calls = 0

        async def __call__(self, delivery: TaskDelivery, call_next: CallNext) -> Any:
            self.calls += 1
            return await call_next(delivery)

    counter = Counter()

    @TaskCollection(middleware=[counter]).message_handler
    async def double(number: int) -> int:
        return 2 * number

    assert conclude(double, 21).value == 42
    assert counter.calls == 1


def test_sync_middleware_runs_in_the_functions_thread() -> None:
    def note_thread(delivery: TaskDelivery, call_next: CallNext) -> Any:
        seen.append(threading.get_ident())
        return call_next(delivery)

    @TaskCollection(middleware=[note_thread]).message_handler(message_type=None)
    def thread(data: bytes) -> None:
        seen.append(threading.get_ident())

    with serve(thread) as client:
        client.push("thread", b"")

    in_middleware, in_function = seen
    assert in_middleware == in_function != threading.get_ident()


def test_it_is_around_a_jobs_attempt() -> None:
    def note_job(delivery: TaskDelivery, call_next: CallNext) -> Any:
        seen.append(current_job().id)
        return call_next(delivery)

    @TaskCollection(middleware=[note_job]).message_handler(message_type=int)
    def double(number: int) -> int:
        return 2 * number

    with jobs(double) as running:
        job: Any = double.send(21, id="a")
        running.run_all()
        assert job.result() == 42

    assert seen == ["a"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [(1, "`async def`, and the task 'task' is `def`"), (0, "`def`, and the task 'task' is `async")],
)
def test_middleware_of_the_other_kind_fails_the_import(kind: int, text: str) -> None:
    collection = TaskCollection(middleware=[noting("a")[kind]])

    def task(data: bytes) -> None: ...

    async def task_async(data: bytes) -> None: ...

    task_async.__name__ = "task"
    with pytest.raises(TaskDefinitionError, match=text):
        collection.message_handler(message_type=None)((task, task_async)[1 - kind])


@pytest.mark.parametrize(
    "wrong",
    [3, lambda delivery: None, noting("a")[::-1], (*noting("a"), noting("a")[0]), "name"],
    ids=["no function", "one argument", "swapped", "three", "a text"],
)
def test_a_wrong_value_fails_the_import(wrong: Any) -> None:
    with pytest.raises(TaskDefinitionError, match=r"\(delivery, call_next\)"):
        TaskCollection(middleware=[wrong])


def test_a_task_without_middleware_is_called_directly() -> None:
    with tasks_of_both_kinds() as both:
        assert [each.task.call is each.task.function for each in both] == [True, True]
