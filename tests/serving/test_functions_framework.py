"""The same module under plain functions-framework: the same answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import functions_framework
import pytest

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.states import State
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving import functions_framework as door
from ucam_faas.testing import make_message, make_push
from ucam_faas.testing.tasks import task_of

SOURCE = """
import asyncio, datetime
import pydantic
from cloudevents.http import CloudEvent
import ucam_faas

class User(pydantic.BaseModel):
    name: str

@ucam_faas.message_handler(message_type=User)
def message(user: User) -> dict[str, str]:
    behave(user.name)
    return {"name": user.name}

@ucam_faas.message_handler(message_type=User, idempotent=True)
def once(user: User) -> dict[str, str]:
    behave(user.name)
    return {"name": user.name}

@ucam_faas.message_handler(message_type=User)
async def async_message(user: User) -> None:
    await asyncio.sleep(0)
    behave(user.name)

@ucam_faas.raw_event
def raw(body: bytes):
    return body.decode().upper(), 202, {"x-made": "by raw"}

@ucam_faas.raw_event(name="shout-again")
def named_raw(body: bytes):
    return body.decode().upper() + "!"

def signed(function):
    def sign(request):
        response = function(request)
        response.headers["x-signed"] = "yes"
        return response
    return sign

@signed
@ucam_faas.http(path="/users/<name>", name="user-page")
def signed_page(name: str):
    return name

@ucam_faas.raw_event
async def async_raw(body: bytes) -> bytes:
    return body

@ucam_faas.cloud_event
def event(event: CloudEvent) -> None:
    behave(event["id"])

@ucam_faas.cloud_event_handler(event_data_parser=lambda event: event.get_data()["name"])
def data(name: str) -> None:
    behave(name)

@ucam_faas.http(path="/users/<int:number>", methods=["GET", "POST"])
def page(request, number):
    return {"number": number, "body": request.get_data().decode()}

@ucam_faas.http(path="/users/<name>")
async def async_page(request, name: str):
    return name + request.args.get("q", "")

def behave(name: str) -> None:
    if name == "fail":
        raise ucam_faas.UCAMFAASCouldNotProcess("secret")
    if name == "crash":
        raise ValueError("secret")
    if name == "exit":
        raise SystemExit(3)
    if name == "retry":
        raise ucam_faas.Retry(datetime.timedelta(seconds=7))
    if name == "ignore":
        raise ucam_faas.Ignore("secret")
"""
EVENT = {"specversion": "1.0", "id": "1", "source": "//example.com", "type": "t"}
Make = Callable[[str], Any]


@pytest.fixture(params=["", "http", "cloudevent", "event"])
def make_client(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Serve a target with functions-framework, whatever signature the environment asks for."""
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("FUNCTION_TARGET", "")  # so that what it sets is undone
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", request.param)
    if not request.param:
        monkeypatch.delenv("FUNCTION_SIGNATURE_TYPE")
    before = dict(os.environ)
    loops: list[Any] = []
    modules = set(sys.modules)

    def make(target: str) -> Any:
        monkeypatch.setenv("FUNCTION_TARGET", target)
        app = functions_framework.create_app(target, str(source))
        loops.append(getattr(sys.modules["main"], target).task)
        return app.test_client()

    yield make

    for task in loops:
        door._app(task)[0].close()
    door._app.cache_clear()
    for name in set(sys.modules) - modules:
        if name == "main":
            del sys.modules[name]
    for name in set(os.environ) - set(before):
        del os.environ[name]


def push(client: Any, name: str, path: str = "/") -> Any:
    made = make_push({"name": name})
    return client.post(path, data=made.body, headers=made.headers)


@pytest.mark.parametrize("target", ["message", "async_message"])
def test_a_push_is_answered_as_by_our_own_server(target: str, make_client: Make) -> None:
    client = make_client(target)

    responses = {
        name: push(client, name) for name in ("Ada", "fail", "crash", "exit", "retry", "ignore")
    }

    statuses = {name: response.status_code for name, response in responses.items()}
    assert statuses == {
        "Ada": 200, "fail": 500, "crash": 500, "exit": 500, "retry": 429, "ignore": 200,
    }  # fmt: skip
    assert responses["Ada"].text == "OK"
    assert responses["retry"].headers["Retry-After"] == "7"
    assert not any("secret" in response.text for response in responses.values())


def test_a_task_of_batches_is_refused_with_the_command_that_runs_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @ucam_faas.batch_handler
    def batch(messages: list[ucam_faas.BatchMessage[int]]) -> None: ...

    with flask.Flask("main").test_request_context(method="POST"):
        response = door.respond(task_of(batch), flask.request)

    assert response.status_code == 500
    record = caplog.records[-1]
    assert "ucam-faas worker --target batch" in record.__dict__["fields"]["detail"]


