"""Start-up code where tasks are served in a test's process, and under functions-framework."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import functions_framework
import pytest

from ucam_faas import UCAMFAASCouldNotLoadTarget, http, message_handler, raw_event, testing
from ucam_faas.serving import functions_framework as door, server
from ucam_faas.tasks.defer import Defer

from .harness import WAIT_SECONDS, make_app

Fails = Callable[[], None]


@pytest.fixture
def fails() -> Fails:
    def connect() -> None:
        raise ConnectionError("refused by 10.0.0.1")

    return connect


# --- in tests of users


def test_a_client_starts_with_the_start_up_code_of_all_its_tasks() -> None:
    ran: list[str] = []

    @message_handler(message_type=None, init=[lambda: ran.append("one")])
    def one(data: bytes) -> None: ...

    @http(path="/two", init=[lambda: ran.append("two")])
    def two(request: Any) -> str:
        return "two"

    with testing.serve(one, two) as client:
        before = list(ran)
        client.push("one")
        client.get("/two")

    assert before == ran == ["one", "two"]


def test_objects_of_async_start_up_code_belong_to_the_loop_of_the_tasks() -> None:
    seen: list[Any] = []

    async def connect() -> None:
        seen.append(asyncio.get_running_loop())

    @message_handler(message_type=None, init=[connect])
    async def task(data: bytes) -> None:
        seen.append(asyncio.get_running_loop())

    with testing.serve(task) as client:
        client.push("task")

    assert seen[0] is seen[1]


def test_a_client_of_a_task_that_cannot_start_says_why(fails: Fails) -> None:
    @message_handler(message_type=None, init=[fails])
    def task(data: bytes) -> None: ...

    serving = testing.serve(task)

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match=r"'task' failed: .*connect: .*refused"):
        serving.__enter__()


def test_a_task_that_is_called_or_run_in_a_test_starts_nothing() -> None:
    client = Defer(lambda: "client")

    @message_handler(message_type=None, init=[lambda: pytest.fail("it was started")])
    def task(data: bytes) -> str:
        return client()

    assert task(b"") == "client"
    assert testing.run(task).result == "client"


@pytest.mark.slow
def test_a_local_cloud_starts_its_tasks_before_it_delivers(ucam_faas_local: Any) -> None:
    ran: list[str] = []

    @message_handler(message_type=None, init=[lambda: ran.append("start")])
    def task(data: bytes) -> None:
        ran.append("run")

    local = ucam_faas_local(task)
    before = list(ran)
    local.publish(task, b"x")
    local.wait_idle()

    assert before == ["start"]
    assert ran == ["start", "run"]


@pytest.mark.slow
def test_a_local_cloud_whose_tasks_cannot_start_is_none(ucam_faas_local: Any, fails: Fails) -> None:
    @message_handler(message_type=None, init=[fails])
    def task(data: bytes) -> None: ...

    @message_handler(message_type=None)
    def other(data: bytes) -> None: ...

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="refused"):
        ucam_faas_local(task)

    local = ucam_faas_local(other)  # nothing is left of it
    local.publish(other, b"x")
    local.wait_idle()
    assert len(local.executions) == 1


# --- under functions-framework

SOURCE = """
import test_init_hooks
import ucam_faas

@ucam_faas.raw_event(init=[lambda: test_init_hooks.start()])
def task(body: bytes) -> str:
    return "run"
"""


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module whose `hooks.start` is called by the served task's start-up code."""
    module = ModuleType("test_init_hooks")
    monkeypatch.setitem(sys.modules, "test_init_hooks", module)
    return module


@pytest.fixture
def framework(hooks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An application of functions-framework for the task."""
    (tmp_path / "main.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):
        monkeypatch.setenv(name, "")  # so that what it sets is undone

    yield functions_framework.create_app("task", str(tmp_path / "main.py"), "http")

    hooks.start = lambda: None
    door._app(sys.modules["main"].task.task)[0].close()
    door._app.cache_clear()
    del sys.modules["main"]


def test_under_functions_framework_it_runs_once_before_the_first_call(
    framework: Any, hooks: Any
) -> None:
    """Eight requests come at once; nothing runs when the function is loaded."""
    ran: list[int] = []
    all_ask = threading.Semaphore(0)

    def start() -> None:
        ran.append(1)
        for _ in range(8):
            assert all_ask.acquire(timeout=WAIT_SECONDS)

    def ask() -> str:
        all_ask.release()
        return str(framework.test_client().post("/", data=b"").text)

    hooks.start = start
    assert ran == []

    with ThreadPoolExecutor(8) as threads:
        answers = [future.result() for future in [threads.submit(ask) for _ in range(8)]]

    assert answers == ["run"] * 8
    assert ran == [1]


def test_under_functions_framework_a_failed_start_fails_the_call_and_is_tried_again(
    framework: Any, hooks: Any, caplog: pytest.LogCaptureFixture, fails: Fails
) -> None:
    """The answer does not say why: that is in the log."""
    hooks.start = fails
    client = framework.test_client()

    failed = client.post("/", data=b"")
    hooks.start = lambda: None
    answer = client.post("/", data=b"")

    assert failed.status_code == 500
    assert "refused" not in failed.text
    (line,) = [record for record in caplog.records if record.message == "ucam_faas_start_failed"]
    assert "refused by 10.0.0.1" in line.__dict__["fields"]["detail"]
    assert (answer.status_code, answer.text) == (200, "run")


# --- under gunicorn


@pytest.mark.parametrize("seconds", [1, 30, 600])
def test_gunicorn_lets_start_up_code_take_as_long_as_cloud_run_does(seconds: int) -> None:
    """Four minutes, however short the tasks' own timeouts are."""

    @raw_event(init=[dict], timeout=timedelta(seconds=seconds))
    def task(body: bytes) -> None: ...

    with socket.socket() as listener:
        gunicorn = server._Gunicorn(make_app(task), listener, lambda: None)

    assert gunicorn.cfg.timeout > max(240, seconds)
