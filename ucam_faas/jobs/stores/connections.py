"""The connections to a database that the threads of a process share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ucam_faas.forks import reset_in_child

MAX_CONNECTIONS = 8
"""At once; further threads wait. A database has some hundred for all processes."""


class Connections:
    """A pool.

    Args:
        connect: opens a connection.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._inherited: list[Any] = []
        self._idle: list[Any] = []
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Start without connections."""
        self._inherited += self._idle  # the parent's: closing them here would end its sessions
        self._idle = []
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)

    @contextmanager
    def taken(self) -> Iterator[Any]:
        """Take a connection, and put it back if it is usable.

        One that is lost takes the idle ones with it: the server may have been restarted, and each
        of them would fail a call.
        """
        room = self._room
        with room:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                if connection.closed:
                    self.close()
                else:
                    self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            with suppress(Exception):  # one that is lost may not close cleanly
                try:
                    connection = self._idle.pop()
                except IndexError:
                    return
                connection.close()
