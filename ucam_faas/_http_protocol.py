"""uvicorn's HTTP/1.1 protocol, without protocol upgrades: every front of this package speaks it.

llhttp reads no body of a request that asks for another protocol, and takes what follows for the
next request. RFC 9110, section 7.8, lets a server ignore `Upgrade`; so such a request is read
again without it.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """One connection of an HTTP/1.1 client."""

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
                if not self._ignore_upgrade():
                    return
            except httptools.HttpParserError:
                self._refuse()
                return
            else:
                return

    def on_headers_complete(self) -> None:
        """Start the application, unless the head asks for another protocol."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Tell the application that the body is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _ignore_upgrade(self) -> bool:
        """Read the request's head again without `Upgrade`; the parser then expects its body."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":  # always another protocol, and never one of ours
            self._refuse()
            return False
        head = [b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() != b"upgrade")
            if name != b"upgrade":
                head.append(b"%s: %s\r\n" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"".join([*head, b"\r\n"]))
        return True

    def _refuse(self) -> None:
        message = "Invalid HTTP request received."
        self.logger.warning(message)
        self.send_400_response(message)
