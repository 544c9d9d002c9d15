"""`ucam_faas.current_job()`: the job of the running execution, for its task."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast, overload

from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobCancelledError, JobNotFoundError
from ucam_faas.job_runs.completion import Completion, block_of
from ucam_faas.job_runs.lease import Lease
from ucam_faas.job_runs.step_values import StepType, to_json
from ucam_faas.job_runs.steps import Steps
from ucam_faas.jobs.rows import Row, check_size, lost
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.transactions import in_thread, within

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The job that runs.

    Args:
        id: of the job.
        attempt: the number of this attempt, from 1; the task's limit counts it.
        source_task: the name of the task that sent the job; empty: none did.
    """

    id: str
    attempt: int
    source_task: str
    _row: Row = field(repr=False)
    _store: JobStore = field(repr=False)
    _completion: Completion = field(repr=False)
    _steps: Steps = field(repr=False)

    @property
    def times_resumed(self) -> int:
        """How often `job.resume()` ended a pause."""
        return sum(entry.cause == "resumed" for entry in self._row.history)

    @property
    def cancel_requested(self) -> bool:
        """`job.cancel()` was called; read fresh."""
        return self._held(within(self._store).get(self._row.key)).cancel_requested

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the job is, for `job.progress` and `ucam-faas jobs show`.

        Args:
            done: in any unit.
            total: in the same unit; None: it isn't known.
            note: for people.

        Raises:
            JobCancelledError: `job.cancel()` was called. A task that lets it pass ends the job.
            JobLostError: another process holds the job by now.
            JobStoreError: the store doesn't answer.
        """
        progress = {"done": done, "total": total, "note": note}
        store = within(self._store)
        row = self._held(store.report(self._row.key, progress, fence=self._row.fence))
        if row.cancel_requested:
            raise JobCancelledError(f"The job {self.id!r} was cancelled.")

    async def progress_async(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the job is; see `progress`."""
        await in_thread(self.progress, done, total, note)

    def step(
        self,
        name: str,
        function: Callable[ParamsT, ResultT],
        /,
        *args: ParamsT.args,
        **kwargs: ParamsT.kwargs,
    ) -> ResultT:
        """Call a function, and store its result; a later attempt returns that, without a call.

        The result is stored as JSON, and read as the function's return annotation says. An error
        isn't stored: the step runs again at the next attempt.

        Args:
            name: of the step; each step of a job has its own.
            function: does the step.
            args: of the function.
            kwargs: of the function.

        Raises:
            JobCancelledError: `job.cancel()` was called. The result is stored.
            JobLostError: another process holds the job by now. The result isn't stored.
            JobStoreError: the store doesn't answer.
            TypeError: the result can't be stored or read back; or the function is async.
            ValueError: another step has the name, or the result is too large for the store.
        """
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"The function of the step {name!r} is async: write `await job.step_async(…)`."
            )
        kind, steps = StepType(name, function), self._steps
        stored = steps.begin(name)
        if stored is not None:
            return cast("ResultT", kind.value(stored))  # by its annotation
        with steps.running(name):
            stored, value = kind.stored(function(*args, **kwargs))
            steps.end(name, stored)
        return cast("ResultT", value)

    @overload
    async def step_async(
        self,
        name: str,
        function: Callable[ParamsT, Awaitable[ResultT]],
        /,
        *args: ParamsT.args,
        **kwargs: ParamsT.kwargs,
    ) -> ResultT: ...

    @overload
    async def step_async(
        self,
        name: str,
        function: Callable[ParamsT, ResultT],
        /,
        *args: ParamsT.args,
        **kwargs: ParamsT.kwargs,
    ) -> ResultT: ...

    async def step_async(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Await an async function, or call another in a thread; see `step`."""
        kind, steps = StepType(name, function), self._steps
        if not steps.is_read:
            await in_thread(steps.read)
        stored = steps.begin(name)
        if stored is not None:
            return kind.value(stored)
        with steps.running(name):
            is_async = inspect.iscoroutinefunction(function)
            value = function(*args, **kwargs) if is_async else None
            value = await (value or in_thread(function, *args, **kwargs))
            stored, value = kind.stored(await value if inspect.isawaitable(value) else value)
            await in_thread(steps.end, name, stored)
        return value

    @property
    def cursor(self) -> Any:
        """The value that `save_cursor` stored last, in this attempt or an earlier one; None: none
        has been.
        """
        return self._steps.cursor()

    async def cursor_async(self) -> Any:
        """Return the cursor."""
        return await in_thread(self._steps.cursor)

    def save_cursor(self, value: Any) -> None:
        """Store how far a loop is; a later attempt continues it from `cursor`.

        Args:
            value: that JSON has.

        Raises:
            JobCancelledError: `job.cancel()` was called. The cursor is stored.
            JobLostError: another process holds the job by now. The cursor isn't stored.
            JobStoreError: the store doesn't answer.
            TypeError: the value can't be stored.
            ValueError: it is too large for the store.
        """
        self._steps.save_cursor(value)

    async def save_cursor_async(self, value: Any) -> None:
        """Store how far a loop is; see `save_cursor`."""
        await in_thread(self._steps.save_cursor, value)

    def sleep(self, duration: timedelta, *, name: str | None = None) -> None:
        """Give the instance back, and have the function called again when the time is up; there,
        this returns at once.

        The function is called from its beginning, so the work before belongs into steps. It ends
        here by an exception that no `except Exception` catches. No attempt is spent.

        Args:
            duration: until the job goes on.
            name: of the sleep; without one, the sleeps of a job are numbered in their order.

        Raises:
            RuntimeError: a transaction is open.
            ValueError: the duration is longer than a century, or another sleep has the name.
            JobLostError: another process holds the job by now.
            JobStoreError: the store doesn't answer.
        """
        signal = self._steps.sleep(duration, name)
        if signal is not None:
            raise signal

    async def sleep_async(self, duration: timedelta, *, name: str | None = None) -> None:
        """Give the instance back; see `sleep`."""
        signal = await in_thread(self._steps.sleep, duration, name)
        if signal is not None:
            raise signal

    def complete(self, result: Any = None, *, connection: Any = None) -> None:
        """End the job with its result, in the transaction that has its effects: both are stored,
        once, or neither.

        In a block of `ucam_faas.transaction`, the end of the block commits. Elsewhere this commits
        the connection's open transaction, or rolls it back after an error. The job has ended then:
        the task's return value, and a later failure, change nothing.

        Args:
            result: as the task would return it.
            connection: see `ucam_faas.transaction`; in a block, the block's.

        Raises:
            JobLostError: another process holds the job by now, or its deadline has passed. The
                transaction is rolled back.
            TypeError: the result can't be stored, or the connection can't be used.
            ValueError: the result is too large for the store, or the connection isn't the block's.
            RuntimeError: the connection isn't in a transaction; the job was completed before.
            ConfigurationError: the connection is to another database than the store's.
            JobStoreError: the store doesn't answer.
        """
        with block_of(connection):
            self._complete(result)

    async def complete_async(self, result: Any = None, *, connection: Any = None) -> None:
        """End the job with its result; see `complete`. The connection is an async one."""
        async with block_of(connection):
            await in_thread(self._complete, result)

    def _complete(self, result: Any) -> None:
        data = to_json(result, "result")
        check_size(self._row, self._store.max_bytes, data, steps=self._steps.size)
        self._completion.add(self._row, data)

    def _held(self, row: Row | None) -> Row:
        """Return the row, if this process holds the job still.

        Raises:
            JobLostError: it doesn't.
        """
        own = self._row
        if row is None or row.fence != own.fence or row.state is not State.STARTED:
            raise lost(own.key)
        return row


CURRENT_JOB: ContextVar[CurrentJob | None] = ContextVar("CURRENT_JOB", default=None)
"""Set while a job runs."""


def current_job() -> CurrentJob:
    """Return the job that runs.

    Raises:
        JobNotFoundError: no job runs here: the delivery isn't a job's.
    """
    job = CURRENT_JOB.get()
    if job is None:
        raise JobNotFoundError(
            "current_job() was called where no job runs. `task.send(…)` starts one, as does each "
            "message on the topic of a task with idempotent=True."
        )
    return job


def enter(lease: Lease, completion: Completion, clock: Clock) -> Steps:
    """Let a claimed job be the current one in this context, and return its steps.

    Args:
        completion: the end of the job by its task's own hand.
        clock: by which the lease ends.
    """
    steps, row = Steps(lease, clock), lease.row
    job = CurrentJob(row.key.id, row.attempts + 1, row.source, row, lease.store, completion, steps)
    CURRENT_JOB.set(job)
    return steps
