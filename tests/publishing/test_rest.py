"""The connections of the REST publisher; what every publisher does is in `tests/contract`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket

import pytest

from ucam_faas.exceptions import PublishError
from ucam_faas.publishing.rest import RestPublisher

TOPIC = "projects/p/topics/t"


class Server:
    """A Pub/Sub that accepts everything.

    Attributes:
        connections: one for each that was opened.
        requests: the number of them so far.
        says_close: answers end their connections.
    """

    def __init__(self) -> None:
        self.host = ""
        self.connections: list[socket] = []
        self.requests = 0
        self.says_close = False

    def drop_connections(self) -> None:
        """End them without a word."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections.append(self.connection)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            server.requests += 1
            body = json.dumps({"messageIds": [str(server.requests)]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if server.says_close:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.block_on_close = False
        server.host = f"127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, args=(0.05,)).start()
        yield server
        http.shutdown()
        server.drop_connections()


def publish(publisher: RestPublisher) -> str:
    return publisher.publish(TOPIC, b"data", {}, timeout_seconds=5)


def test_messages_share_a_connection(server: Server) -> None:
    publisher = RestPublisher(server.host)

    ids = [publish(publisher) for _ in range(3)]

    assert (ids, len(server.connections)) == (["1", "2", "3"], 1)


def test_a_connection_that_the_server_closed_is_replaced(server: Server) -> None:
    publisher = RestPublisher(server.host)
    publish(publisher)

    server.drop_connections()

    assert publish(publisher) == "2"
    assert len(server.connections) == 2


def test_a_connection_that_the_server_ends_is_not_kept(server: Server) -> None:
    publisher = RestPublisher(server.host)
    server.says_close = True

    publish(publisher)
    publish(publisher)

    assert len(server.connections) == 2


def test_a_forked_process_opens_connections_of_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = RestPublisher(server.host)
    publish(publisher)

    monkeypatch.setattr("os.getpid", lambda: -1)
    publish(publisher)

    assert len(server.connections) == 2


def test_a_server_that_is_gone_is_an_error_that_names_it(server: Server) -> None:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host = "{}:{}".format(*listener.getsockname())

    with pytest.raises(PublishError, match=host):
        publish(RestPublisher(host))
