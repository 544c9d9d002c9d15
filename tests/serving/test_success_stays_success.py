"""Once the function has returned, nothing about reporting turns the answer into a failure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import field_serializer

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.testing import Client

from .harness import lines, make_app, messages, on_a_loop, push

MakeClient = Callable[..., Client]


class Unserialisable:
    def __repr__(self) -> str:
        raise ValueError("no words for it")

    __str__ = __repr__


class OddInfo(ucam_faas.MessageHandlerExecutionInfo):
    thing: Any = None


class BrokenInfo(ucam_faas.MessageHandlerExecutionInfo):
    thing: int = 1

    @field_serializer("thing")
    def _fail(self, value: int) -> int:
        raise RuntimeError("secret")


class ForbiddingInfo(ucam_faas.MessageHandlerExecutionInfo, extra="forbid"):
    pass


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("secret")


def odd(*_: Any) -> Any:
    raise asyncio.CancelledError


circle: list[Any] = []
circle.append(circle)
VALUES: dict[str, Any] = {
    "object": object(),
    "no words": Unserialisable(),
    "set": {1, 2},
    "bytes": b"\xff",
    "circle": circle,
    "class": ValueError,
    "exception": ValueError("secret"),
    "NaN": float("nan"),
    "surrogate": "\ud800",
    "huge": 10**5000,
    "odd keys": {1: 2, None: 3},
    "generator": (n for n in range(3)),
    "info with a set": OddInfo(thing={1}),
    "info with an object": OddInfo(thing=object()),
    "info without words": OddInfo(thing=Unserialisable()),
    "info with a circle": OddInfo(thing=circle),
    "info that cannot be dumped": BrokenInfo(),
    "info with log keys": OddInfo(event="x", level="y", message="z", severity=1, time=2),  # type: ignore[call-arg]
    "info that forbids": ForbiddingInfo(),
}


def served(value: Any, how: str, **options: Any) -> Any:
    decorate = ucam_faas.message_handler(message_type=None, **options)

    def task(data: bytes) -> Any:
        return value

    async def async_task(data: bytes) -> Any:
        return value

    async_task.__name__ = "task"
    return decorate(task if how == "sync" else async_task)


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
@pytest.mark.parametrize("payloads", [False, True])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_whatever_a_handler_returns_is_a_success(
    value: Any, payloads: bool, how: str, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(served(value, how), settings=Settings(log_payloads=payloads))

    response = client.push("task")

    assert (response.status, response.text) == (200, "OK")


@both
@pytest.mark.parametrize(
    "value",
    [
        # A generator is still to run: what it does wrong is a failure of the task.
        pytest.param(value, id=name)
        for name, value in VALUES.items()
        if name != "generator"
    ],
)
def test_whatever_a_raw_task_returns_is_a_success(
    value: Any, how: str, ucam_faas_client: MakeClient
) -> None:
    @ucam_faas.raw_event
    def task(body: bytes) -> Any:
        return value

    @ucam_faas.raw_event
    async def async_task(body: bytes) -> Any:
        return value

    client = ucam_faas_client(task if how == "sync" else async_task)

    response = client.post("/")

    assert response.status == 200


@both
def test_a_report_that_cannot_be_made_is_an_error_of_its_own_beside_the_line(
    how: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(served(BrokenInfo(), how))

    client.push("task")

    assert sorted(messages(caplog.records)) == [
        "ucam_faas_function_completed",
        "ucam_faas_report_failed",
    ]


@both
@pytest.mark.parametrize(
    "option",
    [
        pytest.param(broken, id="raises"),
        pytest.param(odd, id="raises what isn't an Exception"),
        pytest.param(lambda info: object(), id="returns an object"),
        pytest.param(lambda info: ("x", "no status"), id="returns a wrong status"),
        pytest.param(lambda info: ("\ud800", 200), id="returns a surrogate"),
        pytest.param(lambda info: {"x": object()}, id="returns a value that isn't JSON"),
        pytest.param(lambda info: (), id="returns nothing"),
    ],
)
def test_a_broken_make_http_response_leaves_a_success_one(
    how: str, option: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    options = ucam_faas.HandlerExecutionOptions(make_http_response=option)
    client = ucam_faas_client(served(None, how, options=options))

    response = client.push("task")

    assert (response.status, response.text) == (200, "OK")
    assert "ucam_faas_make_http_response_failed" in messages(caplog.records)


@both
def test_make_http_response_makes_the_response(how: str, ucam_faas_client: MakeClient) -> None:
    options = ucam_faas.HandlerExecutionOptions(
        make_http_response=lambda info: ({"status": info.execution.status}, 202)
    )
    client = ucam_faas_client(served(None, how, options=options))

    response = client.push("task")

    assert (response.status, response.json()) == (202, {"status": "COMPLETED"})


@pytest.mark.parametrize(
    ("act", "status"),
    [
        ("ucam_faas.function-aborted", ucam_faas.UCAMFAASException("x")),
        ("ucam_faas.function-aborted", KeyError("x")),
        ("ucam_faas.function-aborted", ucam_faas.DeadLetter("x")),
    ],
)
def test_make_http_response_makes_the_response_of_a_failure_too(
    act: str, status: Exception, ucam_faas_client: MakeClient
) -> None:
    def show(info: Any) -> tuple[str, int]:
        return str(info.execution.reason), 500

    options = ucam_faas.HandlerExecutionOptions(make_http_response=show)

    @ucam_faas.message_handler(message_type=None, options=options)
    def task(data: bytes) -> None:
        raise status

    client = ucam_faas_client(task)

    response = client.push("task")

    assert (response.status, response.text) == (500, act)


@both
def test_a_broken_log_execution_result_leaves_a_success_one(
    how: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    options = ucam_faas.HandlerExecutionOptions(log_execution_result=broken)
    client = ucam_faas_client(served(None, how, options=options))

    response = client.push("task")

    assert (response.status, response.text) == (200, "OK")
    assert messages(caplog.records) == ["ucam_faas_report_failed"]


@both
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(broken, id="raises"),
        pytest.param(lambda execution: None, id="returns None"),
        pytest.param(lambda execution: {"execution": execution}, id="returns a dict"),
        pytest.param(lambda: None, id="takes nothing"),
        pytest.param(lambda execution: BrokenInfo(execution=execution), id="cannot be dumped"),
        pytest.param(lambda execution: ForbiddingInfo(execution=execution), id="forbids"),
    ],
)
def test_a_broken_create_default_info_leaves_a_success_one(
    how: str, make: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(served({"deleted": 3}, how, create_default_info=make))

    response = client.push("task")

    assert (response.status, response.text) == (200, "OK")
    assert lines(caplog.records) == ["ucam_faas_function_completed"]


@both
def test_a_create_default_info_that_returns_none_leaves_a_failure_its_status(
    how: str, ucam_faas_client: MakeClient
) -> None:
    @ucam_faas.message_handler(message_type=None, create_default_info=lambda execution: None)  # type: ignore[arg-type,return-value]
    def task(data: bytes) -> None:
        raise ucam_faas.Retry

    client = ucam_faas_client(task)

    response = client.push("task")

    assert response.status == 429


@both
def test_make_http_response_answers_ok_with_none(how: str, ucam_faas_client: MakeClient) -> None:
    """As in 1.0: `HttpResponseCreator` returns None for a completed execution."""
    options = ucam_faas.HandlerExecutionOptions(make_http_response=lambda info: None)
    aborted = ucam_faas.ExecutionInfo(execution=ucam_faas.AbortedExecutionResult("seen.before"))
    client = ucam_faas_client(served(aborted, how, options=options))

    response = client.push("task")

    assert (response.status, response.text) == (200, "OK")


@pytest.mark.parametrize(
    "options",
    [
        {"create_default_info": lambda execution: sys.exit(3)},
        {"options": ucam_faas.HandlerExecutionOptions(log_execution_result=sys.exit)},
        {"options": ucam_faas.HandlerExecutionOptions(make_http_response=sys.exit)},
    ],
    ids=["info", "log", "response"],
)
@on_a_loop
async def test_sys_exit_while_a_success_is_reported_leaves_it_a_success(options: Any) -> None:
    @ucam_faas.message_handler(message_type=None, **options)
    def task(data: bytes) -> None:
        pass

    response = await push(make_app(task), "task")

    assert response.status == 200
