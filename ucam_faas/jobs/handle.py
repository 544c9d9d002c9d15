"""A job as its sender sees it: its state, read fresh, and its result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ucam_faas.exceptions import JobFailed, JobNotFoundError, NoJobStoreError, ResultNotStoredError
from ucam_faas.jobs import members
from ucam_faas.jobs.limits import wake_after
from ucam_faas.jobs.results import Reader
from ucam_faas.jobs.rows import Change, Entry, Key, Row, Wake
from ucam_faas.jobs.states import ENDED, WAITING, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS, retention
from ucam_faas.jobs.transactions import in_thread, within

ResultT = TypeVar("ResultT", covariant=True)


@dataclass(frozen=True, slots=True)
class Job(Generic[ResultT]):
    """One sending of a task. Handles of one job are equal.

    Its properties and methods read the store each time. They raise JobNotFoundError if the job is
    not there any more, JobStoreError if the store doesn't answer, and NoJobStoreError if the job
    was sent without a store: then its id is that of its message.
    """

    # Comments instead of `Args:`, because users don't make jobs themselves.
    key: Key
    # It keeps the job's row; None: the job was sent without one.
    store: JobStore | None = field(compare=False)
    # It publishes wakes to the inboxes of their lanes.
    wake: Callable[[Sequence[Wake]], object] = field(default=bool, compare=False)
    # It makes the task's result of the stored one.
    read: Reader = field(default=json.loads, compare=False)

    def __repr__(self) -> str:
        unfollowed = "" if self.store is not None else ", which no store keeps"
        return f"<Job {self.key.id!r} of {self.key.task!r}{unfollowed}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.key.id

    @property
    def task(self) -> str:
        """The name of its task."""
        return self.key.task

    @property
    def status(self) -> State:
        """Its state now."""
        return self._row().state

    @property
    def is_completed(self) -> bool:
        """It has ended."""
        return self._row().state.is_completed

    @property
    def history(self) -> tuple[Entry, ...]:
        """The changes of its state so far."""
        return self._row().history

    @property
    def progress(self) -> Any:
        """The progress that its task reported last; None: none."""
        return self._row().progress

    def result(self, timeout: float | None = None) -> ResultT:
        """Wait for the end, and return the task's result.

        Args:
            timeout: in seconds; None: as long as it takes.

        Raises:
            JobFailed: it ended without success.
            ResultNotStoredError: it succeeded, and its result can't be stored.
            TimeoutError: it has not ended.
        """
        value: ResultT = self._result(self._end(timeout))
        return value

    def wait(self, timeout: float | None = None) -> State:
        """Wait for the end, and return the state in which it ended.

        Args:
            timeout: in seconds; None: as long as it takes.

        Raises:
            TimeoutError: it has not ended.
        """
        return self._end(timeout).state

    async def result_async(self, timeout: float | None = None) -> ResultT:
        """Wait for the end, and return the task's result; see `result`."""
        value: ResultT = self._result(await self._end_async(timeout))
        return value

    async def wait_async(self, timeout: float | None = None) -> State:
        """Wait for the end, and return the state in which it ended; see `wait`."""
        return (await self._end_async(timeout)).state

    def cancel(self) -> State:
        """End a job that waits, or ask its process to end it; return its state now.

        A job that has ended stays as it is.
        """
        store, row = self._store(), self._row()
        change = Change(state=State.CANCELLED, cause="cancelled", visit=retention(row))
        while not row.state.is_completed:  # it may begin to run, or to wait, between two looks
            changed = store.change(self.key, change, states=WAITING)
            if changed is not None:
                wake_after(store, changed, self.wake)
                members.after_end(store, changed, self.wake)
            changed = changed or store.request_cancel(self.key)
            if changed is not None:
                return changed.state
            row = self._row()
        return row.state

    async def cancel_async(self) -> State:
        """See `cancel`."""
        return await in_thread(self.cancel)

    def resume(self) -> State:
        """Let a paused job go on; return its state now. The callback of a batch waits on."""
        row = self._row()
        if row.is_waiting_callback:
            return row.state
        change = Change(state=State.PENDING, cause="resumed", visit=AGAIN_SECONDS, wait=0)
        return self._start(change, frozenset({State.PAUSED}))

    async def resume_async(self) -> State:
        """See `resume`."""
        return await in_thread(self.resume)

    def retry(self) -> State:
        """Run a job again that ended without success; return its state now. Steps that it has done
        aren't repeated.

        Raises:
            JobConflictError: another job of its `unique` key hasn't ended.
        """
        change = Change(
            state=State.PENDING, cause="retried", visit=AGAIN_SECONDS, wait=0, afresh=True
        )
        return self._start(change, ENDED - {State.SUCCESS})

    async def retry_async(self) -> State:
        """See `retry`."""
        return await in_thread(self.retry)

    def delete(self) -> bool:
        """Remove the job, unless a process runs it; return True if it was there, and is gone."""
        store = self._store()
        row = store.delete(self.key, states=frozenset(State) - {State.STARTED})
        if row is not None and not row.state.is_completed:
            wake_after(store, row, self.wake)
            members.after_end(store, row, self.wake)
        return row is not None

    async def delete_async(self) -> bool:
        """See `delete`."""
        return await in_thread(self.delete)

    def _start(self, change: Change, states: frozenset[State]) -> State:
        row = self._store().change(self.key, change, states=states)
        if row is not None:
            self.wake([row.wake])
        return (row or self._row()).state

    def _store(self) -> JobStore:
        if self.store is None:
            raise NoJobStoreError(
                f"{self!r} can't be followed: it was sent as a message. Set UCAM_FAAS_JOB_STORE, "
                "such as sqlite:jobs.db, for the sender and for the tasks, or start `ucam-faas "
                "dev`, which has a store."
            )
        return within(self.store)

    def _row(self) -> Row:
        row = self._store().get(self.key)
        if row is None:
            raise JobNotFoundError(f"There is no job {self.id!r} of {self.task!r}.")
        return row

    def _end(self, timeout: float | None) -> Row:
        row = self._row()
        if row.state.is_completed:
            return row
        future = self._store().end_of(self.key)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise self._late(timeout, self._row()) from None

    async def _end_async(self, timeout: float | None) -> Row:
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(self._store().end_of(self.key))
        except TimeoutError:
            raise self._late(timeout, await in_thread(self._row)) from None

    def _late(self, timeout: float | None, row: Row) -> TimeoutError:
        return TimeoutError(f"{self!r} has not ended within {timeout} s: it is {row.state}.")

    def _result(self, row: Row) -> Any:
        if row.state is State.SUCCESS:
            result = self._store().result_of(row)
            if result is None:
                reason = row.history[-1].message or "it is missing"
                raise ResultNotStoredError(f"{self!r} succeeded without a result: {reason}.")
            return None if result == b"null" else self.read(result)
        error = row.error or {}
        text = f"{self!r} ended as {row.state}"
        if error:
            attempts = f"{row.attempts} failed attempt{'s' * (row.attempts != 1)}"
            text += f" after {attempts}: {error['type']}: {error['message']}"
        raise JobFailed(
            f"{text}.",
            state=row.state,
            cause=row.error,
            attempts=row.attempts,
            history=row.history,
        )
