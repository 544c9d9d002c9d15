"""Start-up code, and values that are computed once in a process."""

from __future__ import annotations

import asyncio
import functools
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.support.log import Log
from ucam_faas import TaskDefinitionError, UCAMFAASCouldNotLoadTarget, raw_event
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.serving import run_once
from ucam_faas.tasks import startup
from ucam_faas.tasks.defer import Defer
from ucam_faas.tasks.task import Task
from ucam_faas.testing import ManualClock


def task_of(*init: Callable[[], Any], how: str = "sync", name: str = "job", **options: Any) -> Task:
    """Return a task with start-up code."""

    def job(body: bytes) -> None: ...

    async def async_job(body: bytes) -> None: ...

    function = job if how == "sync" else async_job
    function.__name__ = name
    task: Task = raw_event(init=init, **options)(function).task
    return task


def run(*tasks: Task) -> None:
    asyncio.run(startup.run(tasks, ManualClock()))


# --- Defer


def test_many_threads_compute_a_value_once() -> None:
    computed: list[object] = []
    asking = threading.Semaphore(0)

    def compute() -> object:
        computed.append(object())
        for _ in range(20):
            assert asking.acquire(timeout=10), "one of the threads did not come"
        return computed[-1]

    value = Defer(compute)

    def ask() -> object:
        asking.release()
        return value()

    with ThreadPoolExecutor(20) as threads:
        values = [future.result() for future in [threads.submit(ask) for _ in range(20)]]

    assert len(computed) == 1
    assert set(map(id, values)) == {id(computed[0])}


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    Defer(lambda: pytest.fail("computed"))


@pytest.mark.parametrize("value", [None, False, 0, ""])
def test_a_value_that_is_false_is_computed_once(value: Any) -> None:
    computed = []
    deferred = Defer(lambda: computed.append(1) or value)

    assert (deferred(), deferred()) == (value, value)
    assert computed == [1]


def test_a_factory_that_failed_is_tried_again() -> None:
    outcomes: list[Any] = [ConnectionError("refused"), "connected"]

    def connect() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    client = Defer(connect)

    with pytest.raises(ConnectionError, match="refused"):
        client()
    assert client() == "connected"
    assert client() == "connected"


def test_a_value_may_need_others_but_not_itself() -> None:
    settings = Defer(lambda: {"host": "example.org"})
    client = Defer(lambda: settings()["host"])
    endless: Defer[int] = Defer(lambda: endless() + 1)

    assert client() == "example.org"
    with pytest.raises(TaskDefinitionError, match="needs itself"):
        endless()


async def connect_async() -> int:
    return 1


def test_an_async_factory_is_refused_at_once() -> None:
    with pytest.raises(TaskDefinitionError, match=r"Defer\(connect_async\): expected a sync"):
        Defer(connect_async)


def test_a_factory_that_returns_a_coroutine_is_refused_at_its_call() -> None:
    client = Defer(lambda: connect_async())

    with pytest.raises(TaskDefinitionError, match=r"expected a sync function.*init=\[…\] itself"):
        client()


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (3, "not 3"),
        (lambda path: path, "missing a required argument: 'path'"),
        (lambda: (yield), "yields"),
    ],
)
def test_an_object_that_is_not_a_factory_is_refused(factory: Any, says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=says):
        Defer(factory)


def test_a_test_can_replace_a_value() -> None:
    client = Defer(lambda: "real")

    with client.replaced("fake"):
        assert client() == client.value == client.execute() == "fake"

    assert client() == "real"


def test_the_arguments_of_a_factory_follow_it() -> None:
    number = Defer(int, "12", base=8)

    assert number.value == 10


def test_value_and_execute_compute_as_the_call_does() -> None:
    computed: list[object] = []
    client = Defer(lambda: computed.append(object()) or computed[-1])

    values = [client.execute(), client.value, client()]

    assert len(computed) == 1
    assert set(map(id, values)) == {id(computed[0])}


def connect(host: str, *, port: int = 80) -> str:
    return f"{host}:{port}"


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "without arguments, and that fails: missing a required argument: 'host'"),
        (("a", "b"), {}, "with the arguments of Defer, and that fails: too many positional"),
        (("a",), {"user": "ada"}, "got an unexpected keyword argument 'user'"),
    ],
)
def test_arguments_that_a_factory_does_not_take_are_refused_at_once(
    args: Any, kwargs: Any, says: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=rf"Defer\(…\): connect is called .*{says}"):
        Defer(connect, *args, **kwargs)


def test_arguments_that_a_function_holds_are_not_shown() -> None:
    holding = functools.partial(int, "12", base=8)

    assert repr(Defer(holding)) == repr(Defer(int, "12", base=8)) == "Defer(int)"


