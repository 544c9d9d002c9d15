"""A connection's memory is limited, and any bytes on it get a response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from ucam_faas.net.http_protocol import MAX_HEAD_BYTES, HttpProtocol

from .harness import on_a_loop

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Transport(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_now = True
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert not self.closed
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True


class Connection:
    """A connection whose requests are answered when `answer` says so; only inside a loop."""

    def __init__(self) -> None:
        config = Config(self._app, interface="asgi3", log_config=None, ws="none", lifespan="off")
        config.load()
        self.transport = Transport()
        self.protocol = HttpProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)
        self._turns = asyncio.Semaphore(0)
        self.receive: Callable[[bytes], None] = self.protocol.data_received

    async def _app(self, _: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await self._turns.acquire()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def answer(self) -> None:
        """Answer one request."""
        self._turns.release()
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Be closed by the client."""
        self.protocol.connection_lost(None)
        for task in self.protocol.tasks:
            task.cancel()
        await asyncio.gather(*self.protocol.tasks, return_exceptions=True)


@on_a_loop
async def test_nothing_is_read_while_requests_of_a_connection_wait_for_their_turn() -> None:
    """Else a client that reads no answers fills the memory with requests."""
    connection = Connection()
    connection.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)

    await connection.answer()
    reading_while_one_waits = connection.transport.is_reading_now
    await connection.answer()
    reading_while_none_waits = connection.transport.is_reading_now

    await connection.answer()
    await connection.end()
    assert not reading_while_one_waits
    assert reading_while_none_waits
    assert connection.transport.written.count(b"HTTP/1.1 204") == 3


@on_a_loop
async def test_requests_that_wait_are_forgotten_when_one_before_them_closes() -> None:
    connection = Connection()
    connection.receive(b"GET / HTTP/1.0\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)

    await connection.answer()

    await connection.end()
    assert connection.transport.closed
    assert connection.transport.written.count(b"HTTP/1.1 204") == 1


@on_a_loop
async def test_a_trailer_without_an_end_is_refused() -> None:
    connection = Connection()
    connection.receive(CHUNKED + b"3\r\nabc\r\n0\r\nEndless: ")

    for _ in range(MAX_HEAD_BYTES // 1000 + 1):
        connection.receive(b"v" * 1000)

    await connection.end()
    assert connection.transport.written.startswith(b"HTTP/1.1 431 ")
    assert connection.transport.closed


@on_a_loop
async def test_a_chunked_body_may_be_longer_than_a_head() -> None:
    connection = Connection()
    size = 2 * MAX_HEAD_BYTES
    connection.receive(CHUNKED + b"%x\r\n" % size)

    for _ in range(size // 1024):
        connection.receive(b"v" * 1024)
    connection.receive(b"\r\n0\r\nShort: trailer\r\n\r\n")
    await connection.answer()

    await connection.end()
    assert connection.transport.written.startswith(b"HTTP/1.1 204 ")


@on_a_loop
@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n",
        b"DESCRIBE rtsp://x/ RTSP/1.0\r\n",
    ],
    ids=["a body without a length", "another protocol's method"],
)
async def test_an_upgrade_request_that_is_none_without_upgrade_gets_400(head: bytes) -> None:
    connection = Connection()

    connection.receive(head + b"Upgrade: x\r\nConnection: Upgrade\r\n\r\nand more")

    await connection.end()
    assert connection.transport.written.startswith(b"HTTP/1.1 400 ")
    assert connection.transport.closed
