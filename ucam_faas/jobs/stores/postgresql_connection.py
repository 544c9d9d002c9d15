"""A connection to PostgreSQL whose calls end, also when the server is stopped and its kernel isn't.

psycopg is imported with it: only the stores of those who use PostgreSQL need it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

TIMEOUTS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds, the others are seconds
}
"""Parameters of libpq that a URL may override: without them, a call waits for minutes, or without
end, when the network to the server is cut.
"""


CANCEL_SECONDS = 2.0
"""The longest wait for a server that is to cancel a statement."""


class Connection(psycopg.Connection[dict[str, Any]]):
    """A connection in autocommit mode, with rows as dicts, and JSON as text."""

    answer_seconds = 30.0
    """The longest silence of the server: the kernel of a stopped one acknowledges what it gets, so
    the network's timeouts don't help.
    """

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Run one of psycopg's generators."""
        return super().wait(self._answered(gen), *args, **options)

    def _answered(self, gen: Any) -> Any:
        """Pass on what a generator waits for, until it is ready.

        Raises:
            OperationalError: the server is silent; the connection is closed.
        """
        try:
            awaited, since = next(gen), time.monotonic()
            while True:
                ready = yield awaited
                if ready:
                    since = time.monotonic()
                elif time.monotonic() - since > self.answer_seconds:
                    self._give_up()
                    raise psycopg.OperationalError(
                        f"the server hasn't answered for {self.answer_seconds:g} s"
                    )
                awaited = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _give_up(self) -> None:
        """Cancel the statement under way, and close.

        One that waits for a lock would go on without its client: a claim would take a job, and an
        attempt of it, for a process that doesn't run it.
        """
        with suppress(psycopg.Error):
            if capabilities.has_cancel_safe():  # that of an older libpq has no time-out
                self.cancel_safe(timeout=CANCEL_SECONDS)
        self.close()


def connect(url: str) -> Connection:
    """Open a connection."""
    timeouts: Mapping[str, Any] = TIMEOUTS | conninfo_to_dict(url)
    connection = Connection.connect(**timeouts, autocommit=True, row_factory=dict_row)
    set_json_loads(text_of, connection)
    return connection


def text_of(json: bytes | str) -> str:
    """Leave JSON a text: a history is read when it is asked for."""
    return json if isinstance(json, str) else bytes(json).decode()
