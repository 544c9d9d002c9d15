"""Tasks with `run_in_process=True`: their outcomes, their ends, and the ends of their processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.exceptions import TaskDefinitionError, UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.outcomes import Crashed, Done, Ignore, InvalidPayload, Retry, ShuttingDown, TimedOut
from ucam_faas.serving.runner import Runner
from ucam_faas.tasks import registry
from ucam_faas.testing import MemoryPublisher, make_push

from . import process_tasks
from .harness import WAIT_SECONDS, fields_of, make_app, messages, on_a_loop, push

pytestmark = pytest.mark.slow


class Running:
    """A runner of one task, with its processes."""

    def __init__(self, function: Any, **settings: Any) -> None:
        task = registry.task_of(function)
        assert task is not None
        self.task = task
        self.runtime = Runtime(Settings(**settings), SystemClock())
        self.runner = Runner([task], self.runtime)

    def execution(
        self, data: Any = b"", job: JobRun | None = None, attempt: int | None = None
    ) -> Execution:
        push = make_push(data, delivery_attempt=attempt)
        delivery = envelopes.decode(push.body, push.headers, "/").with_message()
        return Execution(self.task, delivery, self.runtime, job=job)

    async def run(self, data: Any = b"", job: JobRun | None = None) -> Conclusion:
        return await self.runner.run(self.execution(data, job))


@asynccontextmanager
async def running(function: Any, **settings: Any) -> AsyncIterator[Running]:
    made = Running(function, **settings)
    try:
        await made.runner.start_up()
        yield made
    finally:
        await asyncio.to_thread(made.runner.close)


async def appears(path: Path) -> str:
    async with asyncio.timeout(WAIT_SECONDS):
        while not path.exists():
            await asyncio.sleep(0.005)
    return path.read_text()


async def gone(pid: int) -> None:
    """Wait until a process has ended; one that its parent doesn't wait for is a zombie then."""
    stat = Path(f"/proc/{pid}/stat")
    async with asyncio.timeout(WAIT_SECONDS):
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            await asyncio.sleep(0.005)


@on_a_loop
async def test_middleware_and_dependencies_run_in_the_process() -> None:
    async with running(process_tasks.composed) as here:
        value = (await here.run({"pence": 5})).value

    assert value["middleware"] == value["dependency"] == value["function"] != os.getpid()


@on_a_loop
async def test_a_process_parses_the_payload_and_runs_start_up_code_once() -> None:
    async with running(process_tasks.total) as shop:
        first = await shop.run({"pence": 3})
        second = await shop.run({"pence": 4})

    assert isinstance(first.outcome, Done)
    assert first.value["pence"], second.value["pence"] == (3, 4)
    assert first.value["process"] == second.value["process"] != os.getpid()
    assert second.value["started"] == ["total"]
    assert process_tasks.STARTED == []
    report = first.info.model_dump()
    assert report["pubsub_message"]["message_id"] == first.value["message"]
    assert report["message_handler"]["input_message_accepted"]
    assert report["cloud_event_handler"]["input_event_accepted"]


@on_a_loop
async def test_an_invalid_payload_is_refused_as_in_a_thread() -> None:
    async with running(process_tasks.total) as shop:
        conclusion = await shop.run({"pence": "many"})

    assert isinstance(conclusion.outcome, InvalidPayload)
    assert "pence" in (conclusion.outcome.reason or "")
    assert not conclusion.info.model_dump()["message_handler"]["input_message_accepted"]
    assert type(conclusion.error).__qualname__ == "ValidationError"


@on_a_loop
async def test_outcomes_come_back_as_themselves() -> None:
    async with running(process_tasks.end) as ends:
        retry = (await ends.run(b"retry")).outcome
        ignore = (await ends.run(b"ignore")).outcome
        odd = await ends.run(b"object")

    assert isinstance(retry, Retry)
    assert (retry.after, retry.reason) == (timedelta(seconds=7), "busy")
    assert isinstance(ignore, Ignore)
    assert ignore.reason == "seen"
    assert isinstance(odd.outcome, Done)
    assert odd.value is None