@pytest.mark.parametrize("target", ["message", "async_message"])
def test_an_unacceptable_request_is_refused_as_by_our_own_server(
    target: str, make_client: Make
) -> None:
    client = make_client(target)

    rejected = client.post("/", data=make_push(b"{}").body, content_type="application/json")
    malformed = client.post("/", json={"message": 7})
    nothing = client.post("/", json={})
    text = client.post("/", data=b"hello", content_type="text/plain")
    get = client.get("/")

    answers = [rejected, malformed, nothing, text, get]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 415, 405]
    assert rejected.text == "The payload is invalid"


@pytest.mark.parametrize("path", ["/", "/message", "/any/path", "/projects/p/topics/t"])
def test_an_event_is_taken_on_every_path(path: str, make_client: Make) -> None:
    client = make_client("message")

    response = push(client, "Ada", path)

    assert response.status_code == 200


@pytest.mark.parametrize("target", ["event", "data", "message"])
def test_cloud_events_are_taken(target: str, make_client: Make) -> None:
    client = make_client(target)
    type_ = ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
    content: Any = {"name": "Ada"}
    if target == "message":
        content = json.loads(make_push(content).body)
    event = {**EVENT, "type": type_}
    headers = {f"ce-{name}": value for name, value in event.items()}

    binary = client.post("/", json=content, headers=headers)
    structured = client.post(
        "/",
        data=json.dumps({**event, "data": content}),
        content_type="application/cloudevents+json",
    )

    assert [binary.status_code, structured.status_code] == [200, 200]


def test_a_failed_cloud_event_task_is_500_without_its_words(make_client: Make) -> None:
    client = make_client("event")
    headers = {f"ce-{name}": value for name, value in {**EVENT, "id": "fail"}.items()}

    response = client.post("/", json={}, headers=headers)

    assert response.status_code == 500
    assert response.text == "The function raised UCAMFAASCouldNotProcess."


def test_a_raw_task_gives_the_response(make_client: Make) -> None:
    client = make_client("raw")

    response = client.put("/some/path", data=b"hello")

    assert (response.status_code, response.text) == (202, "HELLO")
    assert response.headers["x-made"] == "by raw"


def test_an_async_raw_task_gives_the_response(make_client: Make) -> None:
    client = make_client("async_raw")

    response = client.post("/", data=b"\xff\x00")

    assert (response.status_code, response.data) == (200, b"\xff\x00")


def test_an_http_task_has_its_route(make_client: Make) -> None:
    client = make_client("page")

    response = client.post("/users/7", data=b"hello")
    elsewhere = client.get("/users/x")
    put = client.put("/users/7")

    assert response.json == {"number": 7, "body": "hello"}
    assert elsewhere.status_code == 404
    assert put.status_code == 405


def test_an_async_http_task_has_its_route(make_client: Make) -> None:
    client = make_client("async_page")

    response = client.get("/users/ü?q=%C3%A4")

    assert (response.status_code, response.text) == (200, "üä")


def test_head_has_no_body(make_client: Make) -> None:
    client = make_client("page")

    response = client.head("/users/7")

    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize("target", ["shout-again", "named_raw"])
def test_a_task_with_a_name_is_found_by_it_and_by_its_function_s(
    target: str, make_client: Make
) -> None:
    client = make_client(target)

    assert client.post("/", data=b"hello").text == "HELLO!"


def test_a_task_that_is_found_by_its_name_has_the_decorators_above_it(make_client: Make) -> None:
    client = make_client("user-page")

    response = client.get("/users/Ada")

    assert (response.text, response.headers["x-signed"]) == ("Ada", "yes")


def test_health_is_left_to_functions_framework_and_does_not_run_the_task(make_client: Make) -> None:
    client = make_client("message")

    response = client.get("/status")

    assert response.status_code in (200, 405)


def test_a_task_that_is_imported_answers_a_function_call_as_a_function(make_client: Make) -> None:
    make_client("message")

    module = sys.modules["main"]

    assert module.message(module.User(name="Ada")) == {"name": "Ada"}


@pytest.mark.parametrize("body", [b"\xff", b"{", b"[" * 10_000, b'{"message": {"data": "!"}}'])
def test_broken_bodies_are_refused_without_their_words(body: bytes, make_client: Make) -> None:
    client = make_client("message")

    response = client.post("/", data=body, content_type="application/json")

    assert response.status_code == 400


# --- jobs

