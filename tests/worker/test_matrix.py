"""Every kind of message task has the same result, whichever way its message comes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.outcomes import acknowledges
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving import functions_framework as door, run_once
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.testing import make_message, make_push

from . import matrix_tasks as tasks
from .harness import PROJECT, cloud, until, working

KINDS = (
    *("json_sync", "json_async", "ordered", "protobuf", "parsed", "without_argument"),
    *("adopted", "adopted_async", "layered", "layered_async"),
    *("depending", "depending_async", "event", "event_data", "raw"),
)
KINDS_IN_PROCESSES = tuple(name for name in vars(tasks) if name.endswith("_apart"))
ENDS = ("Ada", "fail", "crash", "retry", "ignore", "reject", "invalid")
APP = "shop"
DEAD = f"projects/{PROJECT}/topics/dead"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ATTRIBUTES = {"tenant": "north", "googclient_traceparent": TRACE}
SET_LATER = ("PUBSUB_EMULATOR_HOST", "UCAM_FAAS_JOB_STORE")
NOT_SOON = {"minimumBackoff": "600s", "maximumBackoff": "600s"}


@pytest.fixture(autouse=True)
def _everything_is_seen(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, logger="ucam_faas")
    monkeypatch.setattr(sys, "path", list(sys.path))  # functions-framework adds to it
    monkeypatch.setenv(tasks.NOTES, str(tmp_path / "notes"))
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", *SET_LATER):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("UCAM_FAAS_APP", APP)
    monkeypatch.setenv("UCAM_FAAS_DEAD_LETTER_TOPIC", DEAD)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)


def data_of(kind: str, end: str) -> bytes:
    if end == "invalid":
        return b"\xff"
    if kind.startswith("protobuf"):
        return StringValue(value=end).SerializeToString()
    return json.dumps({"name": end}).encode()


Deliver = Callable[[bytes, str], bool]
"""Delivers data with an ordering key, and returns True if the message is acknowledged."""
Door = Callable[[Task, Path], AbstractContextManager[Deliver]]


def settings_of(store: Path) -> dict[str, Any]:
    return {
        "app": APP,
        "dead_letter_topic": DEAD,
        "project": PROJECT,
        "job_store": f"sqlite:{store}",
    }


def memory_publisher() -> MemoryPublisher:
    publisher = MemoryPublisher()
    publisher.topics[DEAD] = []
    return publisher


@contextmanager
def by_push(task: Task, store: Path) -> Iterator[Deliver]:
    app = make_app(
        getattr(tasks, task.name),
        clock=SystemClock(),
        publisher=memory_publisher(),
        **settings_of(store),
    )

    def deliver(data: bytes, key: str) -> bool:
        message = make_message(data, attributes=ATTRIBUTES, ordering_key=key)
        push = make_push(message, wrapped=task.kind is not Kind.RAW)
        answer = loop.run(exchange(app, task.route, [push.body], headers=push.headers))
        return acknowledges(answer.status)

    with asyncio.Runner() as loop:
        loop.run(app.start())
        try:
            yield deliver
        finally:
            app.service.runner.close()


@contextmanager
def by_worker(task: Task, store: Path) -> Iterator[Deliver]:
    def deliver(data: bytes, key: str) -> bool:
        session = worker._session
        assert session is not None
        started, waiting = session._started, pubsub.waiting(task.name)
        pubsub.publish(task.name, data, key=key, **ATTRIBUTES)

        def is_answered() -> bool:
            sending = [each.sending for each in session._held._answers.values()]
            held = map(session._held.of, session._sources)
            return session._started > started and not any(held) and not any(sending)

        loop.run(until(is_answered, "it is answered"))
        return pubsub.waiting(task.name) == waiting

    with asyncio.Runner() as loop, on(loop, cloud()) as pubsub:
        pubsub.subscribe(
            task.name,
            task.name,
            enableMessageOrdering=task.trigger.ordered,
            retryPolicy=NOT_SOON,
        )
        worker = pubsub.worker(task, **settings_of(store))
        with on(loop, working(worker)):
            yield deliver


@contextmanager
def by_functions_framework(task: Task, store: Path) -> Iterator[Deliver]:
    def deliver(data: bytes, key: str) -> bool:
        message = make_message(data, attributes=ATTRIBUTES, ordering_key=key)
        push = make_push(message, wrapped=task.kind is not Kind.RAW)
        client = app.test_client()
        answer = loop.run(asyncio.to_thread(client.post, "/", data=push.body, headers=push.headers))
        return acknowledges(answer.status_code)

    with asyncio.Runner() as loop, on(loop, cloud()) as pubsub:
        pubsub.topic("dead")
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.host
        os.environ["UCAM_FAAS_JOB_STORE"] = f"sqlite:{store}"
        app = functions_framework.create_app(task.name, tasks.__file__)
        module: Any = sys.modules["matrix_tasks"]
        try:
            yield deliver
        finally:
            door._app(getattr(module, task.name).task)[0].close()
            door._app.cache_clear()
            del sys.modules["matrix_tasks"]


@contextmanager
def by_run_once(task: Task, store: Path) -> Iterator[Deliver]:
    """A Cloud Run job gets data alone."""
    path = store.with_suffix(".input")
    settings = Settings(input_file=str(path), dead_letter_topic=DEAD, project=PROJECT)
    runtime = Runtime(settings, SystemClock(), memory_publisher())

    def deliver(data: bytes, key: str) -> bool:
        path.write_bytes(data)
        tasks.STARTED.clear()
        _, exit_code = run_once.run(task, runtime)
        return exit_code == 0

    yield deliver


@contextmanager
def on(loop: asyncio.Runner, context: Any) -> Iterator[Any]:
    """Enter an asynchronous context on a loop that runs now and then."""
    value = loop.run(context.__aenter__())
    try:
        yield value
    finally:
        loop.run(context.__aexit__(None, None, None))


def result_of(records: list[logging.LogRecord], notes: Path, store: Path) -> dict[str, Any]:
    """Return what the task has noted, its job, and its line in the log without ids and times."""
    lines = [r for r in records if "outcome" in getattr(r, "fields", {})]
    assert len(lines) == 1, [r.getMessage() for r in records]
    fields, context = dict(lines[0].fields), lines[0].context
    info = json.loads(json.dumps(fields.pop("execution_info", {})))
    execution = {k: v for k, v in info.get("execution", {}).items() if k != "duration_seconds"}
    return {
        "notes": [json.loads(line) for line in notes.read_text().splitlines()],
        "message": lines[0].getMessage(),
        "level": lines[0].levelname,
        "fields": fields.keys() - {"request"},
        "outcome": fields["outcome"],
        "reason": fields.get("reason"),
        "trace": [context.trace, context.span_id, context.sampled],
        "execution": execution,
        "event": info.get("cloud_event_handler"),
        "handler": info.get("message_handler"),
        "error": type(lines[0].exc_info[1]).__name__ if lines[0].exc_info else None,
        "job": job_of(fields, store),
    }


def job_of(fields: dict[str, Any], store: Path) -> Any:
    if "job_id" not in fields:
        return None
    row = SqliteStore(str(store), SystemClock()).get(Key(APP, fields["task"], fields["job_id"]))
    if row is None:  # of an invalid message
        return "none"
    return row.state, row.result, row.attempts, [each.cause for each in row.history]


def results(door: Door, kind: str, folder: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """Deliver a message for each end, and return the results by ends."""
    notes, store = Path(os.environ[tasks.NOTES]), folder / f"{door.__name__}-{kind}.db"
    by_end = {}
    tasks.STARTED.clear()
    with door(getattr(tasks, kind).task, store) as deliver:
        for end in ENDS:
            notes.write_text("")
            caplog.clear()
            acknowledged = deliver(data_of(kind, end), f"key of {end}")
            by_end[end] = result_of(caplog.records, notes, store), acknowledged
    runtimes.store_of.cache_clear()
    return by_end


def without_message(by_end: Any) -> Any:
    """Return results without the parts that are of the message."""
    for result, _ in by_end.values():
        del result["trace"], result["fields"]
        for note in result["notes"]:
            for name in {"message", "trace", "event"} & note.keys():
                del note[name]
    return by_end


NAMES = {"layered": ["outer", "inner", "Ada", "ended"], "depending": ["Ada", "closed"]}
"""Of the notes, by the beginning of the kind; of other kinds, there is one note."""
WITHOUT_RUN_ONCE = ("adopted", "event")
"""A Cloud Run job has no row, and its events hold no message."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS + KINDS_IN_PROCESSES)
def test_every_front_door_has_the_same_result(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pushed = results(by_push, kind, tmp_path, caplog)
    names = NAMES.get(kind.partition("_")[0], ["Ada"])

    assert [note["name"] for note in pushed["Ada"][0]["notes"]] == names
    assert results(by_worker, kind, tmp_path, caplog) == pushed
    assert results(by_functions_framework, kind, tmp_path, caplog) == pushed
    if kind in KINDS_IN_PROCESSES:
        assert results(by_push, kind.removesuffix("_apart"), tmp_path, caplog) == pushed
    if not kind.startswith(WITHOUT_RUN_ONCE):
        assert without_message(results(by_run_once, kind, tmp_path, caplog)) == without_message(
            pushed
        )
