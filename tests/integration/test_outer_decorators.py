"""Decorators above ours: what they do under functions-framework, they do under `ucam-faas`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ucam_faas.testing import make_push

from .processes import Answer, Server, serving
from .test_functions_framework import start

pytestmark = pytest.mark.slow

SOURCE = """
import functools, json, os
import flask
import pydantic
import ucam_faas
from cloudevents.http import CloudEvent


def note(**fields):
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(json.dumps(fields) + "\\n")


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        note(effect="before", task=function.__name__)
        try:
            return function(*args, **kwargs)
        finally:
            note(effect="after", task=function.__name__)
    return wrapper


def unnamed(function):
    return lambda argument: (note(effect="before", task="unnamed_one"), function(argument))[1]


def with_token(function):
    @functools.wraps(function)
    def wrapper(request):
        if request.headers.get("x-token") != "right":
            flask.abort(401)
        return function(request)
    return wrapper


class Order(pydantic.BaseModel):
    number: int


@traced
@ucam_faas.raw_event
def raw_one(body):
    note(effect="inside", got=body.decode(), path=flask.request.path)
    return body.decode().upper(), 202


@with_token
@ucam_faas.raw_event
def guarded(body):
    note(effect="inside")
    return b"in"


@traced
@ucam_faas.cloud_event
def event_one(event: CloudEvent):
    note(effect="inside", got=event["id"])


@traced
@ucam_faas.message_handler(message_type=Order)
def message_one(order):
    note(effect="inside", got=order.number)
    if order.number == 0:
        raise ValueError


@unnamed
@ucam_faas.message_handler(message_type=Order)
def unnamed_one(order):
    note(effect="inside", got=order.number)


@traced
@ucam_faas.message_handler(message_type=Order)
async def async_one(order):
    note(effect="inside", got=order.number)


@ucam_faas.raw_event
def aborting(body):
    flask.abort(418)


@ucam_faas.cloud_event
def aborting_event(event):
    flask.abort(404)


@ucam_faas.message_handler(message_type=Order)
def aborting_message(order):
    flask.abort(404)


@ucam_faas.raw_event
def echo_request(body):
    request = flask.request
    return {
        "path": request.path,
        "query": request.args.to_dict(),
        "header": request.headers["x-a"],
        "form": request.form.to_dict(),
        "method": request.method,
    }
"""

Serve = Callable[[str], Server]


@pytest.fixture(params=["ucam-faas", "functions-framework"], scope="module")
def serve(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """Serve one target, by one of the two commands."""
    with ExitStack() as stack:

        def serve(target: str) -> Server:
            folder = tmp_path_factory.mktemp(target)
            (folder / "main.py").write_text(SOURCE)
            source = str(folder / "main.py")
            if request.param == "ucam-faas":
                return stack.enter_context(
                    serving("--target", target, "--source", source, folder=folder)
                )
            server = start(folder, target, source=source)
            stack.callback(server.kill)
            return server

        yield serve


def push(server: Server, number: int) -> Answer:
    made = make_push({"number": number})
    return server.post("/", made.body, headers=made.headers)


def test_a_decorator_above_a_raw_task_runs_around_it(serve: Serve) -> None:
    server = serve("raw_one")

    answer = server.post("/some/path", b"hello", headers={"content-type": "text/plain"})

    assert (answer.status, answer.body) == (202, b"HELLO")
    assert [line["effect"] for line in server.effects()] == ["before", "inside", "after"]
    assert server.effects("inside") == [{"effect": "inside", "got": "hello", "path": "/some/path"}]


def test_a_decorator_above_a_raw_task_gets_the_request_and_may_refuse_it(serve: Serve) -> None:
    server = serve("guarded")

    refused = server.post("/", b"hello")
    let_in = server.post("/", b"hello", headers={"x-token": "right"})

    assert (refused.status, let_in.status, let_in.body) == (401, 200, b"in")
    assert len(server.effects("inside")) == 1


def test_a_decorator_above_a_cloud_event_task_runs_around_it(serve: Serve) -> None:
    server = serve("event_one")
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "//s", "ce-type": "t"}

    answer = server.post("/", b"{}", headers={**headers, "content-type": "application/json"})

    assert (answer.status, answer.body) == (200, b"OK")
    assert [line["effect"] for line in server.effects()] == ["before", "inside", "after"]


@pytest.mark.parametrize("target", ["message_one", "async_one"])
def test_a_decorator_above_a_message_handler_runs_around_it(target: str, serve: Serve) -> None:
    server = serve(target)

    answer = push(server, 7)

    assert (answer.status, answer.body) == (200, b"OK")
    assert [line["effect"] for line in server.effects("before")] == ["before"]
    assert server.effects("inside") == [{"effect": "inside", "got": 7}]


def test_what_a_decorated_message_handler_raises_is_a_failure(serve: Serve) -> None:
    server = serve("message_one")

    answer = push(server, 0)

    assert answer.status == 500
    assert [line["effect"] for line in server.effects()] == ["before", "inside", "after"]
    assert len(server.logged("ucam_faas_function_aborted")) == 1


def test_a_decorator_that_leaves_no_trace_of_the_function_runs_around_it(serve: Serve) -> None:
    server = serve("unnamed_one")

    answer = push(server, 7)

    assert (answer.status, answer.body) == (200, b"OK")
    assert [line["effect"] for line in server.effects()] == ["before", "inside"]


@pytest.mark.parametrize(
    ("target", "status"), [("aborting", 418), ("aborting_event", 404), ("aborting_message", 500)]
)
def test_flask_abort_answers_as_under_1_0(target: str, status: int, serve: Serve) -> None:
    """A handler's answer is not its own affair: there, it is an exception like any other."""
    server = serve(target)

    answer = push(server, 7)

    assert answer.status == status


def test_a_raw_task_has_flasks_request(serve: Serve) -> None:
    server = serve("echo_request")
    headers = {"x-a": "b", "content-type": "application/x-www-form-urlencoded"}

    answer = server.post("/a/path?q=1", b"name=Ada", headers=headers)

    assert json.loads(answer.body) == {
        "path": "/a/path",
        "query": {"q": "1"},
        "header": "b",
        "form": {"name": "Ada"},
        "method": "POST",
    }
