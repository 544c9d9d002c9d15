"""Dependencies are made before a task's function, once for each execution, and closed after it."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import Field

from ucam_faas import (
    Attribute,
    CallNext,
    DeadLetter,
    Defer,
    Depends,
    Retry,
    TaskCollection,
    TaskDefinitionError,
    TaskDelivery,
    cloud_event,
    current_job,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.outcomes import Crashed
from ucam_faas.testing import (
    conclude,
    jobs,
    make_cloud_event,
    make_message,
    overrides,
    run,
    serve,
)

seen: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def number() -> int:
    seen.append("number")
    return 3


async def number_async() -> int:
    await asyncio.sleep(0)
    seen.append("number_async")
    return 4


def opened() -> Iterator[str]:
    seen.append("open")
    try:
        yield "connection"
    except BaseException as error:
        seen.append(f"failed: {type(error).__name__}")
        raise
    finally:
        seen.append("close")


async def opened_async() -> AsyncIterator[str]:
    seen.append("open_async")
    try:
        yield "connection_async"
    finally:
        await asyncio.sleep(0)
        seen.append("close_async")


Number = Annotated[int, Depends(number)]
Opened = Annotated[str, Depends(opened)]
OpenedAsync = Annotated[str, Depends(opened_async)]


def session(connection: Opened, number: Number) -> Iterator[str]:
    seen.append("begin")
    yield f"session {number} of {connection}"
    seen.append("end")


Session = Annotated[str, Depends(session)]


def test_a_factory_makes_the_argument() -> None:
    @message_handler
    def task(payload: int, number: Number) -> int:
        return payload * number

    assert conclude(task, 7).value == 21


def test_a_direct_call_takes_all_arguments() -> None:
    @message_handler
    def task(payload: int, number: Number) -> int:
        return payload * number

    assert task(7, 5) == 35
    assert task(7, number=6) == 42
    assert seen == []
    with pytest.raises(TypeError, match="number"):
        task(7)  # type: ignore[call-arg]


def test_a_factory_needs_others_and_each_is_called_once() -> None:
    @message_handler
    def task(payload: int, first: Session, second: Session, number: Number) -> list[Any]:
        seen.append("task")
        return [first is second, first, number]

    assert conclude(task, 7).value == [True, "session 3 of connection", 3]
    assert seen == ["open", "number", "begin", "task", "end", "close"]


def test_each_execution_has_its_own() -> None:
    @message_handler
    def task(payload: int, number: Number) -> None: ...

    run(task, 1)
    run(task, 2)

    assert seen == ["number", "number"]


def test_a_deferred_value_is_made_once_in_the_process() -> None:
    client = Defer(number)

    @message_handler
    def task(payload: int, client: Annotated[int, Depends(client)]) -> int:
        return client

    assert [conclude(task, each).value for each in range(3)] == [3, 3, 3]
    assert seen == ["number"]


def test_a_class_is_a_factory() -> None:
    class Repository:
        def __init__(self, connection: Opened) -> None:
            self.connection = connection

    @message_handler
    def task(payload: int, repository: Annotated[Repository, Depends(Repository)]) -> str:
        return repository.connection

    assert conclude(task, 1).value == "connection"


def test_async_tasks_have_sync_and_async_factories() -> None:
    @message_handler
    async def task(
        payload: int,
        *,
        number: Number,
        other: Annotated[int, Depends(number_async)],
        first: OpenedAsync,
        second: Opened,
    ) -> list[Any]:
        seen.append("task")
        return [number, other, first, second]

    assert conclude(task, 1).value == [3, 4, "connection_async", "connection"]
    assert seen == [
        *("number", "number_async", "open_async", "open"),
        *("task", "close", "close_async"),
    ]


def test_a_failure_is_raised_where_the_generator_yielded() -> None:
    @message_handler
    def task(payload: int, connection: Opened) -> None:
        raise Retry

    conclusion = conclude(task, 1)

    assert isinstance(conclusion.outcome, Retry)
    assert seen == ["open", "failed: Retry", "close"]


def test_a_factory_that_fails_closes_those_before_it() -> None:
    def fails(connection: Opened) -> int:
        raise OSError

    @message_handler
    def task(payload: int, value: Annotated[int, Depends(fails)]) -> None:
        seen.append("task")

    conclusion = conclude(task, 1)

    assert isinstance(conclusion.error, OSError)
    assert seen == ["open", "failed: OSError", "close"]


def test_a_generator_cant_hide_the_functions_failure() -> None:
    def hiding() -> Iterator[int]:
        try:
            yield 1
        except ValueError:
            seen.append("hidden")

    async def hiding_async() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError:
            seen.append("hidden")

    @message_handler
    def task(payload: int, value: Annotated[int, Depends(hiding)]) -> None:
        raise ValueError

    @message_handler
    async def task_async(payload: int, value: Annotated[int, Depends(hiding_async)]) -> None:
        raise ValueError

    for each in (task, task_async):
        conclusion = conclude(each, 1)
        assert isinstance(conclusion.outcome, Crashed)
        assert isinstance(conclusion.error, ValueError)
    assert seen == ["hidden", "hidden"]


def test_a_failure_to_close_is_the_executions() -> None:
    """It may be the commit of the function's work."""

    def committing() -> Iterator[int]:
        yield 1
        raise OSError

    @message_handler
    def task(payload: int, value: Annotated[int, Depends(committing)]) -> None: ...

    assert isinstance(conclude(task, 1).error, OSError)


