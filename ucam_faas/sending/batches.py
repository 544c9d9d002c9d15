"""Batches: jobs that were sent together, and the message that their callback gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from ucam_faas.jobs import members
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row, value_of
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores import JobStore, many
from ucam_faas.jobs.transactions import in_thread, within
from ucam_faas.sending.sender import sender

ResultT = TypeVar("ResultT", covariant=True)
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a batch is.

    Args:
        total: of its jobs.
        ended: of these, also those whose retention has ended.
        succeeded: of those that ended.
        failed: that ended as FAILURE, EXPIRED or CANCELLED.
    """

    total: int
    ended: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """The end of a job of a batch.

    Args:
        id: of the job.
        state: in which it ended.
        result: of a success, as JSON has it; None after another end.
        error_type: the type of its last error, such as `ValueError`; empty: it had none.
        error_message: of that error.
    """

    id: str
    state: State
    result: Any = None
    error_type: str = ""
    error_message: str = ""


class BatchEnded(BaseModel):
    """The message of a batch's callback: all jobs of the batch have ended.

    Args:
        batch: the name of the batch: the callback's task and id.
        task: the name of the task that ran the jobs.
        total: the number of its jobs.
        existing: the ids of those that existed before, without the batch.
    """

    model_config = ConfigDict(frozen=True)

    batch: str
    task: str
    total: int
    existing: tuple[str, ...] = ()

    def progress(self) -> BatchProgress:
        """Count the jobs by their ends.

        Raises:
            NoJobStoreError: there is no store.
            JobStoreError: it doesn't answer.
        """
        return _of(self).progress()

    async def progress_async(self) -> BatchProgress:
        """Count the jobs by their ends; see `progress`."""
        return await in_thread(self.progress)

    def outcomes(self) -> Iterator[JobOutcome]:
        """Read the ends of the jobs from the store, some at a time, in no particular order.

        They are kept until the callback has ended, whatever the retention of the jobs is. A job
        that was retried and hasn't ended since is left out; so is one that existed before the
        batch, and whose own retention has ended.

        Raises:
            NoJobStoreError: there is no store.
            JobStoreError: it doesn't answer.
            PayloadMissingError: a large result isn't there any more.
        """
        return _of(self).outcomes()

    async def outcomes_async(self) -> list[JobOutcome]:
        """Return the ends of the jobs; see `outcomes`."""
        return await in_thread(lambda: list(self.outcomes()))


@dataclass(frozen=True, slots=True, repr=False)
class Batch(Sequence[Job[ResultT]], Generic[ResultT]):
    """The jobs of a `send_many` with `then=`, in order.

    Args:
        jobs: the same as of the payloads.
        then: the callback's job. It is PAUSED until the others have ended.
        message: that the callback gets.
    """

    jobs: tuple[Job[ResultT], ...]
    then: Job[Any]
    message: BatchEnded = field(compare=False)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} jobs of {self.message.task!r}, then {self.then!r}>"

    def __len__(self) -> int:
        return len(self.jobs)

    @overload
    def __getitem__(self, index: int) -> Job[ResultT]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Job[ResultT], ...]: ...
    def __getitem__(self, index: int | slice) -> Job[ResultT] | tuple[Job[ResultT], ...]:
        return self.jobs[index]

    def progress(self) -> BatchProgress:
        """Count the jobs by their ends."""
        return self._members().progress()

    async def progress_async(self) -> BatchProgress:
        """Count the jobs by their ends."""
        return await in_thread(self.progress)

    def outcomes(self) -> Iterator[JobOutcome]:
        """Read the ends of those that have ended so far; see `BatchEnded.outcomes`."""
        return self._members().outcomes()

    async def outcomes_async(self) -> list[JobOutcome]:
        """Return the ends of those that have ended so far."""
        return await in_thread(lambda: list(self.outcomes()))

    def cancel(self) -> None:
        """Cancel the jobs that haven't ended; see `Job.cancel`. The callback runs then, unless it
        is cancelled first: `batch.then.cancel()`.
        """
        for job in self._members().live(self.jobs):
            job.cancel()

    async def cancel_async(self) -> None:
        """See `cancel`."""
        await in_thread(self.cancel)

    def _members(self) -> _Members:
        assert self.then.store is not None, "a batch has one"
        return _Members(within(self.then.store), self.then.key, self.message)


@dataclass(frozen=True, slots=True)
class _Members:
    """The jobs of a batch in their store."""

    store: JobStore
    callback: Key
    message: BatchEnded

    @property
    def existing(self) -> list[Key]:
        """The keys of those that existed before."""
        return members.existing_keys(self.callback.app, self.message.task, self.message.existing)

    def progress(self) -> BatchProgress:
        """Count them by their ends."""
        batch = members.batch_of(self.callback)
        counts = self.store.count_members(self.callback.app, batch)
        ended = list(members.ended_among(self.store, self.existing))
        for row in ended:
            if row is not None:
                counts[row.state] = counts.get(row.state, 0) + 1
        live = sum(counts.get(state, 0) for state in LIVE) + len(self.existing) - len(ended)
        succeeded = counts.get(State.SUCCESS, 0)
        failed = sum(count for state, count in counts.items() if state.is_completed) - succeeded
        total = self.message.total
        return BatchProgress(total=total, ended=total - live, succeeded=succeeded, failed=failed)

    def outcomes(self) -> Iterator[JobOutcome]:
        """Read the ends of those that have ended."""
        for row in members.rows_of(self.store, self.callback):
            if row.state.is_completed:
                yield self._outcome(row)
        for existing in members.ended_among(self.store, self.existing):
            if existing is not None:
                yield self._outcome(existing)

    def live(self, jobs: Sequence[Job[Any]]) -> list[Job[Any]]:
        """Return those that haven't ended, each once."""
        distinct = {job.key: job for job in jobs}
        for some in many.batches(list(distinct), _PAGE):
            for key in self.store.ended(some):
                del distinct[key]
        return list(distinct.values())

    def _outcome(self, row: Row) -> JobOutcome:
        error = row.error if row.state is not State.SUCCESS and row.error else {}
        result = self.store.result_of(row) if row.state is State.SUCCESS else None
        return JobOutcome(
            id=row.key.id,
            state=row.state,
            result=None if result is None else value_of(result),
            error_type=error.get("type", ""),
            error_message=error.get("message", ""),
        )


def _of(message: BatchEnded) -> _Members:
    here = sender()
    store = within(here.jobs_for("a batch has no jobs"))
    return _Members(store, members.callback_of(here.settings.app, message.batch), message)
