"""Requests that offer another protocol, as Java's HttpClient does on cleartext by default."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from ucam_faas.emulator.emulator import Emulator, Options

from .processes import Server, serving

pytestmark = pytest.mark.slow

HEAD = (
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
    b"Upgrade: %s\r\n"
)
SMUGGLED = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nsmuggled"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(folder=tmp_path_factory.mktemp("server"), FUNCTION_TARGET="echo") as server:
        yield server


def responses(port: int, *parts: bytes, count: int = 1) -> list[tuple[int, bytes]]:
    """Send parts in segments of their own, and return so many responses: status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.sendall(part)
        stream = client.makefile("rb")
        return [read_response(stream) for _ in range(count)]


def read_response(stream: BinaryIO) -> tuple[int, bytes]:
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return status, stream.read(length)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("apart", [False, True], ids=["one segment", "two segments"])
def test_the_body_of_an_upgrade_request_is_read(
    server: Server, protocol: bytes, apart: bool
) -> None:
    body = b"a body"
    head = HEAD % (b"/echo", protocol) + b"Content-Length: 6\r\n\r\n"

    answers = responses(server.port, *([head, body] if apart else [head + body]))

    assert answers == [(200, body)]


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_an_upgrade_request_may_arrive_in_any_two_parts(server: Server, cut: int) -> None:
    request = HEAD % (b"/echo", b"h2c") + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    assert responses(server.port, request[:cut], request[cut:]) == [(200, b"abc")]


def test_the_body_of_an_upgrade_request_is_not_the_next_request(server: Server) -> None:
    before = server.effects("echo")
    head = HEAD % (b"/echo", b"h2c") + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)

    answers = responses(server.port, head, SMUGGLED)

    assert answers == [(200, SMUGGLED)]
    assert len(server.effects("echo")) == len(before) + 1


def test_a_connection_goes_on_after_an_upgrade_request(server: Server) -> None:
    upgrade = HEAD % (b"/echo", b"h2c") + b"Content-Length: 3\r\n\r\none"
    plain = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo"

    answers = responses(server.port, upgrade + plain + upgrade, count=3)

    assert answers == [(200, b"one"), (200, b"two"), (200, b"one")]


def test_connect_is_refused(server: Server) -> None:
    request = b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n" + SMUGGLED
    before = server.effects("echo")

    (answer,) = responses(server.port, request)

    assert answer[0] == 400
    assert server.effects("echo") == before


def test_the_emulator_takes_a_publish_with_an_upgrade() -> None:
    topic = "projects/p/topics/orders"
    body = b'{"messages": [{"data": "aGk="}]}'
    head = HEAD % (f"/v1/{topic}:publish".encode(), b"h2c")
    create = f"PUT /v1/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()

    async def run() -> list[tuple[int, bytes]]:
        async with Emulator(Options()) as emulator:
            parts = [create, head + b"Content-Length: %d\r\n\r\n" % len(body), body]
            return await asyncio.to_thread(responses, emulator.port, *parts, count=2)

    (created, _), (published, answer) = asyncio.run(run())

    assert (created, published) == (200, 200)
    assert len(json.loads(answer)["messageIds"]) == 1
