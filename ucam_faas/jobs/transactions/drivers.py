"""The drivers whose connections can be used; only those that the caller has imported."""

from __future__ import annotations

import sys
from typing import Any

from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.transactions.callers import DriverCaller


def driver_caller_of(connection: Any, store: JobStore) -> DriverCaller:
    """Return the caller of a driver's connection.

    Raises:
        TypeError: its driver isn't supported.
    """
    sqlite3, psycopg = sys.modules.get("sqlite3"), sys.modules.get("psycopg")
    if sqlite3 is not None and isinstance(connection, sqlite3.Connection):
        from ucam_faas.jobs.transactions.sqlite import SqliteCaller

        return SqliteCaller(connection, store)
    if psycopg and isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        from ucam_faas.jobs.transactions.postgresql import PsycopgCaller

        return PsycopgCaller(connection, store)
    kind = type(connection)
    raise TypeError(
        f"A transaction of jobs can't use a {kind.__module__}.{kind.__qualname__}: expected a "
        "connection of sqlite3 or psycopg 3, or a connection or session of SQLAlchemy over one of "
        "these."
    )