def none() -> Iterator[int]:
    yield from ()


def two() -> Iterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize("factory", [none, two])
def test_a_generator_that_does_not_yield_once_is_named(factory: Any) -> None:
    @message_handler
    def task(payload: int, value: Annotated[int, Depends(factory)]) -> None: ...

    error = conclude(task, 1).error
    assert f"The dependency {factory.__name__} is expected to yield once" in str(error)


def test_a_sleeping_job_closes_its_dependencies() -> None:
    @message_handler
    def task(payload: int, connection: Opened) -> int:
        current_job().sleep(timedelta(hours=1))
        return payload

    with jobs(task) as running:
        job = task.send(7)
        running.run_all()
        assert seen == ["open", "failed: SleepSignal", "close"]
        running.advance(timedelta(hours=1))
        assert job.result() == 7
    assert seen[3:] == ["open", "close"]


def test_a_task_of_nothing_but_dependencies_takes_no_payload() -> None:
    @message_handler
    def task(number: Number) -> int:
        return number

    assert conclude(task, b"").value == 3
    assert task.task.takes == "nothing"


def test_every_kind_of_task_has_dependencies() -> None:
    @raw_event
    def raw(body: bytes, number: Number) -> str:
        return f"{body.decode()} {number}"

    @cloud_event
    def event(data: int, number: Number) -> int:
        return data * number

    @http(path="/rooms/<int:room>")
    def page(request: Any, room: int, number: Number) -> str:
        return f"{room} {number}"

    assert conclude(raw, b"a").value == "a 3"
    assert conclude(event, make_cloud_event(7)).value == 21
    with serve(page) as client:
        assert client.get("/rooms/5").text == "5 3"


def test_the_payloads_type_is_that_of_its_own_parameter() -> None:
    @message_handler
    def task(payload: list[int], number: Number, *, double: bool = False) -> int:
        return sum(payload) * number

    assert task.task.message_type == list[int]
    assert str(inspect.signature(task.task.function)).startswith("(payload: ")
    assert conclude(task, [1, 2]).value == 9


def test_middleware_runs_around_dependencies() -> None:
    def layer(delivery: TaskDelivery, call_next: CallNext) -> Any:
        seen.append("before")
        value = call_next(delivery)
        seen.append("after")
        return value

    @TaskCollection(middleware=[layer]).message_handler
    def task(payload: int, connection: Opened) -> None: ...

    run(task, 1)

    assert seen == ["before", "open", "close", "after"]


def test_an_attribute_of_a_message() -> None:
    @message_handler
    def task(
        payload: int,
        tenant: Annotated[str, Attribute()],
        size: Annotated[int, Attribute("batch-size"), Field(gt=0)] = 1,
    ) -> str:
        return f"{tenant} {size}"

    def conclude_with(**attributes: str) -> Any:
        return conclude(task, make_message(7, attributes=attributes))

    assert conclude_with(tenant="a").value == "a 1"
    assert conclude_with(tenant="a", **{"batch-size": "5"}).value == "a 5"
    missing, wrong = conclude_with(), conclude_with(tenant="a", **{"batch-size": "0"})
    assert (type(missing.outcome), type(wrong.outcome)) == (DeadLetter, DeadLetter)
    assert missing.outcome.reason == "the attribute 'tenant' is missing"
    assert wrong.outcome.reason == "the attribute 'batch-size' is wrong: greater_than"


def test_a_factory_reads_an_attribute() -> None:
    def database(tenant: Annotated[str, Attribute()]) -> str:
        return f"database of {tenant}"

    @message_handler
    def task(payload: int, database: Annotated[str, Depends(database)]) -> str:
        return database

    assert conclude(task, make_message(1, attributes={"tenant": "a"})).value == "database of a"


def test_an_attribute_of_a_cloud_event() -> None:
    @cloud_event
    def task(data: int, subject: Annotated[str, Attribute()], tenant: Annotated[str, Attribute()]):  # type: ignore[no-untyped-def]
        return [subject, tenant]

    assert conclude(task, make_cloud_event(1, subject="s", tenant="a")).value == ["s", "a"]


def test_a_job_has_its_messages_attributes_or_the_default() -> None:
    @message_handler(idempotent=True)
    def task(payload: int, tenant: Annotated[str, Attribute()] = "none") -> str:
        return tenant

    with jobs(task) as running:
        job = task.send(7)
        running.run_all()
        assert job.result() == "none"


