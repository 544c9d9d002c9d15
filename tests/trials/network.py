"""A network between workers and Pub/Sub that can be cut, or fall silent."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
LOOK_SECONDS = 0.05
"""Between two looks for a cut, on an idle connection."""


class Network:
    """Forwards connections to a port of this machine.

    Args:
        target: the port.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._is_cut = self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        self._carrying: list[threading.Thread] = []

    def cut(self) -> None:
        """Reset all connections, also new ones."""
        self._is_cut = True

    def silence(self) -> None:
        """Forward nothing, also no end of a connection. New ones are accepted, as by a kernel."""
        self._flowing.clear()

    def restore(self) -> None:
        """Forward again, beginning with all that was held back."""
        self._is_cut = False
        self._flowing.set()

    def close(self) -> None:
        """Reset all connections, and accept no more."""
        self._is_closed = True
        self._flowing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in (self._accepting, *self._carrying):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # of a closed listener
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                thread = threading.Thread(target=self._carry, args=(client, server))
                thread.start()
                self._carrying.append(thread)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        peers = {client: server, server: client}
        with client, server, suppress(OSError):
            for each in peers:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            while peers:
                ready, _, _ = select.select(list(peers), [], [], LOOK_SECONDS)
                self._flowing.wait()
                if self._is_cut or self._is_closed:
                    return
                for source in ready:
                    if data := source.recv(1 << 16):
                        peers[source].sendall(data)
                    else:
                        peers.pop(source).shutdown(socket.SHUT_WR)


@contextmanager
def network(target: int) -> Iterator[Network]:
    """Run a network in front of a port of this machine."""
    network = Network(target)
    try:
        yield network
    finally:
        network.close()
