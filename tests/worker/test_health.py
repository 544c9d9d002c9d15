"""The health endpoint of a worker."""

from __future__ import annotations

import asyncio

import pytest

from tests.serving.harness import on_a_loop
from ucam_faas.worker.health import Health


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /live HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /ready?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", b"503 Service Unavailable"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"nonsense\r\n\r\n", b"404 Not Found"),
    ],
)
@on_a_loop
async def test_each_request_has_an_answer(request_: bytes, status: bytes) -> None:
    health = Health(lambda: False)
    await health.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", health.port)
    writer.write(request_)

    answer = await reader.read()

    writer.close()
    await health.end()
    assert answer.startswith(b"HTTP/1.1 " + status)