FORK = """
import os, sys, threading
from ucam_faas.tasks.defer import Defer

class Client:
    def __init__(self):
        self.pid = os.getpid()
    def __del__(self):
        print("ended by", "its own" if self.pid == os.getpid() else "another", "process")

client = Defer(Client)
other = Defer(lambda: held.set() or release.wait(20))
held, release = threading.Event(), threading.Event()
thread = threading.Thread(target=other, daemon=True)

first = client()
thread.start()
held.wait()
if os.fork() == 0:
    print("another object:", client() is not first, flush=True)
    del first
    release.set()
    print("not blocked:", other(), flush=True)
    os._exit(0)
os.wait()
print("same object:", client() is first)
"""


def test_a_forked_process_computes_its_own_value_and_leaves_the_parents_alone() -> None:
    """A computation in a thread of the parent doesn't block it, either."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=30
    )

    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == ["another object: True", "not blocked: True", "same object: True"]
    assert set(lines[3:]) <= {"ended by its own process"}


# --- what runs, and where


@pytest.mark.parametrize("how", ["sync", "async"])
def test_start_up_code_runs_in_order_and_each_once(how: str) -> None:
    ran: list[str] = []

    class Pool:
        def open(self) -> None:
            ran.append("open")

    pool = Pool()
    callback = lambda: ran.append("one")  # noqa: E731
    value = Defer(lambda: ran.append("value"))

    async def warm_up() -> None:
        await asyncio.sleep(0)
        ran.append("warm up")

    run(
        task_of(callback, pool.open, warm_up, how=how),
        task_of(pool.open, value, callback, value, how=how, name="other"),
    )

    assert ran == ["one", "open", "warm up", "value"]


def test_the_start_up_code_of_a_value_is_its_execute() -> None:
    """As async-lambda's users write it."""
    ran: list[str] = []
    client = Defer(ran.append, "client")

    run(task_of(client.execute), task_of(client.execute, name="other"))

    assert ran == ["client"]
    assert startup.name_of(client.execute).startswith("Defer(list.append")


def test_start_up_code_with_a_parameter_gets_the_name_of_each_task() -> None:
    ran: list[str] = []

    def warm_up(task: str) -> None:
        ran.append(task)

    async def warm_up_async(task: str, *, times: int = 2) -> None:
        ran.append(task * times)

    run(
        task_of(warm_up, warm_up_async, warm_up, name="pay"),
        task_of(warm_up, name="ship"),
    )

    assert ran == ["pay", "paypay", "ship"]


def test_a_failure_concerns_the_tasks_of_the_code_alone() -> None:
    down: list[list[str]] = []

    def warm_up(task: str) -> None:
        if task == "pay":
            raise Own("refused")

    async def start() -> None:
        shared = throw(Own("refused"))
        await startup.run(
            [task_of(warm_up, shared, name="pay"), task_of(warm_up, shared, name="ship")],
            ManualClock(),
            on_failure=lambda tasks, error: down.append([task.name for task in tasks]),
        )

    asyncio.run(start())

    assert down == [["pay"], ["pay", "ship"]]


def test_a_parameter_with_a_default_keeps_it() -> None:
    ran: list[str] = []

    run(task_of(lambda mode="careful": ran.append(mode)))

    assert ran == ["careful"]


def test_each_start_runs_it_again() -> None:
    """As for each test that serves a task."""
    ran: list[int] = []
    task = task_of(lambda: ran.append(1))

    run(task)
    run(task)

    assert ran == [1, 1]


def test_that_of_a_sync_task_runs_in_a_thread_without_a_loop() -> None:
    seen: list[Any] = []

    def note() -> None:
        seen.append(asyncio._get_running_loop())
        seen.append(threading.current_thread() is threading.main_thread())
        seen.append(asyncio.run(connect_async()))

    run(task_of(note))

    assert seen == [None, False, 1]


def test_that_of_an_async_task_and_coroutines_run_on_the_loop() -> None:
    loops: list[Any] = []

    def note() -> None:
        loops.append(asyncio.get_running_loop())

    async def note_async() -> None:
        note()

    async def start() -> None:
        loops.append(asyncio.get_running_loop())
        await startup.run([task_of(note, how="async"), task_of(note_async)], ManualClock())

    asyncio.run(start())

    assert len(loops) == 3
    assert len(set(map(id, loops))) == 1


def test_a_value_that_can_be_awaited_is_not() -> None:
    """Some pools are made by awaiting them; that decision is the author's."""

    class Pool:
        def __await__(self) -> Any:
            pytest.fail("awaited")

    run(task_of(Defer(Pool), how="async"))


# --- failures


class Own(Exception): ...


def throw(error: BaseException) -> Callable[[], None]:
    def connect() -> None:
        raise error

    return connect


def throw_async(error: BaseException) -> Callable[[], Any]:
    async def connect() -> None:
        await asyncio.sleep(0)
        raise error

    return connect


