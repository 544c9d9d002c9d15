"""The health endpoint of a worker: alive, and ready from its first pull until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ucam_faas.net.sockets import bind
from ucam_faas.tasks.task import HEALTH_PATHS

ADVICE = "Choose another port with --health-port."
READY_PATH, LIVE_PATH = "/ready", "/live"
READ_SECONDS = 5.0


class Health:
    """Answers GET requests.

    Args:
        is_ready: returns True while the worker pulls.
    """

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            ConfigurationError: the port is taken.
        """
        listener = bind(host, port, ADVICE)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._answer, sock=listener)

    async def end(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(
            OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_SECONDS)
            _, _, target = head.decode("latin-1").partition(" ")
            status, text = self._status(target.partition(" ")[0].partition("?")[0])
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
                f"content-length: {len(text)}\r\n\r\n{text}".encode()
            )
            await writer.drain()
        writer.close()

    def _status(self, path: str) -> tuple[str, str]:
        if path == READY_PATH and not self._is_ready():
            return "503 Service Unavailable", "not ready"
        if path in (READY_PATH, LIVE_PATH, *HEALTH_PATHS):
            return "200 OK", "ok"
        return "404 Not Found", "not found"
