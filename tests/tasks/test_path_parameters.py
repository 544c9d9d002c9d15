"""The values that an HTTP task's path captures are arguments of its function."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import flask
import pytest

from ucam_faas import TaskDefinitionError, http
from ucam_faas.testing import serve

ID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize("is_async", [False, True])
def test_captured_values_arrive_by_name_with_their_types(is_async: bool) -> None:
    def show(request: flask.Request, *, unique: UUID, number: int, rest: str) -> dict[str, Any]:
        return {"path": request.path, "types": [type(v).__name__ for v in (unique, number, rest)]}

    async def show_later(
        request: flask.Request, *, unique: UUID, number: int, rest: str
    ) -> dict[str, Any]:
        return show(request, unique=unique, number=number, rest=rest)

    path = "/a/<uuid:unique>/<int:number>/<path:rest>"
    function = show_later if is_async else show
    with serve(http(path=path)(function)) as client:
        response = client.get(f"/a/{ID}/7/b/c")

    assert response.json() == {"path": f"/a/{ID}/7/b/c", "types": ["UUID", "int", "str"]}


def test_a_function_may_take_the_captured_values_alone_as_in_flask() -> None:
    @http(path="/rooms/<int:room_id>")
    def room(room_id: int) -> str:
        return f"{flask.request.method} {room_id + 1}"

    with serve(room) as client:
        assert client.get("/rooms/4").text == "GET 5"
        assert client.get("/rooms/four").status == 404
    assert inspected(room, 4) == 4


def inspected(task: Any, number: int) -> int:
    """Call a task as the function that it is."""
    with flask.Flask("test").test_request_context(method="GET"):
        return int(task(number).split()[1]) - 1


def test_a_function_may_take_nothing() -> None:
    @http(path="/")
    def index() -> str:
        return flask.request.path

    with serve(index) as client:
        assert client.get("/").text == "/"


def test_a_function_may_take_all_captured_values_in_one_mapping() -> None:
    @http(path="/<a>/<float:b>")
    def show(request: Any, **captured: Any) -> dict[str, Any]:
        return captured

    with serve(show) as client:
        assert client.get("/x/1.5").json() == {"a": "x", "b": 1.5}


def test_a_lambda_takes_captured_values() -> None:
    show = http(path="/<name>")(lambda request, name: name)

    with serve(show) as client:
        assert client.get("/ada").text == "ada"


def test_a_decorator_above_ours_gets_the_request() -> None:
    import functools

    def shouting(task: Any) -> Any:
        @functools.wraps(task)
        def call(request: flask.Request) -> str:
            return f"{task(request).upper()} {request.method}"

        return call

    @shouting
    @http(path="/<name>")
    def greet(request: flask.Request, name: str) -> str:
        return name

    with serve(greet) as client:
        assert client.get("/ada").text == "ADA GET"


def takes_request(request): ...  # type: ignore[no-untyped-def]


def takes_room(request, room): ...  # type: ignore[no-untyped-def]


def takes_text(request: Any, room_id: str) -> None: ...


def takes_option(request: Any, room_id: int, *, option: bool) -> None: ...


def takes_position(request: Any, room_id: int, /) -> None: ...


def takes_body(body: bytes, room_id: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        (takes_request, ["takes_request(request)", "captures 'room_id'", "parameter room_id"]),
        (takes_room, ["takes_room(request, room)", "captures 'room_id'"]),
        (takes_text, ["room_id as int", "annotated with str"]),
        (takes_option, ["doesn't capture 'option'", "It captures: room_id"]),
        (takes_position, ["captures 'room_id'"]),
        (takes_body, ["first parameter takes the Flask request", "annotated with bytes"]),
    ],
)
def test_parameters_that_contradict_the_path_are_refused(function: Any, parts: list[str]) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        http(path="/rooms/<int:room_id>")(function)

    for part in ["/rooms/<int:room_id>", *parts][function is takes_body :]:
        assert part in str(caught.value)


def test_a_converter_that_flask_does_not_have_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match="no converter 'number': expected one of default"):
        http(path="/rooms/<number:room_id>")(takes_room)


@pytest.mark.parametrize(
    ("converter", "annotation"),
    [("any(a, b)", str), ("string(length=2)", str), ("int", float), ("int", "int | None")],
)
def test_an_annotation_that_the_converter_fits_is_taken(converter: str, annotation: Any) -> None:
    def show(value: Any) -> None: ...

    show.__annotations__ = {"value": annotation}

    http(path=f"/<{converter}:value>")(show)
