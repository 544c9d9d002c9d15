"""One run of a task: its input and its exit code."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.log import Log
from ucam_faas import (
    MESSAGE_CONTEXT,
    AbortedExecutionResult,
    CloudEventType,
    DeadLetter,
    ExecutionInfo,
    Ignore,
    Retry,
    UCAMFAASCouldNotLoadTarget,
    UCAMFAASException,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.serving import run_once
from ucam_faas.serving.run_once import InputNotLoadedError, delivery_of, read_input
from ucam_faas.tasks.task import Task
from ucam_faas.testing import ManualClock, MemoryPublisher

TOPIC = "projects/p/topics/dead"
PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"


def task_of(act: Any, how: str = "sync", decorate: Any = None) -> Any:
    def job(payload: Any) -> Any:
        return act(payload)

    async def async_job(payload: Any) -> Any:
        await asyncio.sleep(0)
        return act(payload)

    decorate = decorate or message_handler(message_type=None)
    return decorate(job if how == "sync" else async_job).task


def throw(error: BaseException) -> Any:
    def act(payload: Any) -> Any:
        raise error

    return act


def run(task: Task, runtime: Runtime) -> int:
    """Return the exit code."""
    _, code = run_once.run(task, runtime)
    return code


def runtime(publisher: MemoryPublisher | None = None, **settings: Any) -> Runtime:
    return Runtime(Settings(**settings), ManualClock(), publisher)


# --- exit codes


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda data: None, 0),
        (lambda data: {"a": 1}, 0),
        (lambda data: object(), 0),
        (lambda data: ExecutionInfo(), 0),
        (throw(Ignore("x")), 0),
        (lambda data: ExecutionInfo(execution=AbortedExecutionResult(reason="x")), 1),
        (throw(UCAMFAASException("x")), 1),
        (throw(Retry()), 1),
        (throw(DeadLetter("x")), 1),
        (throw(ValueError("x")), 1),
        (throw(SystemExit(0)), 0),
        (throw(SystemExit()), 0),
        (throw(SystemExit(7)), 7),
        (throw(SystemExit("why")), 1),
    ],
)
def test_the_exit_code_says_how_it_went(how: str, act: Any, code: int, log: Log) -> None:
    assert run(task_of(act, how), runtime()) == code
    assert log.lines[-1]["outcome"]


@pytest.mark.parametrize("decorate", [raw_event, cloud_event])
@pytest.mark.parametrize(
    ("act", "code"),
    [(lambda data: None, 0), (throw(UCAMFAASException("x")), 1), (throw(ValueError("x")), 2)],
)
def test_raw_and_cloud_event_tasks_have_a_code_for_each_end(
    decorate: Any, act: Any, code: int
) -> None:
    assert run(task_of(act, decorate=decorate), runtime()) == code


def test_an_input_that_the_task_rejects_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("junk")
    task = task_of(lambda data: None, decorate=message_handler(message_type=int))

    assert run(task, runtime(input_file=str(tmp_path / "input"))) == 1


def test_a_dead_lettered_run_is_done() -> None:
    publisher = MemoryPublisher({TOPIC: []})

    code = run(task_of(throw(DeadLetter("x"))), runtime(publisher, dead_letter_topic=TOPIC))

    assert code == 0
    assert len(publisher.topics[TOPIC]) == 1


def test_a_missing_input_is_an_error_before_the_task_runs(tmp_path: Path) -> None:
    ran: list[Any] = []

    with pytest.raises(InputNotLoadedError):
        run(task_of(ran.append), runtime(input_file=str(tmp_path / "missing")))

    assert ran == []


def test_an_http_task_cannot_be_run_once() -> None:
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="'job' is an HTTP task"):
        run(task_of(lambda request: None, decorate=http(path="/x")), runtime())


def test_a_job_has_no_deadline_unless_it_states_one() -> None:
    clock = ManualClock()
    taken: list[Any] = []
    clock.call_later = lambda delay, callback: taken.append(delay)  # type: ignore[assignment,method-assign]

    run(task_of(lambda data: None), Runtime(Settings(), clock))

    assert taken == []


# --- the input


def test_without_a_file_the_input_is_empty() -> None:
    assert read_input(Settings()) == b""


def test_a_file_alone_is_a_local_path(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x00hello")

    assert read_input(Settings(input_file=str(tmp_path / "input"))) == b"\x00hello"


@pytest.mark.parametrize("name", ["missing", "folder", "x" * 5000])
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(InputNotLoadedError) as caught:
        read_input(Settings(input_file=str(tmp_path / name)))

    assert "Cannot read" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_bucket_without_a_file_is_an_error_that_names_the_missing_option() -> None:
    with pytest.raises(InputNotLoadedError, match="--input-file"):
        read_input(Settings(input_bucket="b"))


def test_the_task_gets_the_file(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x00hello")
    seen: list[bytes] = []

    for decorate in (message_handler(message_type=None), raw_event):
        task = task_of(seen.append, decorate=decorate)
        run(task, runtime(input_file=str(tmp_path / "input")))

    assert seen == [b"\x00hello"] * 2


# --- the envelope


HANDLER = task_of(lambda data: None)
EVENT = {"specversion": "1.0", "id": "7", "source": "s", "type": "t", "data": {"a": 1}}


@pytest.mark.parametrize("content", [b"", b"\x00", b"text", b'{"a": 1}', b"[]"])
def test_a_file_is_the_data_of_a_message(content: bytes) -> None:
    envelope = delivery_of(HANDLER, content, {})

    assert envelope.message is not None
    assert envelope.message.data == content


def test_a_run_has_the_name_of_the_cloud_run_task() -> None:
    environ = {
        "CLOUD_RUN_EXECUTION": "job-abc",
        "CLOUD_RUN_TASK_INDEX": "2",
        "CLOUD_RUN_TASK_ATTEMPT": "1",
    }

    envelope = delivery_of(HANDLER, b"", environ)

    assert envelope.attributes is not None
    assert envelope.attributes.event_id == "job-abc/2/1"
    assert envelope.attributes.event_source == "/jobs/job-abc"


def test_a_run_on_a_laptop_has_a_name_too() -> None:
    envelope = delivery_of(HANDLER, b"", {})

    assert envelope.attributes is not None
    assert envelope.attributes.event_id == "local/0/0"


def test_a_raw_task_gets_the_file_as_it_is() -> None:
    task = task_of(lambda body: None, decorate=raw_event)
    content = json.dumps(EVENT).encode()

    envelope = delivery_of(task, content, {})

    assert (envelope.body, envelope.attributes) == (content, None)


@pytest.mark.parametrize("space", ["", "  \n\t"])
def test_a_file_that_is_an_event_is_one(space: str) -> None:
    task = task_of(lambda event: None, decorate=cloud_event)

    envelope = delivery_of(task, f"{space}{json.dumps(EVENT)}".encode(), {})

    assert envelope.cloud_event()["id"] == "7"
    assert envelope.cloud_event().data == {"a": 1}


@pytest.mark.parametrize(
    "content", [b'{"specversion": "1.0"}', b'{"note": "\\"specversion\\""}', b'{"specversion"']
)
def test_data_that_only_looks_like_an_event_is_data(content: bytes) -> None:
    envelope = delivery_of(HANDLER, content, {})

    assert envelope.message is not None
    assert envelope.message.data == content


def test_an_event_task_gets_the_file_as_data() -> None:
    task = task_of(lambda event: None, decorate=cloud_event)

    assert delivery_of(task, b'{"a": 1}', {}).cloud_event().data == {"a": 1}
    assert delivery_of(task, b"\x00", {}).cloud_event().data == b"\x00"


def test_a_message_in_an_event_in_a_file_is_the_message(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(data: bytes) -> None:
        seen.extend([data, MESSAGE_CONTEXT.get().pubsub_message.message_id])

    message = {"data": base64.b64encode(b"hi").decode(), "messageId": "7"}
    event = {**EVENT, "type": PUBSUB, "data": {"message": message}}
    (tmp_path / "input").write_text(json.dumps(event))

    code = run(task_of(look), runtime(input_file=str(tmp_path / "input")))

    assert code == 0
    assert seen == [b"hi", "7"]


def test_an_event_of_another_type_in_a_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "input").write_text(json.dumps(EVENT))
    decorate = cloud_event_handler(
        event_data_parser=CloudEventType(event_type="other", event_data_model=dict)
    )

    code = run(
        task_of(lambda data: None, decorate=decorate),
        runtime(input_file=str(tmp_path / "input")),
    )

    assert code == 1
