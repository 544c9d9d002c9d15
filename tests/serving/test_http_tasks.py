"""HTTP tasks: Flask's routes, requests and response values."""

from __future__ import annotations

import datetime
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

import ucam_faas
from ucam_faas.testing import Client

from .harness import exchange, lines, make_app, messages, on_a_loop

MakeClient = Callable[..., Client]


def page_of(value: Callable[[Any], Any], path: str = "/page", *methods: str) -> Any:
    @ucam_faas.http(path=path, methods=methods or ("GET",))
    def page(request: flask.Request, **captured: Any) -> Any:
        return value(request)

    return page


def async_page_of(value: Callable[[Any], Any], path: str = "/page", *methods: str) -> Any:
    @ucam_faas.http(path=path, methods=methods or ("GET",))
    async def page(request: flask.Request, **captured: Any) -> Any:
        return value(request)

    return page


def raw_of(value: Callable[[Any], Any], path: str = "/page") -> Any:
    @ucam_faas.raw_event
    def page(body: bytes) -> Any:
        return value(body)

    return page


def numbers() -> Iterator[str]:
    yield "one "
    yield "two"


both_kinds = pytest.mark.parametrize("make", [page_of, async_page_of])
every_kind = pytest.mark.parametrize("make", [page_of, async_page_of, raw_of])


@every_kind
@pytest.mark.parametrize(
    ("value", "status", "content_type", "body"),
    [
        ("text ü", 200, "text/html; charset=utf-8", "text ü".encode()),
        (b"\xff\x00", 200, "text/html; charset=utf-8", b"\xff\x00"),
        ("", 200, "text/html; charset=utf-8", b""),
        (("made", 201), 201, "text/html; charset=utf-8", b"made"),
        (("made", 201, {"content-type": "text/plain"}), 201, "text/plain", b"made"),
        (("made", {"content-type": "text/css"}), 200, "text/css", b"made"),
        (("none", [("content-type", "a/b")]), 200, "a/b", b"none"),
        (flask.Response("own", 418, mimetype="text/plain"), 418, None, b"own"),
        ((flask.Response("own"), 202), 202, "text/html; charset=utf-8", b"own"),
    ],
    ids=repr,
)
def test_a_flask_response_value_is_the_response(
    make: Any, value: Any, status: int, content_type: str | None, body: bytes,
    ucam_faas_client: MakeClient,
) -> None:  # fmt: skip
    client = ucam_faas_client(make(lambda _: value))

    response = client.get("/page")

    assert (response.status, response.body) == (status, body)
    if content_type is not None:
        assert response.headers["content-type"] == content_type