SUBSCRIPTION = "projects/p/subscriptions"
SOURCE_OF_TOPICS = "//pubsub.googleapis.com/projects/p/topics"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store of jobs that the environment names, as for a deployed function."""
    store = f"sqlite:{tmp_path}/jobs.db"
    monkeypatch.setenv("UCAM_FAAS_JOB_STORE", store)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    yield store
    kept = runtime.store_of(Settings.from_environ())
    assert kept is not None
    kept.close()
    runtime.store_of.cache_clear()


def send(name: str, task: str = "message") -> Job[Any]:
    """Send a job by the name of its task, as another process does; its wake is lost."""
    settings = Settings.from_environ()
    publisher = MemoryPublisher()
    publisher.topics[f"projects/p/topics/{task}-inbox"] = []
    here = runtime.Runtime(settings, runtime.SystemClock(), publisher)
    token = runtime.CURRENT.set(here)
    try:
        return ucam_faas.send(task, {"name": name})
    finally:
        runtime.CURRENT.reset(token)


def push_wake(client: Any, job: Job[Any], lane: str = "") -> int:
    """Push a wake to the path of an inbox."""
    subscription = f"{SUBSCRIPTION}/{job.task}-inbox"
    made = make_push(wake_of(job), subscription=subscription)
    path = f"/{job.task}/inbox{lane}"
    return int(client.post(path, data=made.body, headers=made.headers).status_code)


def wake_of(job: Job[Any]) -> Any:
    return make_message(attributes={"ucam_faas_job": job.id})


@pytest.mark.parametrize("lane", ["", "/bulk"])
@pytest.mark.parametrize("target", ["message", "async_message"])
def test_a_wake_on_the_path_of_the_inbox_runs_its_job_once(
    target: str, lane: str, make_client: Make, store: str
) -> None:
    client, job = make_client(target), send("Ada", target)

    statuses = [push_wake(client, job, lane) for _ in range(2)]

    assert statuses == [200, 200]
    assert job.status is State.SUCCESS
    assert [entry.cause for entry in job.history] == ["sent", "claimed", "finished"]


def test_a_job_keeps_its_result_and_its_retry(make_client: Make, store: str) -> None:
    client = make_client("message")
    good, bad = send("Ada"), send("retry")

    statuses = [push_wake(client, job) for job in (good, bad)]

    assert statuses == [200, 200]
    assert good.result() == {"name": "Ada"}
    assert bad.status is State.PENDING


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("inbox", ["message-inbox", "message-inbox-bulk"])
def test_a_trigger_on_the_topic_of_the_inbox_runs_the_job(
    inbox: str, mode: str, make_client: Make, store: str
) -> None:
    client, job = make_client("message"), send("Ada")
    subscription = f"{SUBSCRIPTION}/eventarc-europe-west2-1"
    content = json.loads(make_push(wake_of(job), subscription=subscription).body)
    event = {
        **EVENT,
        "source": f"{SOURCE_OF_TOPICS}/{inbox}",
        "type": ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    }

    if mode == "binary":
        headers = {f"ce-{name}": value for name, value in event.items()}
        response = client.post("/", json=content, headers=headers)
    else:
        response = client.post(
            "/",
            data=json.dumps({**event, "data": content}),
            content_type="application/cloudevents+json",
        )

    assert response.status_code == 200
    assert job.status is State.SUCCESS


def test_a_trigger_on_an_inbox_with_a_prefix_runs_the_job(
    make_client: Make, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = send("Ada")
    monkeypatch.setenv("UCAM_FAAS_NAME_PREFIX", "test-")
    client = make_client("message")
    event = {
        **EVENT,
        "source": f"{SOURCE_OF_TOPICS}/test-message-inbox",
        "type": ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    }
    headers = {f"ce-{name}": value for name, value in event.items()}

    client.post("/", json=json.loads(make_push(wake_of(job)).body), headers=headers)

    assert job.status is State.SUCCESS


def test_a_trigger_on_another_topic_brings_messages(make_client: Make, store: str) -> None:
    client, job = make_client("message"), send("Ada")
    event = {
        **EVENT,
        "source": f"{SOURCE_OF_TOPICS}/another-message-inbox",
        "type": ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    }
    headers = {f"ce-{name}": value for name, value in event.items()}

    response = client.post("/", json=json.loads(make_push({"name": "Eve"}).body), headers=headers)

    assert response.status_code == 200
    assert job.status is State.PENDING


def test_a_wake_is_refused_while_no_store_is_named(
    make_client: Make, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = send("Ada")
    monkeypatch.delenv("UCAM_FAAS_JOB_STORE")
    client = make_client("message")

    status = push_wake(client, job)

    monkeypatch.setenv("UCAM_FAAS_JOB_STORE", store)
    assert (status, job.status) == (503, State.PENDING)


def test_a_message_runs_once_where_the_task_asks_for_it(make_client: Make, store: str) -> None:
    client = make_client("once")
    made = make_push(make_message({"name": "Ada"}))

    statuses = [
        client.post("/", data=made.body, headers=made.headers).status_code for _ in range(2)
    ]

    assert statuses == [200, 200]
    settings = Settings.from_environ()
    (row,) = runtime.store_of(settings).find(settings.app, task="once")  # type: ignore[union-attr]  # named
    assert (row.state, row.executions) == (State.SUCCESS, 1)
