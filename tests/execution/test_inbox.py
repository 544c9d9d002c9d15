"""Wakes: published by a thread, and before a delivery is answered or the interpreter exits."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.jobs.runs import add
from tests.serving.harness import Held, advance, begin, on_a_loop, push
from ucam_faas import Limit, message_handler
from ucam_faas.config import Settings
from ucam_faas.exceptions import NoSuchTopicError, PublishError
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime, current
from ucam_faas.jobs.rows import Key, Wake
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing import Draft
from ucam_faas.serving.app import App
from ucam_faas.testing import ManualClock, MemoryPublisher
from ucam_faas.testing.tasks import conclude

SLOW_SECONDS = 0.05
ASK = "projects/p/topics/ask-inbox"
TELL = "projects/p/topics/tell-inbox"


class SlowPublisher(MemoryPublisher):
    """A Pub/Sub that takes its time, or as long as the test says."""

    def __init__(self) -> None:
        super().__init__({ASK: [], TELL: []})
        self.calls: list[list[str]] = []
        self.begun = threading.Event()
        self.release: threading.Event | None = None

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages, slowly."""
        self.begun.set()
        if self.release is None:
            threading.Event().wait(SLOW_SECONDS)
        elif not self.release.wait(30):
            raise PublishError("not released")
        ids = super().publish_many(topic, drafts, timeout_seconds=timeout_seconds)
        self.calls.append([draft.attributes[inbox.JOB_ATTRIBUTE] for draft in drafts])
        return ids


@pytest.fixture(autouse=True)
def _no_thread_of_an_earlier_test() -> None:
    """It waits some milliseconds for more wakes."""
    for thread in threading.enumerate():
        if thread.name == "ucam-faas-wakes":
            thread.join()


@pytest.fixture
def publisher() -> SlowPublisher:
    return SlowPublisher()


def runtime_of(publisher: MemoryPublisher, **settings: Any) -> Runtime:
    """Return a runtime as a process in production has it."""
    made = Settings(project="p", **settings)
    return Runtime(made, ManualClock(), connect=lambda _: publisher)


def wake(runtime: Runtime, *ids: str, task: str = "ask") -> None:
    inbox.wake(runtime, [Wake(Key("default", task, id)) for id in ids])


def test_wakes_that_gather_during_a_publish_go_in_one_call(publisher: SlowPublisher) -> None:
    here, publisher.release = runtime_of(publisher), threading.Event()

    wake(here, "1")
    assert publisher.begun.wait(30)
    for id in ("2", "3", "4"):
        wake(here, id)
    assert inbox.are_unpublished()
    publisher.release.set()
    inbox.flush()

    assert publisher.calls == [["1"], ["2", "3", "4"]]
    assert not inbox.are_unpublished()


def test_a_wake_in_a_test_is_published_at_once(publisher: SlowPublisher) -> None:
    publisher.topics["ask-inbox"] = []

    wake(Runtime(Settings(), ManualClock(), publisher), "1")

    assert publisher.calls == [["1"]]


def test_a_wake_on_cloud_run_outside_of_executions_is_published_at_once(
    publisher: SlowPublisher,
) -> None:
    wake(runtime_of(publisher, revision="web-0001"), "1")

    assert publisher.calls == [["1"]]