def test_overrides_are_for_a_while_and_for_all_threads() -> None:
    @raw_event
    def task(body: bytes, number: Number) -> str:
        return str(number)

    with serve(task) as client:
        with overrides({number: lambda: 30}):
            with overrides({number: lambda: 300}):
                assert client.post("/task").text == "300"
            assert client.post("/task").text == "30"
        assert client.post("/task").text == "3"


def test_an_override_of_a_factory_of_another_has_its_own_dependencies() -> None:
    def fake(number: Number) -> Iterator[str]:
        yield f"fake {number}"
        seen.append("close fake")

    @message_handler
    def task(payload: int, session: Session) -> str:
        return session

    with overrides({opened: fake}):
        assert conclude(task, 1).value == "session 3 of fake 3"
    assert seen == ["number", "begin", "end", "close fake"]


@pytest.mark.parametrize("wrong", [{number: 3}, {3: number}], ids=["value", "key"])
def test_overrides_are_functions(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"expected functions"), overrides(wrong):
        pass


def needs_itself(value: Annotated[int, Depends(lambda: None)]) -> int:
    return value


needs_itself.__annotations__["value"] = Annotated[int, Depends(needs_itself)]


def needs_payload(payload: int) -> int:
    return payload


def unmarked(payload: int, more: int) -> None: ...
def by_default(payload: int, more: int = Depends(number)) -> None: ...  # type: ignore[assignment]
def unresolved(payload: int, more: Annotated[int, Depends(Missing)]) -> None: ...  # type: ignore[name-defined] # noqa: F821
def payload_last(number: Number, payload: int) -> None: ...
def positional(payload: int, number: Number, /) -> None: ...
def two_markers(payload: int, n: Annotated[int, Depends(number), Attribute()]) -> None: ...
def of_async(payload: int, n: Annotated[int, Depends(number_async)]) -> None: ...
def of_async_generator(payload: int, n: OpenedAsync) -> None: ...
def of_context(payload: int, n: Annotated[int, Depends(contextmanager(two))]) -> None: ...
def circle(payload: int, n: Annotated[int, Depends(needs_itself)]) -> None: ...
def of_payload(payload: int, n: Annotated[int, Depends(needs_payload)]) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (unmarked, r"needs a marker: `Annotated\[…, ucam_faas.Depends\(…\)\]`"),
        (by_default, r"Write `more: Annotated\[…, Depends\(…\)\]`"),
        (unresolved, "can't be resolved. Define or import"),
        (payload_last, "'payload' comes after 'number', which has a marker. Put 'payload' first"),
        (positional, "a parameter that can be passed by name"),
        (two_markers, "has 2 markers: expected one Depends"),
        (of_async, "number_async is async, and the task of_async isn't"),
        (of_async_generator, "opened_async is async"),
        (of_context, "two has a decorator that hides its `yield`: remove it"),
        (circle, "need themselves: needs_itself → needs_itself"),
        (of_payload, "needs_payload has the parameter 'payload': expected a marker"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_marker_that_cant_work_fails_the_import(function: Any, text: str) -> None:
    with pytest.raises(TaskDefinitionError, match=text) as raised:
        message_handler(function)

    assert function.__name__ in str(raised.value)


@pytest.mark.parametrize("decorate", [raw_event, http(path="/")], ids=["raw", "http"])
def test_bytes_and_requests_have_no_attributes(decorate: Any) -> None:
    def task(argument: Any, tenant: Annotated[str, Attribute()]) -> None: ...

    with pytest.raises(TaskDefinitionError, match="gets no attributes"):
        decorate(task)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> int:
        return 3


@pytest.mark.parametrize("factory", [3, Unhashable()], ids=["number", "unhashable"])
def test_depends_takes_a_hashable_function(factory: Any) -> None:
    with pytest.raises(TaskDefinitionError, match=r"Depends\(.*\): expected a hashable function"):
        Depends(factory)


@pytest.mark.parametrize("name", ["", 3])
def test_an_attribute_has_a_name(name: Any) -> None:
    with pytest.raises(TaskDefinitionError, match="expected the name of an attribute"):
        Attribute(name)


@pytest.mark.slow
@pytest.mark.parametrize("future", ["", "from __future__ import annotations"])
def test_markers_are_found_where_they_are_the_first_use_of_them(future: str) -> None:
    """An annotation may be a text that nothing has evaluated."""
    code = f"""{future}
from typing import Annotated
import ucam_faas

def number() -> int:
    return 3

@ucam_faas.message_handler
def task(payload: int, number: Annotated[int, ucam_faas.Depends(number)]) -> int:
    return payload * number

from ucam_faas import testing
print(testing.run(task, 7).result)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "21\n"


def test_a_function_without_markers_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def task(payload: int) -> None: ...

    assert message_handler(task).task.call is task
    monkeypatch.delitem(sys.modules, "ucam_faas.tasks.dependencies")
    assert message_handler(task).task.call is task
