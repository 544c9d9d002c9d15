"""Headers of a task's response that HTTP does not allow: the answer goes without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response as FlaskResponse

import ucam_faas
from ucam_faas.testing import Client

from .harness import fields_of, messages

MakeClient = Callable[..., Client]


@ucam_faas.raw_event
def raw(body: bytes) -> Any:
    return "done", 201, json.loads(body)


@ucam_faas.http(path="/page", methods=["POST"])
def page(request: Any) -> Any:
    return "done", 201, request.get_json(force=True)


@ucam_faas.raw_event
def response(body: bytes) -> Any:
    made = FlaskResponse("done", 201)
    for name, value in json.loads(body):
        made.headers.add(name, value)
    return made


paths = pytest.mark.parametrize("path", ["/raw", "/page"])


@paths
@pytest.mark.parametrize(
    "header",
    [
        ("a name", "x"),
        ("", "x"),
        ("x:y", "z"),
        ("né", "x"),
        ("x-value", "a\nb"),
        ("x-value", "a\r\nset-cookie: stolen"),
        ("x-value", "a\0b"),
        ("x-value", "a\x7f"),
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_sent_is_left_out(
    path: str,
    header: tuple[str, str],
    ucam_faas_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = ucam_faas_client(raw, page)

    answer = client.post(path, body=json.dumps([header, ("X-Good", "kept")]).encode())

    assert (answer.status, answer.text) == (201, "done")
    assert answer.headers["x-good"] == "kept"
    assert header[0].lower() not in dict(answer.headers)
    assert messages(caplog.records).count("ucam_faas_header_not_sent") == 1
    fields = fields_of(caplog.records, "ucam_faas_header_not_sent")
    assert fields["headers"] == repr(header[0])


def test_a_response_object_is_looked_through_too(
    ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [("a name", "x"), ("a name", "y"), ("x-value", "\0"), ("x-good", "kept")]

    answer = ucam_faas_client(response).post("/response", body=json.dumps(headers).encode())

    assert (answer.status, answer.text) == (201, "done")
    assert answer.headers["x-good"] == "kept"
    assert messages(caplog.records).count("ucam_faas_header_not_sent") == 1


@paths
def test_framing_is_the_servers_even_if_another_answer_is_passed_on(
    path: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "99", "X-Good": ["a", "b"]}

    answer = ucam_faas_client(raw, page).post(path, body=json.dumps(headers).encode())

    assert (answer.status, answer.text) == (201, "done")
    assert "transfer-encoding" not in dict(answer.headers)
    assert dict(answer.headers).get("content-length") in (None, "4")
    assert "ucam_faas_header_not_sent" not in messages(caplog.records)