def test_a_wake_is_published_at_once_if_the_system_gives_no_thread(
    publisher: SlowPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    wake(runtime_of(publisher), "1")
    wake(runtime_of(publisher), "2")

    assert publisher.calls == [["1"], ["2"]]


def test_a_publish_that_fails_is_logged_and_the_others_succeed(
    publisher: SlowPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    here, publisher.release = runtime_of(publisher), threading.Event()
    wake(here, "1")
    assert publisher.begun.wait(30)

    wake(here, "2", task="unknown")
    wake(here, "3", task="tell")
    publisher.release.set()
    inbox.flush()
    wake(here, "4")
    inbox.flush()

    assert publisher.calls == [["1"], ["3"], ["4"]]
    (record,) = caplog.records
    assert record.message == "ucam_faas_wake_failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], NoSuchTopicError)
    _, *text = logging.Formatter().format(record).splitlines()
    assert len(text) == 1  # no traceback
    assert "no task 'unknown' is deployed or served there. The job stays PENDING" in text[0]


def test_an_execution_does_not_wait_for_the_wakes_of_others(publisher: SlowPublisher) -> None:
    here, publisher.release = runtime_of(publisher), threading.Event()
    wake(here, "1")
    assert publisher.begun.wait(30)

    @message_handler
    def task(data: bytes) -> None: ...

    conclude(task, b"", runtime=here)

    assert inbox.are_unpublished()
    publisher.release.set()


@pytest.mark.parametrize("error", [None, ConnectionError(), SystemExit(1)])
@pytest.mark.parametrize("is_async", [False, True])
def test_wakes_are_published_before_an_execution_ends(
    publisher: SlowPublisher, is_async: bool, error: BaseException | None
) -> None:
    def act(data: bytes) -> None:
        wake(current(), "1")
        if error is not None:
            raise error

    async def act_async(data: bytes) -> None:
        act(data)

    task = message_handler(act_async if is_async else act, name="task")

    conclude(task, b"", runtime=runtime_of(publisher, revision="service-0001"))

    assert publisher.calls == [["1"]]


def test_wakes_are_published_before_a_deadline_is_answered(publisher: SlowPublisher) -> None:
    held, clock = Held(), ManualClock()

    @message_handler
    def task(data: bytes) -> None:
        wake(current(), "1")
        held(data)

    async def main() -> tuple[int, list[list[str]]]:
        runtime = Runtime(Settings(project="p"), clock, connect=lambda _: publisher)
        request = await begin(push(App([task.task], runtime), "task"), held)
        await advance(clock, 600)
        release.set()  # the loop hasn't waited for it
        status = (await request).status
        return status, list(publisher.calls)

    publisher.release = release = threading.Event()
    status, calls = asyncio.run(main())
    held.release.set()

    assert (status, calls) == (504, [["1"]])


@on_a_loop
async def test_the_wake_of_a_job_that_comes_first_is_published_before_the_answer(
    publisher: SlowPublisher,
) -> None:
    clock = ManualClock()
    store = SqliteStore(":memory:", clock)
    add(store, "ask", "first", limit_key="all")

    @message_handler(name="ask", limit=Limit("all"))
    def task(data: bytes) -> None: ...

    runtime = replace(runtime_of(publisher, revision="ask-0001"), clock=clock, store=store)

    answer = await push(App([task.task], runtime), "ask")

    assert (answer.status, publisher.calls) == (200, [["first"]])


SCRIPT = """
import os, threading
from ucam_faas.config import Settings
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key, Wake

begun, release = threading.Event(), threading.Event()

class Publisher:
    def publish_many(self, topic, drafts, *, timeout_seconds=10.0):
        begun.set()
        release.wait(0.2)
        for draft in drafts:
            os.write(1, b"%s %s;" % (name, draft.attributes["ucam_faas_job"].encode()))
        return ["1"] * len(drafts)

def wake(id):
    inbox.wake(here, [Wake(Key("default", "ask", id))])

publisher, name = Publisher(), b"parent"
here = Runtime(Settings(project="p"), SystemClock(), connect=lambda _: publisher)
"""


@pytest.mark.slow
def test_the_interpreter_exits_when_the_wakes_are_published() -> None:
    assert output(f"{SCRIPT}wake('1'); begun.wait(30); wake('2')") == "parent 1;parent 2;"


@pytest.mark.slow
def test_a_forked_process_publishes_its_own_wakes_alone() -> None:
    fork = """
wake("1")
begun.wait(30)
wake("2")
if child := os.fork():
    os.waitpid(child, 0)
else:
    name = b"child"
    release.set()
    wake("3")
"""

    assert sorted(output(SCRIPT + fork).split(";")) == ["", "child 3", "parent 1", "parent 2"]


def output(script: str) -> str:
    """Return the output of a process."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
