"""uvicorn's HTTP/1.1 protocol, without protocol upgrades: every front of this package speaks it.

llhttp reads no body of a request that asks for another protocol, and takes its bytes for the
next request. RFC 9110, section 7.8, lets a server ignore `Upgrade`; so such a request is read
again without it.

llhttp has no limit for a head or for trailers either, and keeps a header that doesn't end to
itself; so bytes are counted as they come in.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 128 * 1024
"""Twice what Google's front ends let through. One read, of at most 256 kB, may go beyond it."""
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 25\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"The headers are too large"
)


class _Discarded(list[tuple[bytes, bytes]]):
    """Keeps nothing."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Forget a header."""


_TRAILERS = _Discarded()
"""The headers after a chunked body: there may be any number, and no application reads them."""


class HttpProtocol(HttpToolsProtocol):
    """One connection of an HTTP/1.1 client."""

    _is_in_head = False
    _head_bytes = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # `logging.config` can turn it on in spite of uvicorn's Config

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._unset_keepalive_if_required()
        if self._is_in_head:  # the bytes that began a head aren't counted: they may be a body's
            self._head_bytes += len(data)
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as stop:
                    data = data[stop.args[0] :]
                    self._ignore_upgrade()
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
            return
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the application, unless the head asks for another protocol."""
        self._is_in_head = False
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.headers = _TRAILERS

    def on_chunk_header(self) -> None:
        """Begin a chunk, or the trailers: the parser keeps one that doesn't end."""
        self._is_in_head, self._head_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._is_in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass on that the body is whole."""
        self._is_in_head = False
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the next request; read no more while others wait, or they would have no limit."""
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()

    def _ignore_upgrade(self) -> None:
        """Read the request's head again without `Upgrade`; the parser then expects its body.

        Raises:
            httptools.HttpParserError: it isn't an HTTP request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":  # always another protocol, and none that is served
            raise httptools.HttpParserError
        head = [b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() != b"upgrade")
            if name != b"upgrade":
                head.append(b"%s: %s\r\n" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"".join([*head, b"\r\n"]))

    def _refuse_head(self) -> None:
        self._is_in_head = False
        self.logger.warning("HTTP headers over %d bytes received.", MAX_HEAD_BYTES)
        self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()
