"""The outcome of everything that a function can do, for sync and async tasks."""

from __future__ import annotations

import asyncio
import bz2
import functools
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from pydantic import BaseModel

from tests.support.log import Log
from ucam_faas import (
    CLOUD_EVENT_CONTEXT,
    MESSAGE_CONTEXT,
    AbortedExecutionReason,
    AbortedExecutionResult,
    CloudEventHandlerExecutionInfo,
    CloudEventType,
    DeadLetter,
    ExecutionAbortedException,
    ExecutionInfo,
    ExecutionStatus,
    Ignore,
    MessageHandlerExecutionInfo,
    Retry,
    TaskDefinitionError,
    UCAMFAASCouldNotProcess,
    UCAMFAASException,
    cloud_event,
    cloud_event_handler,
    message_handler,
    outcomes,
    raw_event,
)
from ucam_faas.config import Settings
from ucam_faas.events.envelopes import decode
from ucam_faas.execution import pipeline
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.outcomes import (
    Crashed,
    Done,
    Failed,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    ShuttingDown,
    TimedOut,
    WrongEventType,
)
from ucam_faas.tasks.registry import task_of
from ucam_faas.testing import (
    ManualClock,
    conclude,
    make_cloud_event,
    make_message,
    make_message_event,
    make_push,
    run,
)

from .stopping import stop

Act = Callable[[Any], Any]
BROKEN_TYPE = "ucam_faas.cloud-event-type-incorrect"
BROKEN_EVENT = "ucam_faas.service-data-invalid"
BROKEN_PAYLOAD = "ucam_faas.user-data-invalid"


class User(BaseModel):
    name: str


def handler(act: Act, how: str = "sync", **options: Any) -> Any:
    """Make a message handler that acts, sync or async."""

    def task(payload: Any) -> Any:
        return act(payload)

    async def async_task(payload: Any) -> Any:
        await asyncio.sleep(0)
        return act(payload)

    options.setdefault("message_type", None)
    return message_handler(**options)(task if how == "sync" else async_task)


def throw(error: BaseException) -> Act:
    def act(payload: Any) -> Any:
        raise error

    return act


def give(value: Any) -> Act:
    return lambda payload: value


both = pytest.mark.parametrize("how", ["sync", "async"])


def status_of(conclusion: Conclusion) -> str:
    return str(conclusion.info.execution.status)


def reason_of(info: ExecutionInfo) -> str | None:
    return getattr(info.execution, "reason", None)


# --- what the function returns


@both
def test_none_is_done(how: str) -> None:
    conclusion = conclude(handler(give(None), how))

    assert isinstance(conclusion.outcome, Done)
    assert status_of(conclusion) == "COMPLETED"
    assert "result" not in conclusion.info.model_dump()


@both
@pytest.mark.parametrize("value", ["text", 0, False, 1.5, [], [1, {"a": None}], {"a": 1}], ids=repr)
def test_any_json_is_kept_as_the_result(how: str, value: Any) -> None:
    conclusion = conclude(handler(give(value), how))

    assert isinstance(conclusion.outcome, Done)
    assert conclusion.info.model_dump(mode="json")["result"] == value
    assert conclusion.value == value


@both
def test_an_info_is_the_report(how: str) -> None:
    class CleanUpInfo(MessageHandlerExecutionInfo):
        deleted: int

    conclusion = conclude(handler(lambda data: CleanUpInfo(deleted=3), how), b"hi")

    assert isinstance(conclusion.outcome, Done)
    assert isinstance(conclusion.info, CleanUpInfo)
    assert conclusion.info.deleted == 3
    assert conclusion.info.pubsub_message is not None
    assert conclusion.info.pubsub_message.data == b"hi"
    assert conclusion.info.message_handler.input_message_accepted
    assert conclusion.info.cloud_event_handler.input_event_accepted
    assert conclusion.info.execution_id
    assert conclusion.info.execution.duration_seconds is not None


@both
def test_a_completed_info_without_a_context_is_the_report(how: str) -> None:
    conclusion = conclude(handler(lambda data: ExecutionInfo(deleted=3), how))

    assert isinstance(conclusion.outcome, Done)
    assert conclusion.info.model_dump()["deleted"] == 3


