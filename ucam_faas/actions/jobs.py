"""The jobs of an application: one by its id, those that a filter chooses, and the actions on them:
cancel, retry, resume, delete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.config import Settings
from ucam_faas.exceptions import AmbiguousIdError, JobNotFoundError
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs import members, pages
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import ENDED, LIVE, State
from ucam_faas.jobs.stores import JobStore


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of an application.

    Args:
        runtime: knows the store, and the Pub/Sub for wakes.
        store: keeps the jobs.
    """

    runtime: Runtime
    store: JobStore

    @property
    def app(self) -> str:
        """The name of the application."""
        return self.runtime.settings.app

    @property
    def name(self) -> str:
        """The store for people, without a password."""
        return shown(self.runtime.settings)

    def job(self, key: Key) -> Job[Any]:
        """Return the handle of a job."""
        return Job(key, self.store, partial(inbox.wake, self.runtime))

    def row(self, id: str, task: str | None) -> Row:
        """Return the row of the one job with an id.

        Args:
            id: the job's.
            task: the name of its task, where jobs of several tasks have the id.

        Raises:
            JobNotFoundError: there is none.
            AmbiguousIdError: jobs of several tasks have the id.
        """
        rows = self.store.find(self.app, task=task, id=id)
        if not rows:
            of_task = f" of {task!r}" if task else ""
            raise JobNotFoundError(
                f"There is no job {id!r}{of_task} in {self.name} (application {self.app!r}). It "
                "may have been removed after its retention; `ucam-faas jobs` lists the others."
            )
        if len(rows) > 1:
            tasks = ", ".join(row.key.task for row in rows)
            raise AmbiguousIdError(
                f"Jobs of several tasks have the id {id!r}: {tasks}. Choose one with --task."
            )
        return rows[0]


def shown(settings: Settings) -> str:
    """Return the store that settings name, without user and password."""
    text = settings.job_store or ""
    if "@" not in text:
        return text
    url = urlsplit(text)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


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
        limit: the most jobs; None: all of them.
    """

    task: str | None = None
    states: frozenset[State] = frozenset()
    lane: str | None = None
    batch: str | None = None
    older: timedelta | None = None
    newer: timedelta | None = None
    limit: int | None = None

    @classmethod
    def of(cls, *, states: Sequence[str], **others: Any) -> Filter:
        """Return the filter that options describe, or the query of a page."""
        return cls(states=frozenset(State(name) for name in states), **others)

    @property
    def narrows(self) -> bool:
        """Return True if it leaves jobs out."""
        return any((self.task, self.states, self.lane, self.batch, self.older, self.newer))

    def rows(self, jobs: Jobs, among: frozenset[State] = frozenset()) -> Iterator[Row]:
        """Yield the rows, the latest first, read some at a time.

        A job that changes meanwhile, as by an action on it, is neither left out nor seen twice.

        Args:
            jobs: to choose from.
            among: the states to choose from if the filter names none.
        """
        now, states = jobs.store.now(), self.states or among
        since = None if self.newer is None else now - self.newer.total_seconds()
        until = None if self.older is None else now - self.older.total_seconds()
        if self.batch is None:
            page = pages.ROWS if self.lane else min(pages.ROWS, self.limit or pages.ROWS)
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
        return islice((row for row in rows if self.lane in (None, row.lane)), self.limit)


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


def rows_for(jobs: Jobs, name: str, chosen: Filter) -> Iterator[Row]:
    """Yield the rows that an action is for: all that a filter chooses, the latest first.

    Args:
        jobs: to choose from.
        name: of the action, as in ACTIONS.
        chosen: without states, it chooses among those that the action is usually for.
    """
    rows = replace(chosen, limit=None).rows(jobs, among=ACTIONS[name].by_default)
    if name == "resume":
        rows = (row for row in rows if not row.is_waiting_callback)
    return islice(rows, chosen.limit)


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
