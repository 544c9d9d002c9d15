"""Every kind of message task has the same result, whichever way its message comes."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.serving.harness import exchange, make_app
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution import runtime as runtimes
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.outcomes import acknowledges
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving import functions_framework as door, run_once
from ucam_faas.tasks.task import Kind
from ucam_faas.testing import make_push

from . import matrix_tasks as tasks
from .harness import PROJECT, cloud, working

KINDS = (
    *("json_sync", "json_async", "protobuf", "parsed", "without_argument"),
    *("adopted", "adopted_async", "layered", "layered_async"),
    *("depending", "depending_async", "event", "event_data", "raw"),
)
ENDS = ("Ada", "fail", "crash", "retry", "ignore", "reject", "invalid")
DEAD = f"projects/{PROJECT}/topics/dead"
SETTINGS: dict[str, Any] = {
    "dead_letter_topic": DEAD,
    "project": PROJECT,
    "job_store": "memory",
}
ENVIRONMENT = {
    "UCAM_FAAS_DEAD_LETTER_TOPIC": DEAD,
    "GOOGLE_CLOUD_PROJECT": PROJECT,
    "UCAM_FAAS_JOB_STORE": "memory",
}


@pytest.fixture(autouse=True)
def _everything_is_seen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG, logger="ucam_faas")
    yield
    tasks.SEEN.clear()
    runtimes.store_of.cache_clear()


def data_of(kind: str, end: str) -> bytes:
    if end == "invalid":
        return b"\xff"
    if kind == "protobuf":
        return StringValue(value=end).SerializeToString()
    return json.dumps({"name": end}).encode()


def result_of(records: list[logging.LogRecord]) -> dict[str, Any]:
    """Return what was seen, and the line about the execution without its ids and times."""
    lines = [r for r in records if "outcome" in getattr(r, "fields", {})]
    assert len(lines) == 1, [r.getMessage() for r in records]
    fields = dict(lines[0].fields)
    info = json.loads(json.dumps(fields.pop("execution_info", {})))
    execution = {k: v for k, v in info.get("execution", {}).items() if k != "duration_seconds"}
    return {
        "seen": list(tasks.SEEN),
        "message": lines[0].getMessage(),
        "level": lines[0].levelname,
        "outcome": fields["outcome"],
        "reason": fields.get("reason"),
        "execution": execution,
        "event": info.get("cloud_event_handler"),
        "handler": info.get("message_handler"),
        "error": type(lines[0].exc_info[1]).__name__ if lines[0].exc_info else None,
    }


def on_a_loop_with_result(
    door: Callable[[str, bytes, Path], Coroutine[Any, Any, bool]],
) -> Callable[[str, bytes, Path], bool]:
    @functools.wraps(door)
    def run(kind: str, data: bytes, folder: Path) -> bool:
        return asyncio.run(door(kind, data, folder))

    return run


def memory_publisher() -> MemoryPublisher:
    publisher = MemoryPublisher()
    publisher.topics[DEAD] = []
    return publisher


@on_a_loop_with_result
async def by_push(kind: str, data: bytes, folder: Path) -> bool:
    function = getattr(tasks, kind)
    app = make_app(
        function,
        clock=SystemClock(),
        publisher=memory_publisher(),
        store=SqliteStore(":memory:", SystemClock()),
        **SETTINGS,
    )
    push = make_push(data, wrapped=function.task.kind is not Kind.RAW)
    answer = await exchange(app, f"/{kind}", [push.body], headers=push.headers)
    app.service.runner.close()
    return acknowledges(answer.status)


@on_a_loop_with_result
async def by_worker(kind: str, data: bytes, folder: Path) -> bool:
    async with cloud() as pubsub:
        worker = pubsub.worker(getattr(tasks, kind).task, messages_limit=1, **SETTINGS)
        async with working(worker) as running:
            pubsub.publish(kind, data)
            await running
        return pubsub.waiting(kind) == 0


@on_a_loop_with_result
async def by_functions_framework(kind: str, data: bytes, folder: Path) -> bool:
    push = make_push(data, wrapped=getattr(tasks, kind).task.kind is not Kind.RAW)

    def call() -> int:
        app = functions_framework.create_app(kind, tasks.__file__)
        module: Any = sys.modules["matrix_tasks"]
        module.SEEN = tasks.SEEN
        try:
            answer = app.test_client().post("/", data=push.body, headers=push.headers)
            return int(answer.status_code)
        finally:
            door._app(getattr(module, kind).task)[0].close()
            door._app.cache_clear()
            del sys.modules["matrix_tasks"]

    async with cloud() as pubsub:
        pubsub.topic("dead")
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.host
        return acknowledges(await asyncio.to_thread(call))


def by_run_once(kind: str, data: bytes, folder: Path) -> bool:
    path = folder / "input"
    path.write_bytes(data)
    settings = Settings(input_file=str(path), **{**SETTINGS, "job_store": None})
    runtime = Runtime(settings, SystemClock(), memory_publisher())
    return run_once.run(getattr(tasks, kind).task, runtime) == 0


Door = Callable[[str, bytes, Path], bool]
_LAYERED, _DEPENDING = ["outer", "inner", "Ada", "ended"], ["Ada", "closed"]
SEEN = {
    **{"layered": _LAYERED, "layered_async": _LAYERED},
    **{"depending": _DEPENDING, "depending_async": _DEPENDING},
}
"""Where more is seen than the call."""
WITHOUT_RUN_ONCE = ("adopted", "adopted_async", "event", "event_data")
"""A Cloud Run job has no row, and its events hold no message."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_front_door_has_the_same_result(
    kind: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doors: list[Door] = [by_worker, by_functions_framework]
    if kind not in WITHOUT_RUN_ONCE:
        doors.append(by_run_once)

    def result(door: Door, end: str) -> Any:
        tasks.SEEN.clear()
        caplog.clear()
        runtimes.store_of.cache_clear()
        acknowledged = door(kind, data_of(kind, end), tmp_path)
        return result_of(caplog.records), acknowledged

    monkeypatch.setattr(sys, "path", list(sys.path))  # functions-framework adds to it
    monkeypatch.setenv("FUNCTION_TARGET", "")
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", "")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "")
    for end in ENDS:
        pushed = result(by_push, end)
        if end == "Ada":
            assert pushed[0]["seen"] == SEEN.get(kind, ["Ada"])
        for door_ in doors:
            assert result(door_, end) == pushed, f"{door_.__name__}, {end}"
