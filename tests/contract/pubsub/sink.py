"""An HTTP endpoint that keeps the pushes it gets, and answers as its test says."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.processes import wait_until

_SECONDS = 10.0


@dataclass(frozen=True)
class Push:
    """A request that came in."""

    at: float
    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body of a wrapped push."""
        return json.loads(self.body)


class Sink:
    """The endpoint. It answers with the next of `answers`, the last one again and again.

    Args:
        answers: statuses.
        patience: how many seconds to wait for pushes.
    """

    def __init__(self, *answers: int, patience: float) -> None:
        self.answers = list(answers or (200,))
        self._patience = patience
        self.headers: dict[str, str] = {"Content-Length": "0"}
        self.pushes: list[Push] = []
        self.open = threading.Event()
        """Answers wait while this is not set."""
        self.open.set()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Sink:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.sink = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where to push."""
        return f"http://127.0.0.1:{self._server.server_port}/push"

    def wait_for(self, count: int = 1, seconds: float = 0) -> list[Push]:
        """Return the pushes as soon as there are this many, or fail."""

        def enough() -> list[Push]:
            return list(self.pushes) if len(self.pushes) >= count else []

        return wait_until(enough, f"{count} pushes", seconds or self._patience)

    def take(self, push: Push) -> int:
        """Keep a push, and return the status to answer."""
        with self._lock:
            self.pushes.append(push)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.open.wait(_SECONDS)
        with self._lock:
            self._at_once -= 1
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128
    sink: Sink

    def handle_error(self, *_: object) -> None:
        """Ignore a client that goes away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): text for name, text in self.headers.items()}
        sink = self.server.sink
        status = sink.take(Push(time.monotonic(), self.path, headers, body))
        self.send_response(status)
        for name, text in sink.headers.items() if status not in (102, 204) else ():
            self.send_header(name, text)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Print nothing."""