@on_a_loop
async def test_an_exception_comes_back_with_its_class_text_traceback_and_cause() -> None:
    async with running(process_tasks.end) as ends:
        conclusion = await ends.run(b"caused")
        exited = await ends.run(b"sys.exit")

    assert isinstance(conclusion.outcome, Crashed)
    error = conclusion.error
    assert isinstance(error, LookupError)
    text = "".join(traceback.format_exception(error))
    assert 'raise LookupError("no account") from error' in text
    assert isinstance(error.__cause__, process_tasks.OwnError)
    assert str(error.__cause__) == "no money: 3"
    assert isinstance(exited.outcome, Crashed)


@on_a_loop
async def test_a_dead_letter_has_the_same_fingerprint_as_without_processes() -> None:
    dead = "projects/p/topics/dead"
    publisher = MemoryPublisher({dead: []})

    async with running(process_tasks.end, dead_letter_topic=dead) as ends:
        ends.runtime = replace(ends.runtime, publisher=publisher)
        for data in (b"caused", b"give up"):
            await ends.runner.run(ends.execution(data, attempt=8))
            execute(ends.execution(data, attempt=8))

    marks = [
        (letter.attributes["ucam_faas_fingerprint"], letter.attributes["ucam_faas_error"])
        for letter in publisher.topics[dead]
    ]
    assert marks[::2] == marks[1::2]
    place = f"{process_tasks.__name__}.end"
    assert [error for _, error in marks[::2]] == [f"LookupError at {place}", f"SoldOut at {place}"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"crash", "its process ended by SIGSEGV"),
        (b"exit", "its process ended with exit code 7"),
        (b"kill", "its process ended by SIGKILL"),
    ],
)
@on_a_loop
async def test_a_process_that_ends_crashes_one_execution(
    data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(process_tasks.end) as ends:
        before = await ends.run(b"")
        lost = await ends.run(data)
        after = await ends.run(b"")

    assert (lost.outcome, lost.outcome.reason) == (Crashed(reason), reason)
    assert fields_of(caplog.records, "ucam_faas_task_process_ended")["reason"] == reason
    assert isinstance(after.outcome, Done)
    assert before.value != after.value


@on_a_loop
async def test_a_system_without_processes_does_not_change_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    async with running(process_tasks.end) as ends:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", refuse)
            lost = await ends.run(b"crash")
        after = await ends.run(b"")

    assert lost.outcome == Crashed("its process ended by SIGSEGV")
    problem = fields_of(caplog.records, "ucam_faas_task_process_failed")
    assert problem["reason"] == "Resource temporarily unavailable"
    assert isinstance(after.outcome, Done)


@on_a_loop
async def test_a_deadline_kills_the_process_and_abandons_no_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(process_tasks.compute) as computing:
        execution = computing.execution(str(tmp_path / "pid").encode())
        conclusion = asyncio.ensure_future(computing.runner.run(execution))
        pid = int(await appears(tmp_path / "pid"))
        (run,) = computing.runner._runs
        computing.runner._expire(run)

        assert isinstance((await conclusion).outcome, TimedOut)
        await gone(pid)
    assert "ucam_faas_thread_abandoned" not in messages(caplog.records)
    assert "ucam_faas_function_ended_late" not in messages(caplog.records)


@on_a_loop
async def test_the_end_of_the_grace_kills_the_process(tmp_path: Path) -> None:
    async with running(process_tasks.compute) as computing:
        execution = computing.execution(str(tmp_path / "pid").encode())
        conclusion = asyncio.ensure_future(computing.runner.run(execution))
        pid = int(await appears(tmp_path / "pid"))
        computing.runner.drain()
        computing.runner.end_grace()

        assert isinstance((await conclusion).outcome, ShuttingDown)
        await gone(pid)


@on_a_loop
async def test_start_up_code_that_fails_in_the_process_fails_the_start() -> None:
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match=r"'broken' failed: .*ZeroDivisionError"):
        async with running(process_tasks.broken):
            pass


