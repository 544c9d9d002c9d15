"""Bodies: whole ones only, and none over the limit."""

from __future__ import annotations

from typing import Any

import pytest

import ucam_faas
from ucam_faas.testing import make_push

from .harness import exchange, fields_of, make_app, on_a_loop

LIMIT = 1000
_ran: list[bytes] = []


@ucam_faas.raw_event
def raw(body: bytes) -> None:
    _ran.append(body)


@ucam_faas.http(path="/page", methods=["POST"])
async def page(request: Any) -> str:
    _ran.append(request.get_data())
    return "x"


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    _ran.clear()


def app_of() -> Any:
    return make_app(raw, page, max_body_bytes=LIMIT)


paths = pytest.mark.parametrize("path", ["/raw", "/page"])


@paths
@on_a_loop
async def test_a_body_of_the_limit_is_taken(path: str) -> None:
    found = await exchange(app_of(), path, [b"x" * LIMIT], headers={"content-length": str(LIMIT)})

    assert found.status == 200
    assert _ran == [b"x" * LIMIT]


@paths
@on_a_loop
async def test_a_body_announced_over_the_limit_is_413_unread(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"content-length": str(LIMIT + 1)}

    found = await exchange(app_of(), path, [b"x"], headers=headers)

    assert (found.status, found.text) == (413, "The body is too large")
    assert found.received == 0
    assert found.header("connection") == "close"
    assert _ran == []
    fields = fields_of(caplog.records, "ucam_faas_request_rejected")
    assert fields["detail"] == f"body: over {LIMIT} bytes"


@paths
@pytest.mark.parametrize(
    "headers", [{}, {"content-length": "5"}, {"content-length": "x"}], ids=repr
)
@on_a_loop
async def test_a_body_that_grows_over_the_limit_is_413_and_not_read_on(
    path: str, headers: dict[str, str]
) -> None:
    chunks = [b"x" * 400] * 100

    found = await exchange(app_of(), path, chunks, headers=headers)

    assert found.status == 413
    assert found.header("connection") == "close"
    assert found.received == 3
    assert _ran == []


@paths
@on_a_loop
async def test_a_body_in_chunks_arrives_whole(path: str) -> None:
    found = await exchange(app_of(), path, [b"a", b"", b"bc", b"d" * 100])

    assert found.status == 200
    assert _ran == [b"abc" + b"d" * 100]


@paths
@pytest.mark.parametrize("chunks", [[None], [b"part", None], [b"", b"", None]], ids=repr)
@on_a_loop
async def test_a_client_that_goes_away_in_mid_body_runs_no_task(
    path: str, chunks: list[bytes | None]
) -> None:
    found = await exchange(app_of(), path, [*chunks, b"never"])

    assert found.sent == []
    assert _ran == []


@on_a_loop
async def test_the_default_limit_takes_a_message_of_ten_megabytes() -> None:
    sizes: list[int] = []

    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        sizes.append(len(data))

    made = make_push(b"\0" * (10 * 1024 * 1024))
    headers = {**made.headers, "content-length": str(len(made.body))}

    found = await exchange(make_app(task), "/task", [made.body], headers=headers)

    assert found.status == 200
    assert sizes == [10 * 1024 * 1024]


@pytest.mark.parametrize(
    "length", ["", "-1", "1e9", " 5", "²", "0x7fffffff", "9" * 5000], ids=lambda text: text[:10]
)
@on_a_loop
async def test_an_odd_content_length_breaks_nothing(length: str) -> None:
    found = await exchange(app_of(), "/raw", [b"hello"], headers={"content-length": length})

    assert found.status in (200, 400, 413)
