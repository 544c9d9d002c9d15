"""The part of a store that is the same in every SQL database: one statement a method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from math import inf, nextafter
from typing import Any

from ucam_faas.jobs.rows import Change, Key, Place, Row, Step, Wake
from ucam_faas.jobs.states import LIVE, UNSUCCESSFUL, State
from ucam_faas.jobs.stores.columns import change_values, json_text, row_of
from ucam_faas.jobs.waiting import WaitingStore


class SqlStore(WaitingStore):
    """A `JobStore` over named statements."""

    _find_of_task = "find"

    def claim(
        self, key: Key, *, lease: float, instance: str, limit: int | None = None
    ) -> Row | None:
        """Take a job that may start, or whose claim has ended."""
        return self._one("claim", key, lease=lease, instance=instance, limit=limit)

    def set_limit_key(self, key: Key, limit_key: str) -> Row | None:
        """Give a live job its limit's key, if it has none."""
        return self._one("set_limit_key", key, limit_key=limit_key)

    def next_of(self, row: Row, limit: int | None) -> Wake | None:
        """Return the wake of the first job of a row's limit key that may start now."""
        n = 1 if row.in_order else limit
        if row.limit_key is None or n is None:
            return None
        values = {"app": row.key.app, "task": row.key.task, "limit_key": row.limit_key, "limit": n}
        for record in self._read("next_of", values):
            return Wake(row.key._replace(id=record["id"]), record["lane"])
        return None

    def change(
        self,
        key: Key,
        change: Change,
        *,
        fence: int | None = None,
        states: Collection[State] = LIVE,
    ) -> Row | None:
        """Change a row, and return it."""
        values = change_values(change)
        return self._one("change", key, **values, fence=fence, states=self._states(states))

    def report(self, key: Key, progress: Any, *, fence: int) -> Row | None:
        """Keep a claimed job's progress, and return the row."""
        return self._one("report", key, progress=json_text(progress), fence=fence)

    def put_step(self, key: Key, name: str, value: bytes, *, fence: int) -> bool | None:
        """Keep a step of a claimed job, and return True if its end was asked for."""
        values = {**key._asdict(), "name": name, "value": value, "fence": fence}
        for record in self._write("put_step", values):
            return bool(record["cancel_requested"])
        return None

    def steps(self, key: Key) -> list[Step]:
        """Return the steps of a job, the earliest first."""
        records = self._read("steps", key._asdict())
        return [Step(record["name"], record["value"], record["time"]) for record in records]

    def request_cancel(self, key: Key) -> Row | None:
        """Ask the holder of a started job to end it."""
        return self._one("request_cancel", key)

    def get(self, key: Key) -> Row | None:
        """Return a row."""
        return next((row_of(record) for record in self._read("get", key._asdict())), None)

    def find(
        self,
        app: str,
        *,
        task: str | None = None,
        id: str | None = None,
        states: Collection[State] = (),
        since: float | None = None,
        until: float | None = None,
        after: Place | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """Return rows, the latest first."""
        wanted = {"app": app, "task": task, "id": id, "since": since, "until": until}
        wanted |= {"states": self._states(states), "limit": limit}
        wanted |= {"after": None, "after_task": None, "after_id": None}
        if after is not None:
            last = nextafter(after.created, inf)
            wanted |= {"until": last if until is None else min(last, until)}
            wanted |= {"after": after.created, "after_task": after.key.task}
            wanted |= {"after_id": after.key.id}
        statement = "find"
        if id is not None:
            statement = "find_by_id"
        elif states and UNSUCCESSFUL.issuperset(states):
            statement = "find_unsuccessful"
        elif task is not None:
            statement = self._find_of_task
        return [row_of(record) for record in self._read(statement, wanted)]

    def has_live_members(self, app: str, batch: str) -> bool:
        """Return True if a member of a batch hasn't ended."""
        return bool(list(self._read("has_live_members", {"app": app, "batch": batch})))

    def count_members(self, app: str, batch: str) -> dict[State, int]:
        """Return the number of a batch's members in each state."""
        records = self._read("count_members", {"app": app, "batch": batch})
        return {State(record["state"]): record["count"] for record in records}

    def members(self, app: str, batch: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return members of a batch, by their ids."""
        values = {"app": app, "batch": batch, "after": after.id if after else "", "limit": limit}
        return [row_of(record) for record in self._read("members", values)]

    def children(self, app: str, parent: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return the jobs that a job sent, by their tasks and ids."""
        task, id = ("", "") if after is None else (after.task, after.id)
        values = {"app": app, "parent": parent, "task": task, "id": id, "limit": limit}
        return [row_of(record) for record in self._read("children", values)]

    def pending(self, app: str, task: str, *, limit: int) -> int:
        """Return the number of a task's jobs that are PENDING, counted up to a limit."""
        (record,) = self._read("pending", {"app": app, "task": task, "limit": limit})
        return int(record["count"])

    def waiting(
        self, app: str, task: str, lane: str, *, limit: int
    ) -> tuple[int, float | None] | None:
        """Return the number of a lane's jobs that may start now, and since when the first may."""
        values = {"app": app, "task": task, "lane": lane, "limit": limit}
        (record,) = self._read("waiting", values)
        return int(record["count"]), record["since"]

    def overdue(self, app: str, limit: int) -> list[Row]:
        """Return the rows that an application's sweep has to look at."""
        return [row_of(each) for each in self._read("overdue", {"app": app, "limit": limit})]

    def pause_lane(self, app: str, task: str, lane: str) -> bool:
        """Note that no job of a lane may start."""
        return bool(list(self._write("pause_lane", {"app": app, "task": task, "lane": lane})))

    def resume_lane(self, app: str, task: str, lane: str) -> bool:
        """Let the jobs of a lane start again."""
        return bool(list(self._write("resume_lane", {"app": app, "task": task, "lane": lane})))

    def paused_lanes(self, app: str) -> frozenset[tuple[str, str]]:
        """Return the paused lanes of an application, each with its task before it."""
        records = self._read("paused_lanes", {"app": app})
        return frozenset((record["task"], record["lane"]) for record in records)

    def delete(self, key: Key, *, states: Collection[State]) -> Row | None:
        """Remove a row in one of these states, and return it."""
        return self._one("delete", key, states=self._states(states))

    def _one(self, statement: str, key: Key, **values: Any) -> Row | None:
        records = self._write(statement, key._asdict() | values)
        return next((row_of(record) for record in records), None)

    @abstractmethod
    def _read(self, statement: str, values: Mapping[str, Any]) -> Iterable[Any]:
        """Run a statement that changes nothing, and return its records."""

    @abstractmethod
    def _write(self, statement: str, values: Mapping[str, Any]) -> Iterable[Any]:
        """Run a statement that changes rows, and return the changed ones."""

    @abstractmethod
    def _states(self, states: Collection[State]) -> Any:
        """Return states as the statements take them."""