@every_kind
@pytest.mark.parametrize(
    ("value", "status"),
    [({"a": [1, None]}, 200), ([1, {"b": "ü"}], 200), (({"a": 1}, 201), 201), ([], 200), ({}, 200)],
    ids=repr,
)
def test_a_dict_or_list_is_json(
    make: Any, value: Any, status: int, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(make(lambda _: value))

    response = client.get("/page")

    assert response.status == status
    assert response.headers["content-type"] == "application/json"
    assert response.json() == (value[0] if isinstance(value, tuple) else value)


@every_kind
def test_values_that_flask_writes_as_json_are_written_as_json(
    make: Any, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(make(lambda _: {"on": datetime.date(2026, 1, 31)}))

    response = client.get("/page")

    assert response.status == 200
    assert response.json() == {"on": "Sat, 31 Jan 2026 00:00:00 GMT"}


@every_kind
def test_a_generator_is_read_to_its_end(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda _: numbers()))

    response = client.get("/page")

    assert (response.status, response.text) == (200, "one two")


@every_kind
def test_a_generator_that_raises_is_a_failure(make: Any, ucam_faas_client: MakeClient) -> None:
    def broken() -> Iterator[str]:
        yield "some of the work"
        raise ValueError("secret")

    client = ucam_faas_client(make(lambda _: broken()))

    response = client.get("/page")

    assert response.status == 500
    assert "secret" not in response.text


@pytest.mark.parametrize("make", [page_of, raw_of])
def test_a_sync_tasks_generator_runs_in_the_tasks_thread(
    make: Any, ucam_faas_client: MakeClient
) -> None:
    names: list[str] = []

    def steps() -> Iterator[str]:
        names.append(threading.current_thread().name)
        yield "done"

    client = ucam_faas_client(make(lambda _: steps()))

    client.get("/page")

    assert names == ["ucam-faas-task"]


@every_kind
def test_a_file_that_is_sent_is_the_response(
    make: Any, ucam_faas_client: MakeClient, tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_text("content")
    with flask.Flask("test").test_request_context():
        file = flask.send_file(io.BytesIO(b"content"), mimetype="text/plain")
    client = ucam_faas_client(make(lambda _: file))

    response = client.get("/page")

    assert (response.status, response.text) == (200, "content")


@every_kind
def test_a_response_is_closed_when_it_was_read(make: Any, ucam_faas_client: MakeClient) -> None:
    closed: list[bool] = []

    def value(_: Any) -> flask.Response:
        response = flask.Response("text")
        response.call_on_close(lambda: closed.append(True))
        return response

    client = ucam_faas_client(make(value))

    client.get("/page")

    assert closed == [True]


@pytest.mark.parametrize("status", [204, 304])
@every_kind
@on_a_loop
async def test_a_response_that_has_no_body_sends_none(make: Any, status: int) -> None:
    app = make_app(make(lambda _: ("text that would be read as the next response", status)))

    response = await exchange(app, "/page", method="GET")

    assert response.status == status
    assert response.body == b""


@pytest.mark.parametrize("text", ["Łódź", "ŵ", "日本"])
@every_kind
@on_a_loop
async def test_a_header_in_another_alphabet_does_not_turn_a_success_into_a_failure(
    make: Any, text: str
) -> None:
    app = make_app(make(lambda _: ("text", {"x-place": text})))

    response = await exchange(app, "/page", method="GET")

    assert (response.status, response.body) == (200, b"text")


@every_kind
@on_a_loop
async def test_headers_of_one_name_are_all_sent(make: Any) -> None:
    app = make_app(make(lambda _: ("x", [("set-cookie", "a=1"), ("set-cookie", "b=2")])))

    response = await exchange(app, "/page", method="GET")

    cookies = [value for name, value in response.headers if name == "set-cookie"]
    assert cookies == ["a=1", "b=2"]


@both_kinds
@on_a_loop
async def test_a_wrong_content_length_of_the_task_is_corrected(make: Any) -> None:
    app = make_app(make(lambda _: flask.Response("text", headers={"Content-Length": "999"})))

    response = await exchange(app, "/page", method="GET")

    assert [value for name, value in response.headers if name == "content-length"] == ["4"]


@both_kinds
def test_a_value_that_is_no_response_is_500_and_the_task_is_named_in_the_log(
    make: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(make(lambda _: object()))

    response = client.get("/page")

    assert response.status == 500
    assert lines(caplog.records) == ["function_failed_uncaught_exception"]


@both_kinds
@pytest.mark.parametrize(
    ("outcome", "status"), [(ucam_faas.Retry(), 429), (ucam_faas.Ignore("why"), 200)], ids=repr
)
@pytest.mark.parametrize("returned", [False, True], ids=["raised", "returned"])
def test_an_http_task_raises_or_returns_outcomes(
    make: Any, outcome: Any, status: int, returned: bool, ucam_faas_client: MakeClient
) -> None:
    def act(_: Any) -> Any:
        if returned:
            return outcome
        raise outcome

    client = ucam_faas_client(make(act))

    response = client.get("/page")

    assert response.status == status


@both_kinds
def test_a_failure_is_answered_and_logged_as_a_request(
    make: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> None:
        raise KeyError("secret")

    client = ucam_faas_client(make(fail))

    response = client.get("/page")

    assert (response.status, response.text) == (500, "An error occurred while handling the request")
    assert caplog.records[-1].__dict__["fields"]["request"] == "GET /page"


def test_a_coroutine_of_an_http_task_is_run_or_refused_with_a_hint(
    ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer() -> str:
        return flask.request.path

    @ucam_faas.http(path="/sync")
    def sync() -> Any:
        return answer()

    @ucam_faas.http(path="/async")
    async def forgetful() -> Any:
        return answer()

    client = ucam_faas_client(sync, forgetful)

    assert client.get("/sync").text == "/sync"
    assert client.get("/async").status == 500
    assert "ucam_faas_result_was_not_awaited" in messages(caplog.records)


@both_kinds
def test_the_request_is_flasks(make: Any, ucam_faas_client: MakeClient) -> None:
    def show(request: flask.Request) -> dict[str, Any]:
        assert request.view_args is not None
        return {
            "same": flask.request.path == request.path,
            "method": request.method,
            "path": request.path,
            "args": request.args.to_dict(flat=False),
            "view_args": request.view_args,
            "json": request.get_json(),
            "header": request.headers["X-Name"],
            "cookie": request.cookies["c"],
            "url": request.url,
            "type": request.content_type,
        }

    client = ucam_faas_client(make(show, "/users/<int:number>/<path:rest>", "PUT"))

    response = client.request(
        "PUT",
        "/users/7/a/ü?q=1&q=%C3%BC",
        json={"a": "ü"},
        headers={"x-name": "Ada", "cookie": "c=d", "host": "example.org"},
    )

    assert response.json() == {
        "same": True,
        "method": "PUT",
        "path": "/users/7/a/ü",
        "args": {"q": ["1", "ü"]},
        "view_args": {"number": 7, "rest": "a/ü"},
        "json": {"a": "ü"},
        "header": "Ada",
        "cookie": "d",
        "url": "http://example.org/users/7/a/ü?q=1&q=ü",
        "type": "application/json",
    }


@both_kinds
def test_a_form_is_read(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda request: request.form.to_dict(), "/page", "POST"))
    headers = {"content-type": "application/x-www-form-urlencoded"}

    response = client.post("/page", body=b"a=1&b=%C3%BC", headers=headers)

    assert response.json() == {"a": "1", "b": "ü"}


@both_kinds
def test_abort_is_the_response(
    make: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(make(lambda _: flask.abort(409)))

    response = client.get("/page")

    assert response.status == 409
    assert lines(caplog.records) == ["ucam_faas_function_completed"]


@both_kinds
def test_abort_with_a_response_is_that_response(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda _: flask.abort(flask.Response("mine", 418))))

    response = client.get("/page")

    assert (response.status, response.text) == (418, "mine")


@both_kinds
def test_a_redirect_of_the_task_is_the_response(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda _: flask.redirect("/elsewhere")))

    response = client.get("/page")

    assert response.status == 302
    assert response.headers["location"].endswith("/elsewhere")


@both_kinds
def test_a_broken_json_body_is_400(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda request: request.get_json(), "/page", "POST"))

    response = client.post("/page", body=b"{secret", headers={"content-type": "application/json"})

    assert response.status == 400
    assert "secret" not in response.text


@both_kinds
def test_a_missing_slash_is_a_redirect_that_keeps_the_query(
    make: Any, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(make(lambda _: "x", "/page/"))

    response = client.get("/page?a=%C3%BC")

    assert response.status == 308
    assert response.headers["location"] == "http://localhost/page/?a=%C3%BC"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@both_kinds
def test_a_method_that_was_not_asked_for_is_405(
    make: Any, method: str, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(make(lambda _: "x"))

    response = client.request(method, "/page")

    assert response.status == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("methods", [("GET",), ("POST",)])
@both_kinds
def test_options_is_answered_without_running_the_task(
    make: Any, methods: tuple[str, ...], ucam_faas_client: MakeClient
) -> None:
    ran: list[str] = []
    client = ucam_faas_client(
        make(lambda request: ran.append(request.method) or "x", "/p", *methods)
    )

    response = client.request("OPTIONS", "/p", headers={"origin": "https://example.org"})

    assert ran == []
    assert response.status in (200, 405)
    assert methods[0] in response.headers["allow"]


@both_kinds
def test_options_runs_a_task_that_asked_for_it(make: Any, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(make(lambda request: request.method, "/page", "OPTIONS"))

    response = client.request("OPTIONS", "/page")

    assert (response.status, response.text) == (200, "OPTIONS")


@both_kinds
@on_a_loop
async def test_head_of_a_page_has_its_length_and_no_body(make: Any) -> None:
    app = make_app(make(lambda _: "text"))

    response = await exchange(app, "/page", method="HEAD")

    assert (response.status, response.header("content-length"), response.body) == (200, "4", b"")


@both_kinds
def test_an_uncaught_exception_of_an_http_task_is_500_without_its_text(
    make: Any, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("secret")

    client = ucam_faas_client(make(fail))

    response = client.get("/page")

    assert response.status == 500
    assert "secret" not in response.text
    assert lines(caplog.records) == ["function_failed_uncaught_exception"]


@both_kinds
@on_a_loop
async def test_a_header_that_is_sent_twice_arrives_whole(make: Any) -> None:
    app = make_app(make(lambda request: request.headers["x-forwarded-for"]))
    headers = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]

    response = await exchange(app, "/page", method="GET", headers=headers)

    assert response.text.replace(" ", "") == "1.1.1.1,2.2.2.2"


@both_kinds
@on_a_loop
async def test_a_header_with_an_underscore_does_not_stand_for_one_with_a_dash(make: Any) -> None:
    app = make_app(make(lambda request: request.headers["x-user-email"]))
    headers = [("x-user-email", "true@example.org"), ("x_user_email", "false@example.org")]

    response = await exchange(app, "/page", method="GET", headers=headers)

    assert response.text == "true@example.org"


def test_several_http_tasks_keep_their_own_requests(ucam_faas_client: MakeClient) -> None:
    pages = [page_of(lambda request: request.path, f"/p{number}") for number in range(4)]
    for number, page in enumerate(pages):
        object.__setattr__(page.task, "name", f"page{number}")
    client = ucam_faas_client(*pages)

    texts = [client.get(f"/p{number}").text for number in range(4)]

    assert texts == ["/p0", "/p1", "/p2", "/p3"]


def test_json_of_a_raw_task_is_json(ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(raw_of(lambda body: {"sent": json.loads(body)}))

    response = client.post("/page", body=b"[1]")

    assert response.json() == {"sent": [1]}
