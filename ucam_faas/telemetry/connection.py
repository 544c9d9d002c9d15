"""A connection to a receiver: one of OpenTelemetry's exporters, and why its last request failed.

Exporters say that in their log only, with texts of the receiver, which may be secrets. Here it is
a status, or the class of an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import requests


class Connection:
    """Exports to a receiver.

    Args:
        connect: the class of the exporter.
    """

    def __init__(self, connect: Callable[..., Any]) -> None:
        # The variables name a session that authenticates itself: another would replace it.
        has_own = any(name.endswith("_CREDENTIAL_PROVIDER") for name in os.environ)
        self._session = None if has_own else _Session()
        self.exporter = connect(session=self._session)

    @property
    def failure(self) -> str:
        """Why the last request failed, while another try is due; empty: it didn't."""
        return "" if self._session is None else self._session.failure

    def export(self, data: Any) -> str:
        """Export spans or metrics, and return why that failed; empty: it succeeded."""
        failure = ""
        if self._session is not None:
            self._session.failure = ""
        try:
            if self.exporter.export(data).name != "SUCCESS":
                failure = "unknown"
        except Exception as error:  # older exporters raise those of connections
            failure = cause_of(error)
        return self.failure or failure


class _Session(requests.Session):
    """Makes the requests, and notes how the last one failed; a redirect does, too.

    It isn't followed: older exporters would, with a GET, whose answer says nothing of the spans.
    """

    failure = ""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        try:
            response = super().request(*args, **options | {"allow_redirects": False})
        except Exception as error:
            self.failure = cause_of(error)
            raise
        is_taken = 200 <= response.status_code < 300
        self.failure = "" if is_taken else f"HTTP {response.status_code}"
        return response


def cause_of(error: BaseException) -> str:
    """Return the class of the error that led to another.

    >>> try:
    ...     raise OSError("the address") from TimeoutError()
    ... except OSError as error:
    ...     print(cause_of(error))
    TimeoutError
    """
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return type(error).__name__
