"""A job as its sender sees it: its state, read fresh, and its result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from ucam_faas.exceptions import JobFailed, JobNotFoundError
from ucam_faas.jobs.rows import Change, Entry, Key, Row
from ucam_faas.jobs.states import ENDED, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS, retention
from ucam_faas.jobs.waiting import Waiting

WAITING = frozenset({State.PENDING, State.PAUSED})


@dataclass(frozen=True, slots=True)
class Job:
    """One sending of a task.

    Args:
        store: keeps its row.
        waiting: waits for ends in that store.
        wake: publishes a wake to the task's inbox.
        result_type: the annotation of the task's result; None: as JSON has it.
    """

    key: Key
    store: JobStore = field(compare=False)
    waiting: Waiting = field(compare=False)
    wake: Callable[[Key], object] = field(compare=False)
    result_type: Any = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<Job {self.key.id!r} of {self.key.task!r}>"

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
        """The progress that its task reported last."""
        return self._row().progress

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return the task's result.

        Args:
            timeout: in seconds; None: as long as it takes.

        Raises:
            JobFailed: it ended without success.
            JobNotFoundError: it is not there any more.
            TimeoutError: it has not ended.
        """
        return self._result(self.wait(timeout))

    def wait(self, timeout: float | None = None) -> Row:
        """Wait for the end, and return the row; see `result`."""
        row = self._row()
        if row.state.is_completed:
            return row
        future = self.waiting.end_of(self.key)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"{self!r} has not ended within {timeout} s.") from None

    async def result_async(self) -> Any:
        """Wait for the end, and return the task's result; see `result`."""
        return self._result(await self.wait_async())

    async def wait_async(self) -> Row:
        """Wait for the end, and return the row; see `result`."""
        future: Future[Row] = self.waiting.end_of(self.key)
        return await asyncio.wrap_future(future)

    def cancel(self) -> State:
        """End a job that waits, or ask its process to end it; return its state now."""
        kept = retention(self._row())
        change = Change(state=State.CANCELLED, cause="cancelled", visit=kept)
        row = self.store.change(self.key, change, states=WAITING)
        row = row or self.store.request_cancel(self.key)
        return (row or self._row()).state

    def resume(self) -> State:
        """Let a paused job go on."""
        change = Change(state=State.PENDING, cause="resumed", visit=AGAIN_SECONDS, wait=0)
        return self._start(change, frozenset({State.PAUSED}))

    def retry(self) -> State:
        """Run a job again that ended without success."""
        change = Change(
            state=State.PENDING, cause="retried", visit=AGAIN_SECONDS, wait=0, afresh=True
        )
        return self._start(change, ENDED - {State.SUCCESS})

    def delete(self) -> bool:
        """Remove the row, unless a process holds the job."""
        return self.store.delete(self.key, states=frozenset(State) - {State.STARTED})

    def _start(self, change: Change, states: frozenset[State]) -> State:
        row = self.store.change(self.key, change, states=states)
        if row is not None:
            self.wake(self.key)
        return (row or self._row()).state

    def _row(self) -> Row:
        row = self.store.get(self.key)
        if row is None:
            raise JobNotFoundError(f"There is no job {self.id!r} of {self.task!r}.")
        return row

    def _result(self, row: Row) -> Any:
        if row.state is State.SUCCESS:
            value = json.loads(row.result or b"null")
            if self.result_type is None:
                return value
            return TypeAdapter(self.result_type).validate_python(value)
        error = row.error or {}
        text = f"{self!r} ended as {row.state}"
        if error:
            text += f" after {row.attempts} failed attempts: {error['type']}: {error['message']}"
        raise JobFailed(
            f"{text}.",
            state=row.state,
            cause=row.error,
            attempts=row.attempts,
            history=row.history,
        )
