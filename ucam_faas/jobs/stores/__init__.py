"""The store of jobs: a port, and its adapters.

Every adapter passes `tests/contract/job_store_contract.py`. A method is one statement of the
database, and so happens wholly or not at all; none of them reads first and writes then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from ucam_faas.jobs.rows import Change, Key, Place, Row, Step, Wake
from ucam_faas.jobs.states import LIVE, State


class JobStore(Protocol):
    """Keeps the rows of jobs.

    Every method raises JobStoreError if the store doesn't answer; it is then not known whether the
    change was made.
    """

    max_bytes: int | None = None
    """The most that the payload, the attributes and the result of a job may have together; None:
    any number.
    """
    max_steps_bytes: int | None = None
    """The most that the steps of a job may have together; None: any number."""

    @property
    def name(self) -> str:
        """Its name in errors."""

    def migrate(self) -> Sequence[str]:
        """Create the tables that are missing, and return the commands that the user has to run for
        the rest. A store may also create them when it is opened.
        """

    def insert(
        self, rows: Sequence[Row], *, wait: Sequence[float], parent: Row | None = None
    ) -> list[Row]:
        """Insert rows, and return the stored row for each: itself, the one that has its key, or the
        live one that has its `unique` key.

        Args:
            rows: their times are ignored; `expires` is relative to now.
            wait: for each row, the seconds until it may start.
            parent: the claimed job that sends them.

        Raises:
            JobLostError: the parent's claim is void; no row was inserted.
        """

    def existing(self, rows: Sequence[Row]) -> list[Row | None]:
        """Return, for each row, the stored one that `insert` would return in its place; None: it
        would insert it.
        """

    def claim(
        self, key: Key, *, lease: float, instance: str, limit: int | None = None
    ) -> Row | None:
        """Take a job that may start, or whose claim has ended; return None if it can't be taken.

        A job with a limit key starts if fewer than `limit` others of its key are held, or come
        first: those that were sent before, and may start now. One that is `in_order` starts if
        no other of its key is held, and all that were sent before have ended.

        Args:
            lease: seconds until another may take it.
            instance: the process that takes it, for the history.
            limit: of the task, which takes jobs with a key only; None: it has none.
        """

    def set_limit_key(self, key: Key, limit_key: str) -> Row | None:
        """Give a live job its limit's key, and return the row; None: it has one, or has ended."""

    def next_of(self, row: Row, limit: int | None) -> Wake | None:
        """Return the wake of the first job of a row's limit key that may start now; None: there is
        none.

        It is a hint: another process may take the job first, and an earlier one that isn't due
        may hold back a job that is `in_order`.

        Args:
            limit: of the task; None: it has none.
        """

    def change(
        self,
        key: Key,
        change: Change,
        *,
        fence: int | None = None,
        states: Collection[State] = LIVE,
    ) -> Row | None:
        """Change a row, and return it; return None if it is missing, or in another state.

        Args:
            fence: the claim's; another claim makes this one void. None: no claim is needed.
            states: in which the job may be.

        Raises:
            JobConflictError: a job that is to run again has the `unique` key of one that runs.
        """

    def report(self, key: Key, progress: Any, *, fence: int) -> Row | None:
        """Keep a claimed job's progress, and return the row; None: the claim is void."""

    def put_step(self, key: Key, name: str, value: bytes, *, fence: int) -> bool | None:
        """Keep a step of a claimed job in place of one with its name, and return True if the job's
        end was asked for; None: the claim is void. The steps are removed with the row.
        """

    def steps(self, key: Key) -> list[Step]:
        """Return the steps of a job, the earliest first."""

    def request_cancel(self, key: Key) -> Row | None:
        """Ask the holder of a started job to end it; None: it isn't started."""

    def get(self, key: Key) -> Row | None:
        """Return a row."""

    def payload_of(self, row: Row) -> bytes:
        """Return the payload of a row, which may be elsewhere.

        Raises:
            PayloadMissingError: it isn't there.
        """

    def result_of(self, row: Row) -> bytes | None:
        """Return the result of a row, which may be elsewhere; see `payload_of`."""

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
        """Return rows, the latest first; those that were sent at one moment, in the store's order.

        Args:
            app: the application whose jobs they are.
            task: the name of their task.
            id: of the job; jobs of several tasks may have it.
            states: their states; none: any.
            since: the earliest time of their sending, in epoch seconds.
            until: the time before which they were sent.
            after: the place of the last row before these, which may have been removed; None: begin.
                It isn't used with an id.
            limit: the most rows to return.
        """

    def has_live_members(self, app: str, batch: str) -> bool:
        """Return True if a member of a batch hasn't ended."""

    def count_members(self, app: str, batch: str) -> dict[State, int]:
        """Return the number of a batch's members in each state that one has."""

    def members(self, app: str, batch: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return members of a batch, in the store's order.

        Args:
            after: the last one before these; None: begin.
            limit: the most to return.
        """

    def children(self, app: str, parent: str, *, after: Key | None = None, limit: int) -> list[Row]:
        """Return the jobs that a job sent, in the store's order; see `members`."""

    def pending(self, app: str, task: str, *, limit: int) -> int:
        """Return the number of a task's jobs that are PENDING, counted up to a limit."""

    def waiting(
        self, app: str, task: str, lane: str, *, limit: int
    ) -> tuple[int, float | None] | None:
        """Return the number of a lane's jobs that may start now, counted up to a limit, and since
        when the first of these may; None: the store can't tell without reading them all.
        """

    def overdue(self, app: str, limit: int) -> list[Row]:
        """Return the rows that an application's sweep has to look at, the most overdue first.

        A store may leave out their payloads, results and histories, and rows that an open
        transaction has changed.
        """

    def visit(
        self,
        keys: Sequence[Key],
        seconds: Sequence[float],
        *,
        published: Sequence[int] | None = None,
    ) -> None:
        """Let the sweep look at overdue rows again, each so many seconds from now; a row that
        isn't overdue any more stays as it is.

        Args:
            published: the rows' fences, if their events have been published and are no longer
                due. A job that has run again since has another event.
        """

    def pause_lane(self, app: str, task: str, lane: str) -> bool:
        """Note that no job of a lane may start; return False if that was noted before."""

    def resume_lane(self, app: str, task: str, lane: str) -> bool:
        """Let the jobs of a lane start again; return False if it wasn't paused."""

    def paused_lanes(self, app: str) -> frozenset[tuple[str, str]]:
        """Return the paused lanes of an application, each with its task before it."""

    def delete(self, key: Key, *, states: Collection[State]) -> Row | None:
        """Remove a row in one of these states, and return it; None: it is missing, or in another
        state. A store may leave out the history and the inline payload of a row that `overdue`
        returned.
        """

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job when it has ended.

        The future raises JobNotFoundError if there is no such job.
        """

    def watch(self, keys: Sequence[Key]) -> None:
        """Have `changed` notice the ends of these jobs, in any process."""

    def ended(self, keys: Sequence[Key]) -> dict[Key, Row | None]:
        """Return the rows of the jobs that have ended, and None for each missing job."""

    def changed(self, seconds: float) -> bool:
        """Wait until a watched job may have ended; return False if the time is up first.

        One thread at a time may call it.

        Args:
            seconds: the longest wait.
        """

    def now(self) -> float:
        """Return the store's time, in epoch seconds."""

    def close(self) -> None:
        """Close its connections."""
