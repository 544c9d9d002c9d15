"""The HTTP server that receives pushes: it answers 204, and passes each body to a function.

    python benchmarks/sink.py 8099     # alone, to see how fast it is with wrk and a push as body

An asyncio protocol with httptools' parser and no framework, so that it is not what is measured.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable

import httptools

MESSAGE_ID = re.compile(rb'"messageId"\s*:\s*"([^"]+)"')
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection; requests may come one after the other."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._body: list[bytes] = []
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._receive(b"".join(self._body))
        self._body.clear()
        self._transport.write(ANSWER)  # type: ignore[attr-defined]  # it is a transport that writes


def message_ids(body: bytes) -> list[bytes]:
    """The id of the message in a push."""
    return MESSAGE_ID.findall(body)


async def serve(receive: Callable[[bytes], None], port: int = 0) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(receive), "127.0.0.1", port, backlog=1024)


async def main() -> None:
    seen: set[bytes] = set()
    async with await serve(lambda body: seen.update(message_ids(body)), int(sys.argv[1])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
