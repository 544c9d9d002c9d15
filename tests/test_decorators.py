"""A decorated function stays a function; what can never work is refused when it is decorated."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    CloudEventType,
    ExecutionAbortedException,
    ExecutionStatus,
    HandlerExecutionOptions,
    TaskDefinitionError,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.tasks.registry import task_of
from ucam_faas.tasks.task import Kind
from ucam_faas.testing import make_cloud_event, make_message, make_message_event

NAMES = [
    "raw_event",
    "cloud_event",
    "message_handler",
    "cloud_event_handler",
    "CloudEventType",
    "ExecutionInfo",
    "CloudEventHandlerExecutionInfo",
    "MessageHandlerExecutionInfo",
    "ExecutionStatus",
    "ExecutionResult",
    "CompletedExecutionResult",
    "AbortedExecutionResult",
    "AbortedExecutionReason",
    "ExecutionAbortedException",
    "UCAMFAASException",
    "UCAMFAASCouldNotProcess",
    "UCAMFAASCouldNotLoadTarget",
    "PubsubMessage",
    "MessagePublishedData",
    "PUBSUB_MESSAGE_TYPE",
    "PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE",
    "MESSAGE_CONTEXT",
    "MessageHandlerContext",
    "CLOUD_EVENT_CONTEXT",
    "CloudEventHandlerContext",
    "CloudEventAttributes",
    "CloudEventHandlerAttributes",
    "MessageHandlerAttributes",
    "MessageParserFn",
    "HandlerExecutionOptions",
    "HttpResponseCreator",
    "DEFAULT_HTTP_RESPONSE_CREATOR",
    "CreateExecutionResultHttpResponseFn",
    "ExecutionResultLoggerFn",
    "JsonRepresentation",
    "StructlogJsonExecutionResultLogger",
    "DEFAULT_EXECUTION_RESULT_LOGGER",
]


class User(BaseModel):
    name: str


# --- names


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_version_1_is_importable(name: str) -> None:
    assert getattr(ucam_faas, name) is not None
    assert name in ucam_faas.__all__
    assert name in dir(ucam_faas)


def test_star_import_gives_every_public_name() -> None:
    namespace: dict[str, Any] = {}

    exec("from ucam_faas import *", namespace)

    assert set(NAMES) <= set(namespace)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"ucam_faas.*no_such_name"):
        _ = ucam_faas.no_such_name


def test_public_names_are_sorted() -> None:
    assert list(ucam_faas.__all__) == sorted(ucam_faas.__all__)


# --- a task is a function


EVENT = make_cloud_event({"name": "Ada"}, type="t")
BY_EVENT = {"event_data_parser": CloudEventType(event_type="t", event_data_model=User)}
DECORATORS: dict[str, Callable[..., Any]] = {
    "raw_event": raw_event,
    "raw_event()": raw_event(),
    "cloud_event": cloud_event,
    "cloud_event()": cloud_event(),
    "cloud_event_handler": cloud_event_handler(**BY_EVENT),
    "message_handler": message_handler,
    "message_handler(message_type=…)": message_handler(message_type=json.loads),
    "http": http(path="/users"),
}
all_decorators = pytest.mark.parametrize("decorate", DECORATORS.values(), ids=DECORATORS)


@all_decorators
def test_a_direct_call_just_runs_the_function(decorate: Any) -> None:
    @decorate
    def double(payload: Any) -> Any:
        return payload * 2

    assert double(21) == 42


@all_decorators
def test_a_direct_call_may_name_its_argument(decorate: Any) -> None:
    @decorate
    def double(payload: Any) -> Any:
        return payload * 2

    assert double(payload=21) == 42


@all_decorators
def test_a_direct_call_raises_what_the_function_raises(decorate: Any) -> None:
    @decorate
    def fail(payload: Any) -> None:
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        fail(None)


@all_decorators
def test_a_direct_call_of_an_async_task_is_awaited(decorate: Any) -> None:
    @decorate
    async def double(payload: Any) -> Any:
        return payload * 2

    async def call() -> int:
        return await double(21)  # type: ignore[no-any-return]

    assert asyncio.run(call()) == 42


@all_decorators
def test_a_task_keeps_name_doc_module_and_signature(decorate: Any) -> None:
    def original(payload: Any) -> str:
        """Say something."""
        return ""

    signature = inspect.signature(original)

    decorated = decorate(original)

    assert decorated.__name__ == "original"
    assert decorated.__doc__ == "Say something."
    assert decorated.__module__ == __name__
    assert inspect.signature(decorated) == signature
    assert decorated.__ucam_wrapped__ is original


@all_decorators
@pytest.mark.parametrize("is_async", [False, True])
def test_a_task_may_take_no_argument(decorate: Any, is_async: bool) -> None:
    def answer() -> int:
        return 42

    async def answer_later() -> int:
        return 42

    task = decorate(answer_later if is_async else answer)
    value = task()

    assert task.task.is_async is is_async
    assert (asyncio.run(value) if is_async else value) == 42


@all_decorators
def test_a_task_may_have_more_arguments_with_defaults(decorate: Any) -> None:
    @decorate
    def scale(payload: Any, factor: int = 2) -> Any:
        return payload * factor

    assert (scale(3), scale(3, 3), scale(3, factor=4)) == (6, 9, 12)


def test_a_cloud_event_task_takes_events_directly() -> None:
    @cloud_event
    def type_of(event: CloudEvent) -> str:
        return str(event["type"])

    assert type_of(EVENT) == "t"


def test_a_handler_that_is_given_an_event_runs_the_pipeline() -> None:
    @message_handler(message_type=User)
    def greet(user: User) -> str:
        return f"Hello {user.name}"

    info = greet(make_message_event(User(name="Ada")))

    assert info.result == "Hello Ada"


def test_a_handler_that_is_given_an_event_that_fails_raises() -> None:
    @message_handler(message_type=User)
    def greet(user: User) -> None: ...

    with pytest.raises(ExecutionAbortedException) as caught:
        greet(make_message_event(b"no user"))

    assert caught.value.execution_info.execution.reason == "ucam_faas.user-data-invalid"


def test_a_task_has_a_task_with_its_policy() -> None:
    @raw_event(timeout=timedelta(seconds=3), concurrency=2, dead_letter_topic="dead")
    def run(body: bytes) -> None:
        """Do it.

        And more.
        """

    task = task_of(run)

    assert task is not None
    assert (task.name, task.module, task.kind) == ("run", __name__, Kind.RAW)
    assert task.policy.timeout == timedelta(seconds=3)
    assert (task.policy.concurrency, task.policy.dead_letter_topic) == (2, "dead")
    assert task.summary == "Do it."
    assert not task.is_async


def test_a_handler_has_its_options() -> None:
    options = HandlerExecutionOptions(log_execution_result=lambda info: None)

    @message_handler(message_type=None, options=options)
    def run(data: bytes) -> None: ...

    assert run.task.options is options


def test_methods_of_an_http_task_are_in_capitals() -> None:
    @http(path="/users/<id>", methods=["get", "Post"])
    def users(request: Any, id: str) -> str:
        return ""

    assert users.task.methods == ("GET", "POST")
    assert users.task.path == "/users/<id>"


def test_tasks_made_in_functions_are_not_registered() -> None:
    from ucam_faas.tasks import registry

    before = dict(registry._TASKS)

    @raw_event
    def local(body: bytes) -> None: ...

    assert before == registry._TASKS


def test_two_tasks_are_never_equal() -> None:
    def run(body: bytes) -> None: ...

    assert raw_event(run).task != raw_event(run).task


# --- .execute and .execute_for_result


@message_handler(message_type=json.loads)
def divide(numbers: list[int]) -> float:
    return numbers[0] / numbers[1]


def test_execute_returns_the_info_of_what_completed() -> None:
    info = divide.execute(make_message_event("[6, 3]"))

    assert info.execution.status is ExecutionStatus.COMPLETED
    assert info.result == 2


def test_execute_raises_what_was_aborted_with_its_info_and_its_cause() -> None:
    with pytest.raises(ExecutionAbortedException, match="divide") as caught:
        divide.execute(make_message_event("[6, 0]"))

    assert caught.value.execution_info.execution.status is ExecutionStatus.ABORTED
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("data", ["[6, 3]", "[6, 0]", "junk"])
def test_execute_for_result_never_raises_and_says_how_long(data: str) -> None:
    info = divide.execute_for_result(make_message_event(data))

    assert info.execution.duration_seconds >= 0


def test_execute_for_result_reports_an_event_of_another_type() -> None:
    info = divide.execute_for_result(make_cloud_event({}, type="other"))

    assert info.execution.reason == "ucam_faas.cloud-event-type-incorrect"


def test_execute_of_an_async_task_works_outside_and_inside_a_loop() -> None:
    @message_handler(message_type=None)
    async def size(data: bytes) -> int:
        await asyncio.sleep(0)
        return len(data)

    async def inside() -> Any:
        return size.execute(make_message_event(b"four"))

    assert size.execute(make_message_event(b"four")).result == 4
    assert asyncio.run(inside()).result == 4


def test_a_message_is_no_event_to_execute() -> None:
    with pytest.raises((TypeError, AttributeError)):
        divide.execute(make_message("[1, 1]"))  # type: ignore[arg-type]


# --- what is refused


def refused(decorate: Any, function: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        decorate(function)
    return str(caught.value)


def len_of(body: bytes) -> int:
    return len(body)


def two_arguments(first: Any, two: Any) -> None: ...


def keyword_only(payload: Any, *, option: int) -> None: ...


def only_keywords(*, payload: Any) -> None: ...


def generator(payload: Any) -> Any:
    yield payload


async def async_generator(payload: Any) -> Any:
    yield payload


class Callable_:
    def __call__(self, payload: Any) -> None: ...


def healthy(payload: Any) -> None: ...


def status(payload: Any) -> None: ...


@pytest.mark.parametrize("decorate", [d for n, d in DECORATORS.items() if n != "http"])
@pytest.mark.parametrize("function", [two_arguments, keyword_only, only_keywords])
def test_a_function_that_cannot_take_the_payload_is_refused(decorate: Any, function: Any) -> None:
    message = refused(decorate, function)

    assert function.__name__ in message
    assert "one argument" in message


@all_decorators
@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_is_refused(decorate: Any, function: Any) -> None:
    message = refused(decorate, function)

    assert repr(function.__name__) in message
    assert "yields" in message


@all_decorators
@pytest.mark.parametrize("function", [healthy, status])
def test_a_name_of_a_health_check_is_refused(decorate: Any, function: Any) -> None:
    assert f"/{function.__name__}" in refused(decorate, function)


@pytest.mark.parametrize("decorate", [d for n, d in DECORATORS.items() if n != "raw_event()"])
@pytest.mark.parametrize("thing", [5, "name", User, len], ids=repr)
def test_what_is_no_function_is_refused(decorate: Any, thing: Any) -> None:
    assert "expected a function" in refused(decorate, thing)


@all_decorators
def test_a_task_cannot_be_decorated_again(decorate: Any) -> None:
    @raw_event
    def once(body: bytes) -> None: ...

    assert "'once' is a task already" in refused(decorate, once)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: message_handler(message_type=5), "message_type=5"),
        (lambda: cloud_event_handler(event_data_parser=None), "event_data_parser=None"),
        (lambda: cloud_event_handler(event_data_parser="User"), "event_data_parser='User'"),
        (lambda: message_handler(message_type=None, options="x"), "options='x'"),
        (
            lambda: message_handler(message_type=None, create_default_info="x"),
            "create_default_info='x'",
        ),
        (
            lambda: cloud_event_handler(**BY_EVENT, create_default_info=5),
            "create_default_info=5",
        ),
        (lambda: http(path="users"), "path='users'"),
        (lambda: http(path=""), "path=''"),
        (lambda: http(path="/healthy"), "path='/healthy'"),
        (lambda: http(path="/status/"), "path='/status/'"),
        (lambda: http(path="/users", methods="GET"), "methods='GET'"),
        (lambda: http(path="/users", methods=[]), "methods=[]"),
        (lambda: http(path="/users", methods=5), "methods=5"),
        (lambda: http(path="/users", methods=[5]), "methods=[5]"),
        (lambda: http(path="/users", methods=["GET", "FETCH"]), "HTTP has no method 'FETCH'"),
        (lambda: raw_event(timeout=5), "timeout=5"),
        (lambda: cloud_event(concurrency=0), "concurrency=0"),
        (lambda: message_handler(message_type=None, dead_letter_topic="a/b"), "'a/b'"),
        (lambda: cloud_event_handler(**BY_EVENT, timeout=timedelta(0)), "timeout="),
    ],
)
def test_an_option_that_can_never_work_is_refused_with_what_was_found(
    make: Callable[[], Any], part: str
) -> None:
    def charge(payload: Any) -> None: ...

    message = refused(make(), charge)

    assert message.startswith("task 'charge': ")
    assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("option", ["log_execution_result", "make_http_response"])
def test_a_replacement_that_is_no_function_is_refused(option: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"^{option}=5: expected a function"):
        HandlerExecutionOptions(**{option: 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cloud_event_handler", "http"])
def test_a_decorator_that_needs_options_says_so_when_used_without(name: str) -> None:
    def run(payload: Any) -> None: ...

    for arguments in ((run,), ()):
        with pytest.raises(TaskDefinitionError, match=rf"write @ucam_faas\.{name}\(\w+="):
            getattr(ucam_faas, name)(*arguments)


def test_an_unknown_option_is_refused_in_the_words_of_the_decorator() -> None:
    with pytest.raises((TaskDefinitionError, TypeError), match="retries") as caught:
        raw_event(retries=3)(len_of)

    assert "Policy" not in str(caught.value), "the user wrote raw_event, and knows of no Policy"


@raw_event
def picklable(body: bytes) -> int:
    return len(body)


def test_a_task_of_a_module_can_be_pickled_for_a_process_pool() -> None:
    import sys

    assert sys.modules[__name__].picklable is picklable
    assert pickle.loads(pickle.dumps(picklable)) is picklable


def test_a_task_is_shown_in_one_line() -> None:
    @message_handler(message_type=None, topic="orders")
    def send(data: bytes) -> None: ...

    assert repr(send.task) == f"<Task 'send' of {__name__}: message topic='orders'>"
    assert send.task.route == "/send"
