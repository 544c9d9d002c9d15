"""A port of a PostgreSQL server at which one statement meets a fault: cut off, or terminated."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.postgresql import Server

SECONDS = 30.0


class Cut(Exception):
    """The connection ends here."""


class Link:
    """A client's connection and the server's for it, one statement at a time.

    Args:
        client: the connection that was accepted.
        server: the server.
    """

    def __init__(self, client: socket.socket, server: Server) -> None:
        self.client, self.server = client, server
        client.settimeout(SECONDS)
        self._upstream = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        self.backend = 0
        """The id of the server's process."""

    def startup(self) -> None:
        """Pass the client's first message on, and the answer back."""
        size = self._read(self.client, 4)
        self._upstream.sendall(size + self._read(self.client, struct.unpack("!I", size)[0] - 4))
        self.client.sendall(self._answer())

    def statement(self) -> bytes:
        """Return the client's messages up to the end of a statement.

        Raises:
            Cut: the client has ended the connection.
        """
        messages = b""
        while not messages or messages[-5:] != b"S\0\0\0\4":
            kind, message = self._message(self.client)
            if kind == b"X":
                raise Cut
            messages += message
            if kind == b"Q":
                break
        return messages

    def run(self, statement: bytes) -> bytes:
        """Let the server run a statement, and return its answer."""
        self._upstream.sendall(statement)
        return self._answer()

    def close(self) -> None:
        """Close both connections."""
        self.client.close()
        self._upstream.close()

    def _answer(self) -> bytes:
        answer = b""
        with suppress(Cut):  # a terminated server says so, and ends
            while True:
                kind, message = self._message(self._upstream)
                answer += message
                if kind == b"K":
                    self.backend = struct.unpack("!I", message[5:9])[0]
                if kind == b"Z":
                    break
        return answer

    def _message(self, connection: socket.socket) -> tuple[bytes, bytes]:
        head = self._read(connection, 5)
        size: int = struct.unpack("!I", head[1:])[0]
        return head[:1], head + self._read(connection, size - 4)

    def _read(self, connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = connection.recv(size - len(data))
            except (ConnectionError, TimeoutError):
                raise Cut from None
            if not part:
                raise Cut
            data += part
        return data


Fault = Callable[[Link, bytes], None]


def cut_before(link: Link, statement: bytes) -> None:
    """Lose the connection before the server has the statement."""
    raise Cut


def cut_after(link: Link, statement: bytes) -> None:
    """Lose the connection after the server has run the statement, and before it can say so."""
    link.run(statement)
    raise Cut


def terminated(link: Link, statement: bytes) -> None:
    """Let an administrator terminate the server's process before it has the statement."""
    import psycopg

    with psycopg.connect(link.server.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [link.backend])
    link.client.sendall(link.run(statement))
    raise Cut


def killed(pid: Callable[[], int], fault: Fault) -> Fault:
    """Return the fault of a client that is killed as the connection is lost."""

    def kill(link: Link, statement: bytes) -> None:
        try:
            fault(link, statement)
        finally:
            os.kill(pid(), signal.SIGKILL)

    return kill


class Proxy:
    """Passes statements on until the one that fails; later ones pass.

    Args:
        server: runs them.
        at: the number of the statement that fails, from 1, over all connections.
        fault: its fault.
    """

    def __init__(self, server: Server, at: int, fault: Fault) -> None:
        self._server, self._at, self._fault = server, at, fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.statements = 0
        """How many came so far."""
        self._start(self._accept)

    def url(self, url: str) -> str:
        """Return the URL of a database of the server, through this port."""
        port = self._listener.getsockname()[1]
        through = url.replace(f":{self._server.port}/", f":{port}/")
        return f"{through}?sslmode=disable&gssencmode=disable"

    def close(self) -> None:
        """Accept no more connections; those that are open end with their clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)

    @property
    def has_failed(self) -> bool:
        """The fault has happened."""
        return self.statements >= self._at

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._start(self._serve, Link(client, self._server))

    def _serve(self, link: Link) -> None:
        with suppress(Cut, ConnectionError):
            link.startup()
            while True:
                statement = link.statement()
                with self._lock:
                    self.statements += 1
                    fails = self.statements == self._at
                if fails:
                    self._fault(link, statement)
                link.client.sendall(link.run(statement))
        link.close()


@contextmanager
def failing(server: Server, at: int, fault: Fault) -> Iterator[Proxy]:
    """Run a proxy while the block does, whose clients have to end before it."""
    proxy = Proxy(server, at, fault)
    try:
        yield proxy
    finally:
        proxy.close()
