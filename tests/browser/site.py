"""A site of one page: it is hostile to the dashboard, or faulty."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page, and with 404 at any other path."""

    def __init__(self, page: str, policy: str, *arguments: object) -> None:
        self._page, self._policy = page, policy
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/", "/favicon.ico") else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", self._policy)
        self.end_headers()
        self.wfile.write(self._page.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(page: str, policy: str = "") -> Iterator[int]:
    """Serve a page, and yield its port on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, page, policy))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