def claimed(store: SqliteStore, data: bytes) -> JobRun:
    key = Key("default", "use_job", "j1")
    store.insert([Row(key=key, payload=data, visit=60.0)], wait=[0.0])
    return JobRun(key)


@on_a_loop
async def test_a_job_has_its_steps_progress_and_id_in_the_process(tmp_path: Path) -> None:
    name = f"sqlite:{tmp_path / 'jobs.db'}"
    store = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())

    async with running(process_tasks.use_job, job_store=name) as jobs:
        conclusion = await jobs.run(job=claimed(store, b"four"))

    row = store.get(Key("default", "use_job", "j1"))
    assert isinstance(conclusion.outcome, Done)
    assert row is not None
    assert (row.state, row.result) == (
        State.SUCCESS,
        b'{"id": "j1", "attempt": 1, "done": 4}',
    )
    assert row.progress == {"done": 1, "total": 2, "note": ""}
    assert [step.value for step in store.steps(row.key)] == [b"4"]


@on_a_loop
async def test_a_crash_costs_one_attempt_of_its_job_and_none_of_a_neighbours(
    tmp_path: Path,
) -> None:
    name = f"sqlite:{tmp_path / 'jobs.db'}"
    store = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())
    keys = [Key("default", "end", id) for id in ("crash", "neighbour")]
    store.insert(
        [Row(key=key, payload=key.id.encode(), visit=60.0) for key in keys], wait=[0.0, 0.0]
    )

    async with running(process_tasks.end, job_store=name) as jobs:
        await asyncio.gather(*(jobs.run(job=JobRun(key)) for key in keys))

    crashed, neighbour = map(store.get, keys)
    assert crashed is not None
    assert neighbour is not None
    assert (crashed.state, crashed.attempts, crashed.interruptions) == (State.PENDING, 1, 0)
    assert (neighbour.state, neighbour.attempts) == (State.SUCCESS, 0)


@on_a_loop
async def test_a_job_sleeps_in_the_process(tmp_path: Path) -> None:
    name = f"sqlite:{tmp_path / 'jobs.db'}"
    store = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())

    async with running(process_tasks.use_job, job_store=name) as jobs:
        await jobs.run(job=claimed(store, b"sleep"))

    row = store.get(Key("default", "use_job", "j1"))
    assert row is not None
    assert (row.state, row.history[-1].cause) == (State.PENDING, "sleeping")
    assert row.due > store.now() + 3_000


@on_a_loop
async def test_a_job_that_its_process_completes_has_that_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "jobs.db")
    store, key = SqliteStore(path, SystemClock()), Key("default", "complete", "j1")
    store.insert([Row(key=key, payload=path.encode(), visit=60.0)], wait=[0.0])

    async with running(process_tasks.complete, job_store=f"sqlite:{path}") as jobs:
        conclusion = await jobs.run(job=JobRun(key))

    row = store.get(key)
    assert isinstance(conclusion.outcome, Done), caplog.text
    assert row is not None
    assert (row.state, row.result) == (State.SUCCESS, b'"by hand"')