@both
def test_an_aborted_info_is_a_failure(how: str) -> None:
    aborted = ExecutionInfo(execution=AbortedExecutionResult(reason="my.reason"), deleted=3)

    conclusion = conclude(handler(give(aborted), how))

    assert isinstance(conclusion.outcome, Failed)
    assert conclusion.outcome.reason == "my.reason"
    assert reason_of(conclusion.info) == "my.reason"
    assert conclusion.info.model_dump()["deleted"] == 3


def test_an_info_that_is_returned_twice_is_not_changed() -> None:
    shared = ExecutionInfo(deleted=3)
    task = handler(give(shared))

    conclude(task)

    assert shared.execution.duration_seconds is None


class Dictionary(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("broken")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@both
@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", User(name="Ada"), CIRCLE, DEEP, {(1, 2): 3}, Dictionary(a=1)],
    ids=["object", "set", "bytes", "model", "circle", "deep", "key", "raises"],
)
def test_a_result_that_is_no_json_is_still_done_and_logged(how: str, value: Any, log: Log) -> None:
    conclusion = conclude(handler(give(value), how))

    assert isinstance(conclusion.outcome, Done)
    assert status_of(conclusion) == "COMPLETED"
    messages = [line["message"] for line in log.lines]
    assert messages == ["ucam_faas_result_is_not_json", "ucam_faas_function_completed"]


def test_an_info_that_cannot_be_serialised_is_still_done(log: Log) -> None:
    conclusion = conclude(handler(lambda data: ExecutionInfo(thing=object())))

    assert isinstance(conclusion.outcome, Done)
    assert [line["message"] for line in log.lines] == [
        "ucam_faas_report_failed",
        "ucam_faas_function_completed",
    ]


RAISED: list[Any] = [
    (Retry(reason="busy"), "retry", "ABORTED"),
    (Retry(timedelta(seconds=5)), "retry", "ABORTED"),
    (Ignore("old"), "ignore", "COMPLETED"),
    (DeadLetter("bad"), "dead_letter", "ABORTED"),
]


@both
@pytest.mark.parametrize("make", [throw, give], ids=["raise", "return"])
@pytest.mark.parametrize(("outcome", "name", "status"), RAISED)
def test_an_outcome_is_raised_or_returned(
    how: str, make: Callable[[Any], Act], outcome: Outcome, name: str, status: str
) -> None:
    conclusion = conclude(handler(make(outcome), how))

    assert conclusion.outcome is outcome
    assert outcomes.name(conclusion.outcome) == name
    assert status_of(conclusion) == status


class NotYet(Retry):
    pass


class TooOld(Ignore):
    def __init__(self) -> None:
        super().__init__("too old")


@both
@pytest.mark.parametrize("make", [throw, give], ids=["raise", "return"])
@pytest.mark.parametrize(
    ("outcome", "status"), [(NotYet(), 429), (TooOld(), 200)], ids=["NotYet", "TooOld"]
)
def test_a_subclass_of_an_outcome_is_one(
    how: str, make: Callable[[Any], Act], outcome: Outcome, status: int
) -> None:
    conclusion = conclude(handler(make(outcome), how))

    assert outcomes.answer(conclusion.outcome).http_status == status


def test_a_bare_outcome_is_no_reason_to_raise() -> None:
    info = handler(give(Outcome())).execute_for_result(make_message_event())

    assert info.execution.status in (ExecutionStatus.COMPLETED, ExecutionStatus.ABORTED)


@both
def test_an_outcome_that_was_not_called_is_not_taken_for_success(how: str) -> None:
    # `return Retry` without brackets: acknowledging would lose the message.
    conclusion = conclude(handler(give(Retry), how))

    assert not outcomes.answer(conclusion.outcome).acknowledges