FAILURES = [
    (throw, Own("refused"), "Own: refused"),
    (throw, StopIteration(), "StopIteration:"),
    (throw, asyncio.CancelledError(), "CancelledError:"),
    (throw_async, Own("refused"), "Own: refused"),
    (throw_async, asyncio.CancelledError(), "CancelledError:"),
]


@pytest.mark.parametrize(("make", "error", "says"), FAILURES)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_failure_names_task_callable_and_place_and_ends_the_start(
    how: str, make: Any, error: BaseException, says: str
) -> None:
    later = lambda: pytest.fail("it ran on")  # noqa: E731
    task = task_of(make(error), later, how=how, name="report")

    with pytest.raises(UCAMFAASCouldNotLoadTarget) as caught:
        run(task)

    text = str(caught.value)
    assert text.startswith(f"The start-up code of task 'report' failed: {make.__name__}.")
    assert f".connect: {says}" in text
    assert f"(at {__file__}:" in text


@pytest.mark.parametrize("how", ["sync", "async"])
def test_leaving_is_a_failure_too(how: str) -> None:
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="SystemExit: 3"):
        run(task_of(lambda: sys.exit(3), how=how))


def test_a_failing_value_is_named() -> None:
    client = Defer(throw(Own("refused")))

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match=r"Defer\(throw.*connect\): Own: refused"):
        run(task_of(client))


def connect_with(*, mode: str) -> None: ...


@pytest.mark.parametrize(
    ("init", "says"),
    [
        (lambda task, mode: task, "has the parameters task, mode: expected none, or one for the"),
        (connect_with, "has the parameters mode: expected none"),
        (lambda: (yield), "yields"),
        ("connect", "expected a list"),
        (["connect"], "not 'connect'"),
    ],
)
def test_unsuitable_start_up_code_is_refused_when_the_task_is_defined(init: Any, says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=re.escape(says)):
        raw_event(init=[init] if callable(init) else init)(lambda body: None)


# --- the log


def test_one_line_says_how_long_it_took(log: Log) -> None:
    clock = ManualClock()

    def connect() -> None:
        clock.advance(timedelta(seconds=1.5))

    asyncio.run(startup.run([task_of(connect, Defer(dict))], clock))

    assert log.line["message"] == "ucam_faas_init_completed"
    assert log.line["severity"] == "INFO"
    assert log.line["duration_seconds"] == 1.5
    assert [name.rpartition(".")[2] for name in log.line["init"]] == ["connect", "Defer(dict)"]


def test_failed_start_up_code_is_not_logged_as_completed(log: Log) -> None:
    def connect() -> None:
        raise KeyError("API_KEY")

    def start(*functions: Any) -> None:
        tasks = [task_of(*functions)]
        asyncio.run(startup.run(tasks, ManualClock(), on_failure=lambda *_: None))

    start(connect)
    assert log.text == ""
    start(connect, Defer(dict))
    assert log.line["init"] == ["Defer(dict)"]


def test_tasks_without_start_up_code_log_nothing(log: Log) -> None:
    run(task_of(), task_of(name="other"))

    assert log.text == ""


# --- a task that is run once


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("limited", [False, True])
def test_a_task_that_is_run_once_is_started_first(how: str, limited: bool, log: Log) -> None:
    """Its own time, and its deadline, begin after that."""
    ran: list[str] = []
    clock = ManualClock()

    def slow() -> None:
        ran.append("start")
        clock.advance(timedelta(minutes=10))

    async def slow_async() -> None:
        ran.append("start async")

    options = {"timeout": timedelta(seconds=5)} if limited else {}

    @raw_event(init=[slow, slow_async], **options)
    def job(body: bytes) -> None:
        ran.append("run")

    @raw_event(init=[slow, slow_async], **options)
    async def async_job(body: bytes) -> None:
        ran.append("run")

    task = (job if how == "sync" else async_job).task

    assert run_once.run(task, Runtime(Settings(), clock))[1] == 0
    assert ran == ["start", "start async", "run"]
    assert [line["duration_seconds"] for line in log.lines] == [600, 0]


def test_a_sync_task_that_is_run_once_is_started_in_its_thread() -> None:
    threads: list[Any] = []

    @raw_event(init=[lambda: threads.append(threading.current_thread())])
    def job(body: bytes) -> None:
        threads.append(threading.current_thread())

    run_once.run(job.task, Runtime(Settings(), ManualClock()))

    assert threads == [threading.main_thread()] * 2


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_task_that_cannot_start_is_not_run_once(how: str) -> None:
    task = task_of(throw(Own("refused")), how=how)

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="Own: refused") as caught:
        run_once.run(task, Runtime(Settings(), ManualClock()))
    assert caught.value.exit_code == 2