def test_processes_of_a_killed_parent_end_while_they_hold_the_lock(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from tests.serving import process_tasks, test_processes\n"
        "async def main():\n"
        "    async with test_processes.running(process_tasks.compute) as computing:\n"
        "        await computing.run(sys.argv[1].encode())\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "pid")])
    try:
        pid = int(asyncio.run(appears(tmp_path / "pid")))
        parent.kill()
        asyncio.run(gone(pid))
    finally:
        parent.kill()
        parent.wait()


SCRIPT = """
import asyncio
import os

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.serving.runner import Runner
from ucam_faas.testing import make_push


def note(task: str) -> None:
    os.environ["NOTED"] = task


shop = ucam_faas.TaskCollection()


@shop.message_handler(run_in_process=True)
def total(order: int) -> str:
    return f"{__name__} {os.environ.get('NOTED')} {order}"


everything = ucam_faas.TaskCollection(init=[note])
everything.include(shop)


async def main() -> None:
    (task,) = everything.tasks
    runtime = Runtime(Settings(), SystemClock())
    runner = Runner([task], runtime)
    try:
        await runner.start_up()
        push = make_push(3)
        delivery = envelopes.decode(push.body, push.headers, "/")
        print((await runner.run(Execution(task, delivery, runtime))).value)
    finally:
        runner.close()
"""


def run_script(folder: Path, end: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT + end)
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )


def test_a_task_of_a_script_has_the_defaults_of_its_collections(tmp_path: Path) -> None:
    ended = run_script(tmp_path, '\n\nif __name__ == "__main__":\n    asyncio.run(main())\n')

    assert ended.stdout == "script total 3\n", ended.stderr


def test_a_script_that_serves_at_its_import_is_told_so(tmp_path: Path) -> None:
    ended = run_script(tmp_path, "\n\nasyncio.run(main())\n")

    assert ended.returncode == 1
    assert 'below `if __name__ == "__main__":`' in ended.stderr


def test_a_task_that_no_import_finds_is_told_so(tmp_path: Path) -> None:
    """A function of the script has made it."""
    end = """

async def run_inner() -> None:
    @ucam_faas.message_handler(run_in_process=True)
    def inner(order: int) -> None: ...

    await Runner([inner.task], Runtime(Settings(), SystemClock())).start_up()


if __name__ == "__main__":
    asyncio.run(run_inner())
"""

    ended = run_script(tmp_path, end)

    assert ended.returncode == 1
    assert "The task 'inner' has no import" in ended.stderr


@on_a_loop
async def test_a_killed_process_gets_no_other_execution(tmp_path: Path) -> None:
    async with running(process_tasks.compute) as computing:
        for number in range(3):
            path = tmp_path / str(number)
            execution = computing.execution(str(path).encode())
            conclusion = asyncio.ensure_future(computing.runner.run(execution))
            await appears(path)
            (run,) = computing.runner._runs
            computing.runner._expire(run)

            assert isinstance((await conclusion).outcome, TimedOut)


@on_a_loop
async def test_a_copy_that_the_task_forks_answers_nothing() -> None:
    async with running(process_tasks.end) as it:
        results = [(await it.run(b"fork")).value for _ in range(5)]

    assert results == ["task"] * 5


def test_what_cannot_run_in_a_process_is_refused() -> None:
    def refused(make: Callable[[], Any]) -> str:
        with pytest.raises(TaskDefinitionError) as refusal:
            make()
        return str(refusal.value)

    async def work(data: bytes) -> None: ...

    def look(event: Any) -> None: ...

    handler, raw = ucam_faas.message_handler, ucam_faas.raw_event
    assert "write a plain def" in refused(lambda: handler(run_in_process=True)(work))
    assert "an HTTP response" in refused(lambda: raw(run_in_process=True)(look))
    assert "expected True or False" in refused(lambda: handler(run_in_process=2)(look))  # type: ignore[arg-type]
    on_http: dict[str, Any] = {"run_in_process": True}
    assert "no option 'run_in_process'" in refused(
        lambda: ucam_faas.http(path="/x", methods=["GET"], **on_http)(look)
    )
    once: dict[str, Any] = {"run_as": "cloud-run-job", "run_in_process": True}
    assert "Leave it out" in refused(lambda: handler(**once)(look))


@on_a_loop
async def test_without_start_up_as_in_tests_the_function_runs_in_a_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(process_tasks.total)

    response = await push(app, "total", {"pence": 5})

    assert response.status == 200
    assert fields_of(caplog.records, "adding up")["process"] == os.getpid()
