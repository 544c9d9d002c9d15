"""The jobs that filters choose, and the actions on them: cancel, retry, resume, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from ucam_faas.cli._job_store import Jobs
from ucam_faas.jobs import members, pages
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import ENDED, LIVE, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Chooses jobs.

    Args:
        task: the name of their task.
        states: in which they are; none: in any.
        lane: the lane of their task.
        batch: the id of their batch's callback, or the batch's name: the callback's task and id.
        older: sent longer ago than this.
        newer: sent within this time.
        limit: the most jobs.
    """

    task: str | None
    states: frozenset[State]
    lane: str | None
    batch: str | None
    older: timedelta | None
    newer: timedelta | None
    limit: int

    @classmethod
    def of(cls, *, states: Sequence[str], **others: Any) -> Filter:
        """Return the filter that the options describe."""
        return cls(states=frozenset(State(name) for name in states), **others)

    @property
    def narrows(self) -> bool:
        """Return True if it leaves jobs out."""
        return any((self.task, self.states, self.lane, self.batch, self.older, self.newer))

    def rows(self, jobs: Jobs, among: frozenset[State] = frozenset()) -> list[Row]:
        """Return the rows, the latest first.

        Args:
            jobs: to choose from.
            among: the states to choose from if the filter names none.
        """
        now, states = jobs.store.now(), self.states or among
        since = None if self.newer is None else now - self.newer.total_seconds()
        until = None if self.older is None else now - self.older.total_seconds()
        if self.batch is None:
            page = pages.ROWS if self.lane else min(pages.ROWS, self.limit)
            rows = pages.latest(
                jobs.store,
                jobs.app,
                task=self.task,
                states=states,
                since=since,
                until=until,
                page=page,
            )
        else:
            rows = (
                row
                for row in sorted(_members(jobs, self.batch), key=lambda row: -row.created)
                if self.task in (None, row.key.task)
                and (not states or row.state in states)
                and (since is None or since <= row.created)
                and (until is None or row.created < until)
            )
        return list(islice((row for row in rows if self.lane in (None, row.lane)), self.limit))


def _members(jobs: Jobs, batch: str) -> Iterator[Row]:
    callbacks = [members.callback_of(jobs.app, batch)]
    if "/" not in batch:
        callbacks = [row.key for row in jobs.store.find(jobs.app, id=batch)]
    for callback in callbacks:
        yield from members.rows_of(jobs.store, callback)


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do with a job.

    Args:
        run: does it.
        possible: the states in which it can be done.
        by_default: the states of the jobs that `--all` chooses.
        refusal: what to say of a job in another state.
    """

    run: Callable[[Job[Any]], object]
    possible: frozenset[State]
    by_default: frozenset[State]
    refusal: str


ACTIONS = {
    "cancel": Action(Job.cancel, LIVE, LIVE, "it has ended"),
    "retry": Action(
        Job.retry, ENDED - {State.SUCCESS}, frozenset({State.FAILURE}),
        "only a job that ended without success runs again",
    ),
    "resume": Action(
        Job.resume, frozenset({State.PAUSED}), frozenset({State.PAUSED}), "it isn't paused"
    ),
    "delete": Action(
        Job.delete, frozenset(State) - {State.STARTED}, ENDED, "a process runs it: cancel it first"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an action on a job; `state` is None for a job that was deleted."""

    row: Row
    done: bool
    state: State | None
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        key = self.row.key
        return {"id": key.id, "task": key.task, "state": self.state, "done": self.done}


def act(jobs: Jobs, name: str, row: Row) -> Result:
    """Do something with a job, unless its state forbids it."""
    action, label = ACTIONS[name], f"{row.key.id} of {row.key.task}"
    if row.state not in action.possible:
        return Result(row, False, row.state, f"{label} is {row.state}: {action.refusal}.")
    if name == "resume" and row.is_waiting_callback:
        return Result(row, False, row.state, f"{label} is {row.state}: it waits for its batch.")
    state = action.run(jobs.job(row.key))
    now = jobs.store.get(row.key)
    if now is None:
        return Result(row, True, None, f"{label} is deleted.")
    if not isinstance(state, State):
        state = now.state  # else that of the change: the job may have run by now
    text = f"{label} is {state}."
    if now.cancel_requested:
        text = f"{label} is {now.state}: its process was asked to end it."
    done = name != "delete" and (state is not row.state or now.cancel_requested)
    return Result(row, done, state, text)
