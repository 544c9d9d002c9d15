"""Requests to a REST API, on connections that are kept. `google_rest` adds credentials.

It imports nothing heavy: a command that makes one request to a server on this machine starts ten
times as fast as with one of Google's client libraries.
"""

from __future__ import annotations

import json
import os
import weakref
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Protocol

HEADERS = {"Content-Type": "application/json"}
FAILURES = (OSError, HTTPException, ValueError)
"""The exceptions of a request that isn't answered."""
LONGEST_REASON = 300
"""Characters of the message of an error."""
_OF_SCHEMA = "revisionInfo"
"""Where Pub/Sub says why a message doesn't follow the schema of its topic."""


class CredentialsError(Exception):
    """There is no token to make a request with; the text says why."""


class Api(Protocol):
    """Makes requests."""

    host: str

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the answer.

        A request may be sent twice: the server may have closed a kept connection.

        Raises:
            OSError, HTTPException, ValueError: there is no answer.
            CredentialsError: there is no token to make it with.
        """

    def get(self, path: str, timeout_seconds: float) -> tuple[int, bytes]:
        """Do the same with a request that has no body."""

    def close(self) -> None:
        """Close the idle connections."""


class Rest:
    """The API of a server on this machine or network, over HTTP.

    Args:
        host: `host:port` of the server.
        headers: further ones of each request.
    """

    def __init__(self, host: str, headers: Mapping[str, str] | None = None) -> None:
        self.host = host
        self._headers = {**HEADERS, **(headers or {})}
        self._idle: deque[HTTPConnection] = deque()
        self._process = os.getpid()
        weakref.finalize(self, _close, self._idle)

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the answer."""
        return self._request("POST", path, body, timeout_seconds)

    def get(self, path: str, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request without a body."""
        return self._request("GET", path, None, timeout_seconds)

    def close(self) -> None:
        """Close the idle connections."""
        _close(self._idle)

    def _request(
        self, method: str, path: str, body: bytes | None, timeout_seconds: float
    ) -> tuple[int, bytes]:
        while True:
            connection, is_kept = self._connection(timeout_seconds)
            try:
                connection.request(method, path, body, self._headers)
                response = connection.getresponse()
                answer = response.status, response.read()
            except ConnectionError:
                connection.close()
                if not is_kept:  # else the server may have closed it before the request
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                if connection.sock is not None:  # the server keeps it, too
                    self._idle.append(connection)
                return answer

    def _connection(self, timeout_seconds: float) -> tuple[HTTPConnection, bool]:
        """Return a connection that no other thread uses, and True if it was used before."""
        if self._process != os.getpid():  # a connection doesn't survive a fork
            _close(self._idle)
            self._process = os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            return HTTPConnection(self.host, timeout=timeout_seconds), False
        connection.sock.settimeout(timeout_seconds)
        return connection, True


def _close(connections: deque[HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def reason_of(status: int, answer: bytes) -> str:
    """Return the name and message of an error in Google's form; the status of another answer."""
    try:
        error = json.loads(answer)
        error = (error[0] if isinstance(error, list) else error)["error"]
        why = "".join(
            f": {detail['metadata'][_OF_SCHEMA].rpartition(' failed with status: ')[2]}"
            for detail in error.get("details", ())
            if _OF_SCHEMA in detail.get("metadata", {})
        )
        text = f"{str(error['message']).rstrip('.')}{why}"
        return f"{error['status']}: {text[:LONGEST_REASON].rstrip('.')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"HTTP status {status}"
