"""Each connection that the package accepts has TCP_NODELAY: without it, answers wait 40 ms."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from ucam_faas.emulator.emulator import Emulator, Options, listen
from ucam_faas.serving import server


def has_no_delay(transport: asyncio.BaseTransport) -> bool:
    accepted = transport.get_extra_info("socket")
    return bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


async def accepted_from(listener: socket.socket) -> bool:
    """Accept a connection as asyncio does, and return whether it has the option."""
    answer = asyncio.get_running_loop().create_future()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            answer.set_result(has_no_delay(transport))
            transport.close()

    async with await asyncio.get_running_loop().create_server(Accepted, sock=listener):
        with socket.create_connection(listener.getsockname()[:2]):
            return bool(await asyncio.wait_for(answer, 30))


BINDERS: dict[str, Callable[[], socket.socket]] = {
    "ucam-faas": lambda: server.bind("127.0.0.1", 0),
    "dev and the emulator": lambda: listen("127.0.0.1", 0, ""),
}


@pytest.mark.parametrize("bind", BINDERS.values(), ids=BINDERS)
def test_accepted_connections_send_at_once(bind: Callable[[], socket.socket]) -> None:
    assert asyncio.run(accepted_from(bind()))


def test_a_listener_that_was_handed_on_accepts_connections_that_send_at_once() -> None:
    """As gunicorn's workers and dev's serving processes get theirs: a descriptor, no more."""
    listener = server.bind("127.0.0.1", 0)

    handed_on = socket.socket(fileno=listener.detach())

    assert asyncio.run(accepted_from(handed_on))


def test_the_emulator_sends_at_once() -> None:
    async def run() -> None:
        async with Emulator(Options()) as emulator:
            with socket.create_connection(("127.0.0.1", emulator.port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                while not emulator._http.connections:
                    await asyncio.sleep(0)
                (connection,) = emulator._http.connections

                assert has_no_delay(connection.transport)

    asyncio.run(run())