def test_an_awaitable_that_nothing_awaits_fails_with_a_hint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its work is not done, and the text of an exception is not logged."""

    async def work() -> int:
        raise AssertionError("never begun")

    @message_handler
    async def delegate(data: bytes) -> Any:
        return work()

    @message_handler
    async def start(data: bytes) -> Any:
        return asyncio.get_running_loop().create_future()

    for task, kind in ((delegate, "coroutine"), (start, "Future")):
        caplog.clear()
        conclusion = conclude(task, b"")

        assert isinstance(conclusion.outcome, Crashed)
        assert f"returned a {kind}" in str(conclusion.error)
        assert caplog.records[0].message == "ucam_faas_result_was_not_awaited"
        assert "return await" in caplog.records[0].__dict__["fields"]["hint"]


@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_coroutine_function_behind_a_sync_wrapper_is_run_or_refused() -> None:
    ran: list[bytes] = []

    async def work(data: bytes) -> None:
        ran.append(data)

    @message_handler(message_type=None)
    @functools.wraps(work)
    def wrapper(data: bytes) -> Any:
        return work(data)

    conclusion = conclude(wrapper, b"hi")

    acknowledged = outcomes.answer(conclusion.outcome).acknowledges
    assert acknowledged == (ran == [b"hi"]), "acknowledged, and never run"


def test_a_generator_function_behind_a_wrapper_is_refused() -> None:
    def work(data: bytes) -> Iterator[None]:
        yield

    @functools.wraps(work)
    def wrapper(data: bytes) -> Any:
        return work(data)

    with pytest.raises(TaskDefinitionError, match="it yields"):
        message_handler(message_type=None)(wrapper)


def test_an_outcome_in_a_group_of_its_own_is_the_outcome() -> None:
    # An asyncio.TaskGroup raises what one of its tasks did in a group.
    @message_handler(message_type=None)
    async def task(data: bytes) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            group.create_task(fail())

    async def fail() -> None:
        raise Ignore("old")

    assert isinstance(conclude(task).outcome, Ignore)


# --- what the function raises


@both
@pytest.mark.parametrize("error", [UCAMFAASException("x"), UCAMFAASCouldNotProcess("x")], ids=repr)
def test_an_expected_exception_is_a_failure(how: str, error: Exception) -> None:
    conclusion = conclude(handler(throw(error), how))

    assert isinstance(conclusion.outcome, Failed)
    assert reason_of(conclusion.info) == AbortedExecutionReason.FUNCTION_ABORTED
    assert conclusion.error is error


@both
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        SystemExit(0),
        SystemExit(3),
        RecursionError(),
        StopIteration(),
        asyncio.CancelledError(),
        TimeoutError(),
        ExceptionGroup("group", [ValueError("x")]),
    ],
    ids=repr,
)
def test_any_other_exception_is_a_crash(how: str, error: BaseException) -> None:
    conclusion = conclude(handler(throw(error), how))

    assert isinstance(conclusion.outcome, Crashed)
    assert reason_of(conclusion.info) == AbortedExecutionReason.FUNCTION_ABORTED
    assert status_of(conclusion) == "ABORTED"


@both
def test_a_traceback_begins_where_the_user_wrote_it(how: str) -> None:
    conclusion = conclude(handler(throw(ValueError("x")), how))

    text = conclusion.info.model_dump(mode="json")["execution"]["exception"]
    assert "ValueError: x" in text
    assert "in act" in text
    assert "ucam_faas/execution/" not in text


@both
def test_an_aborted_exception_brings_its_own_info(how: str) -> None:
    own = ExecutionInfo(execution=AbortedExecutionResult(reason="my.reason"), deleted=3)
    error = ExecutionAbortedException("no", execution_info=own)

    conclusion = conclude(handler(throw(error), how))

    assert isinstance(conclusion.outcome, Failed)
    assert reason_of(conclusion.info) == "my.reason"
    assert conclusion.info.model_dump()["deleted"] == 3
    assert conclusion.info.execution.duration_seconds is not None


@both
def test_an_aborted_exception_is_aborted_whatever_its_info_says(how: str) -> None:
    # The info of one who writes only `MyInfo(...)` says COMPLETED: that is its default.
    error = ExecutionAbortedException("no", execution_info=ExecutionInfo(deleted=3))

    conclusion = conclude(handler(throw(error), how))

    assert isinstance(conclusion.outcome, Failed)
    assert status_of(conclusion) == "ABORTED"
    assert conclusion.info.model_dump()["deleted"] == 3


@both
@pytest.mark.parametrize("own", [None, "because", {"deleted": 3}], ids=repr)
def test_an_aborted_exception_without_an_info_is_a_failure_too(how: str, own: Any) -> None:
    error = ExecutionAbortedException("no", execution_info=own)

    conclusion = conclude(handler(throw(error), how))

    assert isinstance(conclusion.outcome, Failed)
    assert status_of(conclusion) == "ABORTED"


def test_execute_raises_for_an_aborted_exception_whatever_its_info_says() -> None:
    task = handler(throw(ExecutionAbortedException(execution_info=ExecutionInfo())))

    with pytest.raises(ExecutionAbortedException):
        task.execute(make_message_event())


def test_control_c_is_for_the_process_not_for_the_task() -> None:
    task = handler(throw(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        run(task)


# --- what is rejected before the function runs


def never(payload: Any) -> Any:
    raise AssertionError("the function was called")


@both
@pytest.mark.parametrize("data", [b"", b"junk", b'{"name": 5}', b"\xff"])
def test_a_payload_that_the_message_type_rejects_is_invalid(how: str, data: bytes) -> None:
    conclusion = conclude(handler(never, how, message_type=User), data)

    assert isinstance(conclusion.outcome, InvalidPayload)
    assert reason_of(conclusion.info) == BROKEN_PAYLOAD


@both
@pytest.mark.parametrize(
    "error", [ValueError("secret"), KeyError("secret"), UCAMFAASException("secret"), SystemExit(1)]
)
def test_whatever_a_parser_raises_is_an_invalid_payload(how: str, error: BaseException) -> None:
    conclusion = conclude(handler(never, how, message_type=throw(error)))

    assert isinstance(conclusion.outcome, InvalidPayload)
    assert "secret" not in str(conclusion.outcome.reason)


@both
@pytest.mark.parametrize("outcome", [Retry(), Ignore("x"), DeadLetter("x")], ids=repr)
def test_a_parser_may_raise_an_outcome(how: str, outcome: Any) -> None:
    conclusion = conclude(handler(never, how, message_type=throw(outcome)))

    assert conclusion.outcome is outcome


@both
def test_an_event_of_another_type_is_the_wrong_one(how: str) -> None:
    conclusion = conclude(handler(never, how), make_cloud_event({}, type="other"))

    assert isinstance(conclusion.outcome, WrongEventType)
    assert reason_of(conclusion.info) == BROKEN_TYPE


@both
@pytest.mark.parametrize("data", [{"message": "secret"}, {}, None, "secret"], ids=repr)
def test_an_event_without_its_message_is_malformed(how: str, data: Any) -> None:
    event = make_cloud_event(data, type="google.cloud.pubsub.topic.v1.messagePublished")

    conclusion = conclude(handler(never, how), event)

    assert isinstance(conclusion.outcome, MalformedEvent)
    assert reason_of(conclusion.info) == BROKEN_EVENT
    assert "secret" not in str(conclusion.outcome.reason)


def test_the_info_says_how_far_a_message_came() -> None:
    rejected = run(handler(never, message_type=User), b"junk").model_dump()
    accepted = run(handler(give(None))).model_dump()

    flags = [
        (
            info["cloud_event_handler"]["input_event_accepted"],
            info["message_handler"]["input_message_accepted"],
        )
        for info in (rejected, accepted)
    ]
    assert flags == [(True, False), (True, True)]


def test_the_info_of_an_event_without_a_message_says_nothing_of_one() -> None:
    info = run(handler(never), make_cloud_event({}, type="other"))

    assert type(info) is CloudEventHandlerExecutionInfo
    assert not info.cloud_event_handler.input_event_accepted


def test_the_info_of_a_rejected_message_holds_the_message() -> None:
    info = run(handler(never, message_type=User), make_message(b"junk", message_id="7"))

    assert info.model_dump()["pubsub_message"]["message_id"] == "7"


# --- other kinds of tasks


def test_a_raw_task_gets_bytes_and_returns_anything() -> None:
    marker = object()

    @raw_event
    def task(body: bytes) -> Any:
        return (body, marker)

    conclusion = conclude(task, b"\x00")

    assert isinstance(conclusion.outcome, Done)
    assert conclusion.value == (b"\x00", marker)
    assert "result" not in conclusion.info.model_dump()


def test_a_cloud_event_task_gets_the_event() -> None:
    event = make_cloud_event({"a": 1}, colour="blue")

    @cloud_event
    def task(received: CloudEvent) -> Any:
        return received

    assert conclude(task, event).value == event


@both
def test_an_event_data_task_gets_the_data(how: str) -> None:
    decorate = cloud_event_handler(
        event_data_parser=CloudEventType(event_type="t", event_data_model=User)
    )

    def task(user: User) -> str:
        return user.name

    async def async_task(user: User) -> str:
        return user.name

    conclusion = conclude(
        decorate(task if how == "sync" else async_task), make_cloud_event({"name": "Ada"}, type="t")
    )

    assert conclusion.info.model_dump(mode="json")["result"] == "Ada"
    assert set(conclusion.info.model_dump()) == {
        "execution",
        "execution_id",
        "cloudevents",
        "cloud_event_handler",
        "result",
    }


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (make_cloud_event({"name": "Ada"}, type="other"), WrongEventType, BROKEN_TYPE),
        (make_cloud_event({"name": 5}, type="t"), MalformedEvent, BROKEN_EVENT),
    ],
    ids=["type", "data"],
)
def test_an_event_data_task_rejects(event: Any, outcome: type[Outcome], reason: str) -> None:
    @cloud_event_handler(event_data_parser=CloudEventType(event_type="t", event_data_model=User))
    def task(user: User) -> None: ...

    conclusion = conclude(task, event)

    assert isinstance(conclusion.outcome, outcome)
    assert reason_of(conclusion.info) == reason


@pytest.mark.parametrize("decorate", [raw_event, cloud_event])
@pytest.mark.parametrize(
    ("error", "outcome"), [(UCAMFAASException("x"), Failed), (ValueError("x"), Crashed)]
)
def test_other_kinds_fail_and_crash_alike(
    decorate: Any, error: Exception, outcome: type[Outcome]
) -> None:
    @decorate
    def task(payload: Any) -> None:
        raise error

    event = b"" if decorate is raw_event else make_cloud_event(None)
    assert isinstance(conclude(task, event).outcome, outcome)


# --- create_default_info


class OwnInfo(MessageHandlerExecutionInfo):
    own: str = "yes"


@both
@pytest.mark.parametrize(
    ("act", "status", "result"),
    [
        (give(None), "COMPLETED", None),
        (give(5), "COMPLETED", 5),
        (throw(ValueError("x")), "ABORTED", None),
        (throw(UCAMFAASException("x")), "ABORTED", None),
        (throw(Ignore("x")), "COMPLETED", None),
    ],
)
def test_the_default_info_is_made_by_the_task(how: str, act: Act, status: str, result: Any) -> None:
    conclusion = conclude(
        handler(act, how, create_default_info=OwnInfo), make_message(message_id="7")
    )

    assert isinstance(conclusion.info, OwnInfo)
    assert status_of(conclusion) == status
    assert conclusion.info.pubsub_message is not None
    assert conclusion.info.pubsub_message.message_id == "7"
    assert conclusion.info.message_handler.input_message_accepted
    assert conclusion.info.model_dump().get("result") == result


def test_the_default_info_is_made_for_rejected_messages_too() -> None:
    info = run(handler(never, message_type=User, create_default_info=OwnInfo), b"junk")

    assert isinstance(info, OwnInfo)
    assert reason_of(info) == BROKEN_PAYLOAD
    assert not info.message_handler.input_message_accepted


def test_create_default_info_is_called_with_the_result_by_name() -> None:
    calls: list[dict[str, Any]] = []

    def create(**fields: Any) -> ExecutionInfo:
        calls.append(fields)
        return ExecutionInfo(**fields)

    run(handler(give(None), create_default_info=create))

    (call,) = calls
    assert list(call) == ["execution"]
    assert call["execution"].status is ExecutionStatus.COMPLETED


def test_an_info_that_the_function_returns_is_not_replaced() -> None:
    info = run(handler(lambda data: ExecutionInfo(mine=1), create_default_info=OwnInfo))

    assert not isinstance(info, OwnInfo)


@both
@pytest.mark.parametrize("act", [give(None), give(5)], ids=["None", "5"])
@pytest.mark.parametrize(
    "create",
    [
        throw(ValueError("x")),
        lambda: None,
        lambda execution: None,
        lambda execution: {"execution": execution},
    ],
    ids=["raises", "takes nothing", "returns None", "returns a dict"],
)
def test_a_default_info_that_cannot_be_made_changes_no_outcome(
    how: str, act: Act, create: Any, log: Log
) -> None:
    conclusion = conclude(handler(act, how, create_default_info=create))

    assert isinstance(conclusion.outcome, Done)
    assert isinstance(conclusion.info, ExecutionInfo)
    assert "ucam_faas_default_info_failed" in [line["message"] for line in log.lines]


# --- contexts


@both
def test_the_function_sees_its_contexts(how: str) -> None:
    seen: list[Any] = []

    def look(data: bytes) -> None:
        message, event = MESSAGE_CONTEXT.get(), CLOUD_EVENT_CONTEXT.get()
        seen.extend(
            [
                message.pubsub_message.message_id,
                message.handler.input_message_accepted,
                message.subscription,
                event.attributes.event_id,
                event.cloud_event["id"],
                event.handler.input_event_accepted,
                event.execution_id == LOG_CONTEXT.get().execution_id,  # type: ignore[union-attr]
            ]
        )

    run(handler(look, how), make_message(b"hi", message_id="7"))

    subscription = "projects/test-project/subscriptions/test-subscription"
    assert seen == ["7", True, subscription, "7", "7", True, True]


def test_the_message_context_holds_the_delivery_attempt() -> None:
    seen: list[Any] = []
    task = handler(lambda data: seen.append(MESSAGE_CONTEXT.get().delivery_attempt))
    push = make_push(b"hi", delivery_attempt=4)
    envelope = decode(push.body, {"content-type": "application/json"})

    execute(Execution(task.task, envelope, RUNTIME))

    assert seen == [4]


@pytest.mark.parametrize("decompress", [gzip.decompress, bz2.decompress])
def test_data_that_does_not_decompress_is_an_invalid_payload(decompress: Any) -> None:
    """gzip and bz2 raise OSErrors, which are retried when they come from the system."""
    conclusion = conclude(handler(never, message_type=decompress), make_message(b"plain"))

    assert isinstance(conclusion.outcome, InvalidPayload)


def test_a_parser_sees_the_message_before_it_is_accepted() -> None:
    seen: list[Any] = []

    def parse(data: bytes) -> bytes:
        seen.append(MESSAGE_CONTEXT.get().handler.input_message_accepted)
        return data

    run(handler(give(None), message_type=parse))

    assert seen == [False]


def test_an_event_task_sees_its_event() -> None:
    seen: list[Any] = []

    @cloud_event
    def task(event: Any) -> None:
        seen.append(CLOUD_EVENT_CONTEXT.get().cloud_event["id"])
        seen.append(MESSAGE_CONTEXT.get(None))

    run(task, make_cloud_event(None, id="7"))

    assert seen == ["7", None]


OWN: ContextVar[str] = ContextVar("OWN", default="untouched")


@both
def test_nothing_of_a_context_is_left_behind(how: str) -> None:
    run(handler(lambda data: OWN.set("touched") and None, how))

    assert OWN.get() == "untouched"
    assert MESSAGE_CONTEXT.get(None) is None
    assert CLOUD_EVENT_CONTEXT.get(None) is None
    assert LOG_CONTEXT.get() is None


@both
def test_the_function_sees_the_callers_context(how: str) -> None:
    seen: list[str] = []
    token = OWN.set("of the caller")

    run(handler(lambda data: seen.append(OWN.get()), how))

    OWN.reset(token)
    assert seen == ["of the caller"]


@both
def test_a_task_that_runs_another_has_its_own_contexts_back(how: str) -> None:
    seen: list[str] = []
    inner = handler(lambda data: seen.append(MESSAGE_CONTEXT.get().pubsub_message.message_id))

    def outer(data: bytes) -> None:
        run(inner, make_message(message_id="inner"))
        seen.append(MESSAGE_CONTEXT.get().pubsub_message.message_id)

    run(handler(outer, how), make_message(message_id="outer"))

    assert seen == ["inner", "outer"]


# --- durations


@both
@pytest.mark.parametrize("error", [None, ValueError("x"), UCAMFAASException("x"), Retry()])
def test_the_duration_is_from_the_beginning_to_the_end(
    how: str, error: BaseException | None
) -> None:
    clock = ManualClock()

    def act(data: bytes) -> None:
        clock.advance(timedelta(seconds=3))
        if error is not None:
            raise error

    conclusion = conclude(handler(act, how), runtime=Runtime(Settings(), clock))

    assert conclusion.info.execution.duration_seconds == 3


# --- stopping

RUNTIME = Runtime(Settings(), ManualClock())


def execution_of(task: Any) -> Execution:
    registered = task_of(task)
    assert registered is not None
    push = make_push(b"hi")
    return Execution(registered, decode(push.body, {"content-type": "application/json"}), RUNTIME)


def finish(execution: Execution) -> Conclusion | None:
    if execution.task.is_async:
        return asyncio.run(pipeline.run_async(execution))
    return pipeline.run(execution)


@both
@pytest.mark.parametrize("outcome", [TimedOut(), ShuttingDown()], ids=repr)
def test_a_running_execution_is_concluded_by_its_stop(how: str, outcome: Outcome, log: Log) -> None:
    stopped: list[Conclusion | None] = []
    execution = execution_of(handler(lambda data: stopped.append(stop(execution, outcome)), how))

    returned = finish(execution)

    assert returned is None
    (conclusion,) = stopped
    assert conclusion is not None
    assert conclusion.outcome is outcome
    assert status_of(conclusion) == "ABORTED"
    assert [line["message"] for line in log.lines] == ["ucam_faas_function_ended_late"]


@both
def test_a_finished_execution_cannot_be_stopped(how: str) -> None:
    execution = execution_of(handler(give(None), how))

    conclusion = finish(execution)

    assert conclusion is not None
    assert stop(execution, TimedOut()) is None


def test_a_stopped_execution_cannot_be_stopped_again() -> None:
    execution = execution_of(handler(give(None)))

    first, second = stop(execution, TimedOut()), stop(execution, ShuttingDown())

    assert first is not None
    assert isinstance(first.outcome, TimedOut)
    assert second is None


def test_an_execution_stopped_before_it_runs_concludes_once() -> None:
    execution = execution_of(handler(give(None)))

    stopped = stop(execution, TimedOut())

    assert stopped is not None
    assert isinstance(stopped.info, MessageHandlerExecutionInfo)
    assert finish(execution) is None


def test_of_stopping_and_finishing_at_once_exactly_one_concludes() -> None:
    def race() -> list[Conclusion]:
        barrier = threading.Barrier(2)
        execution = execution_of(handler(lambda data: barrier.wait(5) and None))
        conclusions: list[Conclusion | None] = []
        thread = threading.Thread(target=lambda: conclusions.append(pipeline.run(execution)))
        thread.start()
        barrier.wait(5)
        conclusions.append(stop(execution, TimedOut()))
        thread.join(5)
        assert len(conclusions) == 2
        return [conclusion for conclusion in conclusions if conclusion is not None]

    counts = [len(race()) for _ in range(50)]

    assert counts == [1] * 50


def test_of_two_that_stop_at_once_exactly_one_concludes() -> None:
    def race() -> int:
        barrier = threading.Barrier(4)
        execution = execution_of(handler(give(None)))
        conclusions: list[Conclusion | None] = []

        def stop_at_once() -> None:
            barrier.wait(5)
            conclusions.append(stop(execution, TimedOut()))

        threads = [threading.Thread(target=stop_at_once) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        return sum(conclusion is not None for conclusion in conclusions)

    assert [race() for _ in range(20)] == [1] * 20


def test_an_async_task_that_is_cancelled_after_it_was_stopped_ends_cancelled() -> None:
    async def main() -> tuple[Conclusion | None, bool]:
        begun = asyncio.Event()

        @message_handler(message_type=None)
        async def wait(data: bytes) -> None:
            begun.set()
            await asyncio.Event().wait()

        execution = execution_of(wait)
        running = asyncio.create_task(pipeline.run_async(execution))
        await begun.wait()
        stopped = stop(execution, TimedOut())
        running.cancel()
        await asyncio.wait([running])
        return stopped, running.cancelled()

    stopped, cancelled = asyncio.run(main())

    assert stopped is not None
    assert cancelled


def test_an_async_task_that_cancels_itself_crashes() -> None:
    @message_handler(message_type=None)
    async def cancel(data: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    conclusion = conclude(cancel)

    assert isinstance(conclusion.outcome, Crashed)


def test_async_tasks_at_once_see_their_own_contexts() -> None:
    seen: list[tuple[str, str]] = []

    @message_handler(message_type=None)
    async def look(data: bytes) -> None:
        before = MESSAGE_CONTEXT.get().pubsub_message.message_id
        await asyncio.sleep(0)
        seen.append((before, MESSAGE_CONTEXT.get().pubsub_message.message_id))

    async def main() -> None:
        executions = []
        for number in range(5):
            body = make_push(make_message(message_id=str(number))).body
            executions.append(Execution(look.task, decode(body, {}), RUNTIME))
        await asyncio.gather(
            *(
                asyncio.create_task(pipeline.run_async(execution), context=execution.context)
                for execution in executions
            )
        )

    asyncio.run(main())

    assert sorted(seen) == [(str(number), str(number)) for number in range(5)]


# --- execute_for_result never raises


def everything_that_can_go_wrong() -> Iterator[Any]:
    yield pytest.param(handler(throw(ValueError("x"))), id="crash")
    yield pytest.param(handler(throw(UCAMFAASException("x"))), id="failure")
    yield pytest.param(handler(throw(asyncio.CancelledError())), id="cancelled")
    yield pytest.param(handler(throw(SystemExit(1))), id="exit")
    yield pytest.param(handler(throw(NotYet())), id="subclass")
    yield pytest.param(handler(throw(DeadLetter(ValueError("x")))), id="reason")  # type: ignore[arg-type]
    yield pytest.param(handler(never, message_type=User), id="payload")
    yield pytest.param(handler(never, message_type=throw(SystemExit(1))), id="parser exits")
    yield pytest.param(handler(give(5), create_default_info=lambda execution: None), id="info")
    yield pytest.param(handler(throw(ValueError("x")), "async"), id="async crash")


@pytest.mark.parametrize("task", list(everything_that_can_go_wrong()))
def test_execute_for_result_never_raises(task: Any) -> None:
    info = task.execute_for_result(make_message_event(b"junk"))

    assert info.execution.duration_seconds is not None


def test_a_result_is_json_in_the_report() -> None:
    info = run(handler(give({"a": (1, 2)})))

    assert json.loads(info.model_dump_json())["result"] == {"a": [1, 2]}


@pytest.mark.slow
@pytest.mark.parametrize("define", ["def", "async def"])
def test_a_copy_of_the_process_that_a_task_forks_concludes_nothing(define: str) -> None:
    program = """
import os
import ucam_faas
from ucam_faas import testing

@ucam_faas.message_handler(message_type=None)
DEFINE task(data: bytes) -> int:
    copy = os.fork()
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) if copy else -1

print(testing.run(task, b"x").result)
"""
    command = [sys.executable, "-c", program.replace("DEFINE", define)]

    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert run.stdout == "1\n"
    assert "a process that the task 'task' forked came back from it" in run.stderr
