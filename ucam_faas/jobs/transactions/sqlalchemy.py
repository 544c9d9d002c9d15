"""A caller's connection or session of SQLAlchemy, sync or async: its driver's connection is used.

SQLAlchemy isn't imported: a caller that has a connection of it has done so.
"""

from __future__ import annotations

from typing import Any

from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.transactions.callers import (
    BoundStore,
    Caller,
    DriverCaller,
    Gate,
    in_a_transaction,
    not_in_a_transaction,
    value_of,
)
from ucam_faas.jobs.transactions.drivers import driver_caller_of


def is_of_sqlalchemy(connection: Any) -> bool:
    """Return True for connections and sessions of SQLAlchemy, and for subclasses of them."""
    modules = {base.__module__.partition(".")[0] for base in type(connection).__mro__}
    return "sqlalchemy" in modules and hasattr(connection, "in_transaction")


class SqlAlchemyCaller(Caller):
    """A `Connection` or a `Session`, which begins and commits; or their async twins."""

    def __init__(self, connection: Any, store: JobStore) -> None:
        super().__init__(connection, store)
        self.is_async = hasattr(connection, "__aenter__")
        self._driver: DriverCaller | None = None

    async def begin(self) -> None:
        """Begin."""
        if self.connection.in_transaction():
            raise in_a_transaction()
        await value_of(self.connection.begin())
        try:
            await (await self._connected()).start()
        except BaseException:
            await value_of(self.connection.rollback())
            raise

    async def join(self) -> None:
        """Take the open transaction."""
        if not self.connection.in_transaction():
            raise not_in_a_transaction()
        await (await self._connected()).join()

    async def commit(self) -> None:
        """Commit; a session writes its pending objects before."""
        (await self._connected()).check()
        await value_of(self.connection.commit())

    async def rollback(self, error: BaseException) -> bool:
        """Roll back."""
        await value_of(self.connection.rollback())
        return False

    async def bind(self, gate: Gate) -> BoundStore:
        """Return the store over this connection."""
        return await (await self._connected()).bind(gate)

    async def _connected(self) -> DriverCaller:
        if self._driver is None:
            connection = self.connection
            if hasattr(connection, "flush"):  # a session
                connection = await value_of(connection.connection())
            connection = getattr(connection, "sync_connection", connection)
            driver = connection.connection.driver_connection
            self._driver = driver_caller_of(driver, self.store)
        return self._driver
