"""One port for gRPC and REST: HTTP/2 connections are gRPC's, all others are REST.

The first bytes of a connection decide: HTTP/2 starts with a preface. gRPC listens on a socket of
its own, to which its connections are spliced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

PREFACE = b"PRI * HTTP/2.0"
_HIGH_WATER = 1024 * 1024

Connections = WeakSet[asyncio.BaseTransport]
"""Connections that may be open."""


class NewConnection(asyncio.Protocol):
    """A connection, until its first bytes show its protocol.

    Args:
        grpc_path: the unix socket that gRPC listens on.
        make_http: makes the protocol of an HTTP/1.1 connection.
        connections: the set that it is added to.
    """

    def __init__(
        self, grpc_path: str, make_http: Callable[[], asyncio.Protocol], connections: Connections
    ) -> None:
        self._grpc_path = grpc_path
        self._make_http = make_http
        self._connections = connections
        self._transport: Any = None
        self._seen = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = transport
        self._connections.add(transport)

    def data_received(self, data: bytes) -> None:
        """Look at the first bytes, and hand the connection over."""
        self._seen += data
        if self._task is not None:
            return
        if self._seen.startswith(PREFACE):
            self._transport.pause_reading()
            self._task = asyncio.ensure_future(self._splice())
        elif not PREFACE.startswith(self._seen):
            protocol = self._make_http()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(self._seen)

    async def _splice(self) -> None:
        loop = asyncio.get_running_loop()
        near = _Pipe()
        try:
            far_transport, far = await loop.create_unix_connection(_Pipe, self._grpc_path)
        except OSError:
            self._transport.abort()
            return
        near.connect(far)
        far.connect(near)
        near.connection_made(self._transport)
        self._transport.set_protocol(near)
        far_transport.write(self._seen)
        self._transport.resume_reading()


class _Pipe(asyncio.Protocol):
    """One end of a splice: the other end writes the bytes that it reads."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._other: _Pipe | None = None

    def connect(self, other: _Pipe) -> None:
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.close()
