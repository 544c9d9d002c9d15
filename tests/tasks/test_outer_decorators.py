"""Decorators above ours, in one process: what they get, and how their functions are called."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from typing import Any

import flask
import pytest

from tests.support.sources import Sources
from ucam_faas import Retry, cloud_event, message_handler, raw_event
from ucam_faas.tasks import registry
from ucam_faas.testing import conclude, make_cloud_event, run, serve

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@pytest.fixture
def _without_functions_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "functions_framework", raising=False)


def noting(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(argument: Any) -> Any:
        seen.append(argument)
        return function(argument)

    return wrapper


def test_a_message_handlers_decorator_gets_the_cloud_event_and_the_functions_own_value() -> None:
    @noting
    @message_handler(message_type=int)
    def double(number: int) -> int:
        return 2 * number

    conclusion = conclude(double, 21)

    assert conclusion.value == 42
    (event,) = seen
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"


def test_a_raw_tasks_decorator_gets_a_request_also_where_there_is_none() -> None:
    @noting
    @raw_event
    def shout(body: bytes) -> bytes:
        return body.upper()

    conclusion = conclude(shout, b"hello")

    assert conclusion.value == b"HELLO"
    assert isinstance(seen[0], flask.Request)
    assert seen[0].get_data() == b"hello"


def test_a_decorator_sees_the_functions_exception_and_may_call_it_again() -> None:
    def persistent(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            try:
                return function(*args)
            except ValueError:
                return function(*args)

        return wrapper

    @persistent
    @message_handler(message_type=None)
    def fail_once(data: bytes) -> str:
        seen.append(data)
        if len(seen) == 1:
            raise ValueError
        return "done"

    assert conclude(fail_once, b"hello").value == "done"
    assert seen == [b"hello", b"hello"]


def test_outcomes_go_through_a_decorator() -> None:
    @noting
    @message_handler(message_type=None)
    def again(data: bytes) -> None:
        raise Retry(reason="later")

    assert conclude(again).outcome.reason == "later"


def test_a_decorator_may_change_the_event_which_is_then_read_again() -> None:
    def corrected(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(event: Any) -> Any:
            return function(make_cloud_event({**event.get_data(), "extra": 1}, type=event["type"]))

        return wrapper

    @corrected
    @cloud_event
    def keep(data: Any) -> None:
        seen.append(data)

    run(keep, make_cloud_event({"a": 1}))

    assert seen == [{"a": 1, "extra": 1}]


@pytest.mark.usefixtures("_without_functions_framework")
def test_an_async_task_is_a_coroutine_function_to_decorators_above() -> None:
    def timed(function: Any) -> Any:
        assert inspect.iscoroutinefunction(function)

        @functools.wraps(function)
        async def wrapper(*args: Any) -> Any:
            value = await function(*args)
            seen.append(value)
            return value

        return wrapper

    @timed
    @message_handler(message_type=int)
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    with serve(double) as client:
        response = client.push("double", 21)

    assert (response.status, seen) == (200, [42])


@pytest.mark.usefixtures("_without_functions_framework")
def test_a_sync_decorator_above_an_async_task_still_runs_it() -> None:
    @noting
    @message_handler(message_type=int)
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    assert conclude(double, 21).value == 42


def test_a_loaded_task_is_the_one_that_the_module_has_under_its_name(sources: Sources) -> None:
    before = """
import functools
calls = []
def plain(function):
    def wrapper(argument):
        calls.append(argument)
        return function(argument)
    return wrapper
"""
    source = sources.write("wrapped_main.py", "one", before=before)
    with open(source, "a") as file:
        file.write("\none = plain(one)\n")

    (task,) = registry.load(source)

    conclude(task)
    assert len(sys.modules["wrapped_main"].calls) == 1


def test_a_function_that_keeps_its_name_beside_its_tasks_is_no_decorator(sources: Sources) -> None:
    source = sources.write("kept_main.py")
    with open(source, "a") as file:
        file.write("""
import functools
from typing import Annotated

def two() -> int:
    return 2

def times(number: int, factor: Annotated[int, ucam_faas.Depends(two)]) -> int:
    return factor * number

def below(function):
    @functools.wraps(function)
    def wrapper(*arguments, **named):
        return function(*arguments, **named)
    return wrapper

first = ucam_faas.message_handler(name="first")(times)
second = ucam_faas.message_handler(name="second")(times)
third = ucam_faas.message_handler(name="third")(below(times))
""")

    tasks = registry.load(source)

    assert [conclude(task, 21).value for task in tasks] == [42, 42, 42]


def test_where_a_decorated_task_is_defined_is_where_its_function_is() -> None:
    @noting
    @noting
    @message_handler(message_type=None)
    @noting
    def task(data: bytes) -> None:
        pass

    registered = registry.task_of(task)

    assert registered is not None
    file, line = registered.place
    assert file == __file__
    assert line == task.__ucam_wrapped__.__wrapped__.__code__.co_firstlineno
