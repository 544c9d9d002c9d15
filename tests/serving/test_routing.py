"""The task that a request reaches, and the response when no task matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ucam_faas
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.testing import Client, make_push

from .harness import exchange, make_app, on_a_loop, push

MakeClient = Callable[..., Client]
JSON = {"content-type": "application/json"}


@ucam_faas.message_handler(message_type=None)
def orders(data: bytes) -> None:
    _seen.append(f"orders {_source()}")


@ucam_faas.message_handler(message_type=None)
async def users(data: bytes) -> None:
    _seen.append(f"users {_source()}")


@ucam_faas.raw_event
def anything(body: bytes) -> str:
    _seen.append("anything")
    return "anything"


def _source() -> str:
    return ucam_faas.CLOUD_EVENT_CONTEXT.get().attributes.event_source.rpartition("/")[2]


_seen: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    _seen.clear()


@pytest.mark.parametrize("path", ["/healthy", "/status"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@on_a_loop
async def test_health_is_ok(path: str, method: str) -> None:
    app = make_app(orders)

    response = await exchange(app, path, method=method)

    assert response.status == 200
    assert response.text == ("ok" if method == "GET" else "")


@on_a_loop
async def test_healthz_is_not_ours() -> None:
    response = await exchange(make_app(orders, users), "/healthz", method="GET")

    assert response.status == 404


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/orders", "orders test-subscription"),
        ("/", "orders test-subscription"),
        ("/users", "users test-subscription"),
        ("/users/projects/p/topics/t", "users t"),
        ("/orders/projects/p/topics/t", "orders t"),
        ("/projects/p/topics/t", "orders t"),
        ("/projects/p/topics/t?x=y", "orders t"),
    ],
)
def test_a_path_is_a_task_with_or_without_a_topic(
    path: str, seen: str, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(orders, users)
    made = make_push(b"hello")

    response = client.post(path, body=made.body, headers=made.headers)

    assert response.status == 200
    assert _seen == [seen]


@pytest.mark.parametrize("path", ["/", "/nothing", "/orders/", "/a/b", "/healthz", "", "//"])
def test_a_task_served_alone_has_every_path(path: str, ucam_faas_client: MakeClient) -> None:
    """As under ucam-faas 1.0 and functions-framework."""
    client = ucam_faas_client(orders)
    made = make_push(b"hello")

    response = client.post(path, body=made.body, headers=made.headers)

    assert response.status == 200
    assert _seen == ["orders test-subscription"]


@pytest.mark.parametrize("path", ["/healthy", "/status", "/favicon.ico", "/robots.txt"])
def test_a_task_served_alone_leaves_health_and_browsers_their_paths(
    path: str, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(anything)

    response = client.get(path)

    assert response.status == (200 if path in ("/healthy", "/status") else 404)
    assert _seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/orders/",
        "/Orders",
        "//orders",
        "/orders/x",
        "",
        "/nothing/projects/p/topics/t",
    ],
)
@on_a_loop
async def test_another_path_is_404_and_no_task_runs(path: str) -> None:
    app = make_app(orders, users)
    made = make_push(b"hello")

    response = await exchange(app, path, [made.body], headers=made.headers)

    assert (response.status, response.text) == (404, "No task has this path")
    assert _seen == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/orders", "/users", "/"])
@on_a_loop
async def test_events_are_delivered_with_post_only(method: str, path: str) -> None:
    app = make_app(orders, users)

    response = await exchange(app, path, method=method)

    assert response.status == 405
    assert response.header("allow") == "POST"
    assert response.received == 0
    assert _seen == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@on_a_loop
async def test_a_raw_task_takes_every_method(method: str) -> None:
    response = await exchange(make_app(anything), "/anything", method=method)

    assert (response.status, response.text) == (200, "anything")


@on_a_loop
async def test_head_has_the_length_and_not_the_body() -> None:
    response = await exchange(make_app(anything), "/anything", method="HEAD")

    assert response.status == 200
    assert response.header("content-length") == str(len("anything"))
    assert response.body == b""


@pytest.mark.parametrize("path", ["/anything", "/healthy", "/nothing"])
@on_a_loop
async def test_every_response_has_one_content_length_that_is_right(path: str) -> None:
    response = await exchange(make_app(anything), path)

    lengths = [value for name, value in response.headers if name == "content-length"]
    assert lengths == [str(len(response.body))]


@on_a_loop
async def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    await make_app(orders)({"type": "websocket", "path": "/"}, receive, send)

    assert [event["type"] for event in sent] == ["websocket.close"]


@on_a_loop
async def test_the_lifespan_is_followed() -> None:
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event["type"])

    await make_app(orders)({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# Event tasks beside HTTP tasks


def http_task(name: str, path: str, *methods: str) -> Any:
    def task(request: Any, **captured: Any) -> str:
        _seen.append(f"{name} {request.method}")
        return name

    task.__name__ = name
    return ucam_faas.http(path=path, methods=methods or ("GET",))(task)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("page", "/<name>", "GET"), id="a variable of another method"),
        pytest.param(("page", "/<name>", "GET", "POST"), id="a variable of the same method"),
        pytest.param(("page", "/<path:rest>", "GET", "POST"), id="a path variable"),
        pytest.param(("page", "/orders/", "GET", "POST"), id="a trailing slash"),
        pytest.param(("page", "/", "GET"), id="the root"),
    ],
)
@on_a_loop
async def test_an_event_reaches_its_task_whatever_http_tasks_there_are(
    other: tuple[str, ...],
) -> None:
    app = make_app(users, orders, http_task(*other))

    response = await push(app, "orders", b"hello")

    assert (response.status, _seen) == (200, ["orders test-subscription"])


@on_a_loop
async def test_the_first_event_task_is_at_the_root_beside_an_http_task_that_gets_it() -> None:
    app = make_app(orders, http_task("page", "/", "GET"))
    made = make_push(b"hello")

    response = await exchange(app, "/", [made.body], headers=made.headers)

    assert (response.status, _seen) == (200, ["orders test-subscription"])


@on_a_loop
async def test_an_http_task_answers_where_no_event_task_is() -> None:
    app = make_app(orders, http_task("page", "/<name>", "GET"))

    response = await exchange(app, "/news", method="GET")

    assert (response.status, response.text) == (200, "page")


# Clashes at start-up


def clashing(*paths: tuple[str, str, str]) -> list[Any]:
    return [http_task(name, path, method) for name, path, method in paths]


@on_a_loop
async def test_two_http_tasks_on_one_path_and_method_do_not_start() -> None:
    tasks = clashing(("one", "/a", "GET"), ("two", "/a", "GET"))

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match=r"'one' and 'two'.*'/a'"):
        make_app(*tasks)


@on_a_loop
async def test_two_http_tasks_on_one_path_with_different_methods_start() -> None:
    app = make_app(*clashing(("one", "/a", "GET"), ("two", "/a", "POST")))

    texts = [(await exchange(app, "/a", method=method)).text for method in ("GET", "POST")]

    assert texts == ["one", "two"]


@on_a_loop
async def test_two_http_tasks_whose_paths_differ_in_a_variables_name_do_not_start() -> None:
    tasks = clashing(("one", "/a/<x>", "GET"), ("two", "/a/<y>", "GET"))

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="'one' and 'two'"):
        make_app(*tasks)


@on_a_loop
async def test_an_http_task_on_an_event_tasks_path_does_not_start() -> None:
    page = http_task("page", "/orders", "GET")

    with pytest.raises(
        UCAMFAASCouldNotLoadTarget, match=r"'(page|orders)' and '(page|orders)'.*'/orders'"
    ):
        make_app(orders, page)


@pytest.mark.parametrize("path", ["/a/<int:", "/a/<int(foo=2):id>", "/<int:id>/<int:id>"])
@on_a_loop
async def test_a_path_that_is_no_flask_route_does_not_start(path: str) -> None:
    page = http_task("page", path, "GET")

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="isn't a Flask route"):
        make_app(page)
