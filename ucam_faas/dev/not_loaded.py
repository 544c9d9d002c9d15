"""Answers for the port of the tasks while they cannot be loaded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ucam_faas.emulator.emulator import BACKLOG

READ_SECONDS = 5.0
"""The time to read the head of a request."""
_TEXT = b"The tasks could not be loaded: the output of `ucam-faas dev` says why.\n"
_RESPONSE = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_TEXT), _TEXT)
)


@asynccontextmanager
async def answering(listener: socket.socket) -> AsyncIterator[None]:
    """Answer all requests with 503 while the block runs; the listener stays open afterwards."""
    server = await asyncio.start_server(_answer, sock=listener.dup(), backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(
            OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(READ_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(_RESPONSE)
            await writer.drain()
    finally:
        writer.close()
