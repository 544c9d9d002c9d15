"""The HTTP/1.1 client that pushes: connections are kept, redirects are not followed.

Our own: pushes are the hot path, and need no more of a response than its status.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import httptools

from ucam_faas.clock import Clock, timeout
from ucam_faas.net.cross_site import is_this_machine

MAX_RESPONSE_BYTES = 1_000_000
MAX_IDLE = 128


class ConnectionClosed(Exception):
    """The other side closed the connection before it answered."""


class _Unanswered(ConnectionClosed):
    """… and before it sent anything."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._answer: asyncio.Future[int] | None = None
        self._parser: Any = None
        self._received = 0
        self._status = 0
        self._has_length = False
        self._to_head = False
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.usable = True

    def send(self, request: bytes) -> asyncio.Future[int]:
        """Send a request, and return the status of its response to come."""
        self._parser = httptools.HttpResponseParser(self)
        self._received = self._status = 0
        self._has_length = False
        self._to_head = request.startswith(b"HEAD ")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self.usable = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._answer is None or self._received > MAX_RESPONSE_BYTES:
            self._fail(ConnectionClosed("the response is too long, or no request was made"))
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionClosed(f"the response is not HTTP: {error}"))
            self.close()

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status >= 200 and self._to_head:  # its length is of a body that does not come
            self._succeed(keep=False)

    def on_message_complete(self) -> None:
        if self._status == 100:  # the final response comes later
            self._status, self._has_length = 0, False
        else:
            # A second response answers no request.
            keep = self._answer is not None and self._status >= 200
            self._succeed(keep=keep and self._parser.should_keep_alive())

    def eof_received(self) -> None:
        """Close; a response without a length ends like this."""
        self.usable = False
        if self._status and not self._has_length:
            self._succeed(keep=False)

    def _succeed(self, *, keep: bool) -> None:
        self.usable = keep
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(self._status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        error = ConnectionClosed if self._received else _Unanswered
        self._fail(error("the connection was closed before the end of the response"))

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)


class Endpoint:
    """Where pushes go.

    Args:
        url: http or https.
        method: of the requests.
    """

    def __init__(self, url: str, method: str = "POST") -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self._tls = parts.scheme == "https"
        self._port = parts.port if parts.port is not None else 443 if self._tls else 80
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        self._start = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n".encode()
        self._idle: deque[_Connection] = deque()
        self._closed = False

    async def post(self, headers: bytes, body: bytes) -> int:
        """Send a request, and return the status of the response.

        Args:
            headers: header lines, each with its line end.
            body: the body.

        Raises:
            OSError: there is no connection.
            ConnectionClosed: there is no response.
        """
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (self._start, headers, len(body), body)
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                try:
                    return await self._exchange(connection, request)
                except _Unanswered:
                    break  # closed while it was idle, most likely: a new one tells
        return await self._exchange(await self._connect(), request)

    async def _exchange(self, connection: _Connection, request: bytes) -> int:
        try:
            status = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        if connection.usable and not self._closed and len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return status

    async def _connect(self) -> _Connection:
        context = ssl.create_default_context() if self._tls else None
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                _Connection, self.host, self._port, ssl=context
            )
        except UnicodeError as error:
            raise OSError(f"{self.host!r} is not a host: {error}") from error
        return connection

    def close(self) -> None:
        """Close all connections: the idle ones now, the others after their response."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


async def post(
    clock: Clock, seconds: float, endpoint: Endpoint, headers: bytes, body: bytes
) -> int | str:
    """Send a request, and return the status of the response, or the reason why there is none.

    Args:
        clock: measures the time.
        seconds: to wait for the response.
        endpoint: where it goes.
        headers: header lines.
        body: the body.
    """
    try:
        async with timeout(clock, seconds):
            return await endpoint.post(headers, body)
    except TimeoutError:
        return f"no response in {seconds:g} s"
    except (OSError, ConnectionClosed) as error:
        return str(error) or type(error).__name__


def refuse_remote(endpoint: str) -> str | None:
    """Return the reason why an endpoint that is not on this machine is refused."""
    local = not endpoint or is_this_machine(urlsplit(endpoint).hostname or "")
    if local:
        return None
    return (
        f"The push endpoint {endpoint} is not on this machine. Start the emulator with "
        "--allow-remote-push to push to other machines."
    )
