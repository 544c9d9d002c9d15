"""Jobs in a test: sent, run and followed in memory, in this process, without a Pub/Sub.

A job goes the way of the cloud: row, wake, push to the inbox, claim, function, stored
end. Time stands still, except in `Jobs.advance`, and in `Jobs.run_all` with hostile deliveries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from ucam_faas.config import Settings
from ucam_faas.exceptions import JobNotFoundError, UCAMFAASCouldNotLoadTarget
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.job_runs.sweeping import sweep_jobs
from ucam_faas.jobs.events import JobEvent
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import MEMORY, SqliteStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.publishing import Draft
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_named, inbox_of, inbox_path
from ucam_faas.testing.client import Client, serve
from ucam_faas.testing.clock import ManualClock, duration
from ucam_faas.testing.events import make_message, make_push
from ucam_faas.testing.hostile_jobs import HostileJobs, TaskWake
from ucam_faas.testing.not_idle import NotIdleError
from ucam_faas.testing.tasks import tasks_of

JobDeliveries = Literal["normal", "hostile"]
"""How `jobs` delivers wakes."""
MOST_ROWS = 100_000
EVENTS_TOPIC = "events"
"""Where the events of jobs go, unless the settings name another topic."""


class JobsFactory(Protocol):
    """The type of the fixture `ucam_faas_jobs`."""

    def __call__(
        self,
        *tasks: Any,
        inline: bool = False,
        deliveries: JobDeliveries = "normal",
        seed: int = 0,
        database: str | PathLike[str] | None = None,
        settings: Settings | None = None,
    ) -> Jobs:
        """Take and run the jobs of tasks until the test ends; see `Jobs`."""


class Publisher(MemoryPublisher):
    """Hands wakes on, and keeps all other messages in `topics`."""

    __slots__ = ("on_wake", "tasks")

    def __init__(self, tasks: Sequence[Task], on_wake: Callable[[TaskWake], None]) -> None:
        super().__init__()
        self.tasks = {task.name: task for task in tasks}
        self.on_wake = on_wake

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages, and return their ids.

        Raises:
            UCAMFAASCouldNotLoadTarget: a job was sent to a task that the test doesn't serve.
        """
        short = topic.rpartition("/")[2]
        self.topics.setdefault(topic, [])
        ids = super().publish_many(topic, drafts, timeout_seconds=timeout_seconds)
        for draft in drafts:
            if inbox.JOB_ATTRIBUTE in draft.attributes:
                self.on_wake(self._wake(short, draft.attributes[inbox.JOB_ATTRIBUTE]))
        return ids

    def _wake(self, topic: str, id: str) -> TaskWake:
        named = inbox_named(topic)
        assert named is not None, "wakes go to inboxes"
        task = self.tasks.get(named.task)
        if task is None:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise UCAMFAASCouldNotLoadTarget(
                f"A job was sent to {named.task!r}, which isn't among the "
                f"tasks of this test: {known}. Name it where you name those."
            )
        return TaskWake(task, id, named.lane)


class _Store(SqliteStore):
    """Rows in memory, whose waiters don't wait: in a test, only `Jobs` runs jobs."""

    def end_of(self, key: Key) -> Future[Row]:
        """Return the row of a job that has ended, or raise an error that says what to call."""
        future: Future[Row] = Future()
        row = self.get(key)
        if row is None:
            future.set_exception(JobNotFoundError(f"There is no job {key.id!r} of {key.task!r}."))
        elif row.state.is_completed:
            future.set_result(row)
        else:
            future.set_exception(
                NotIdleError(
                    f"The job {key.id!r} of {key.task!r} is {row.state}, and runs only when the "
                    "test calls run_all() or advance(…)."
                )
            )
        return future


class Jobs:
    """The jobs that a test sends, and the tasks that run them.

    Attributes:
        clock: moves in `advance`.
        client: makes requests to the tasks, such as those of `jobs_over_http`.
        store: has the rows.
        publisher: has the messages that tasks publish, in its `topics`.
        events: of the jobs that have ended: a `ucam_faas.JobEvent` each.
        seed: of hostile deliveries: the same one does the same.
    """

    def __init__(
        self,
        client: Client,
        store: SqliteStore,
        publisher: Publisher,
        wakes: deque[TaskWake],
        clock: ManualClock,
        hostile: HostileJobs | None,
    ) -> None:
        self.clock = clock
        self.store = store
        self.publisher = publisher
        self.seed = hostile.seed if hostile is not None else 0
        self.client = client
        self._runtime = client.app.runtime
        self._wakes = wakes
        self._hostile = hostile
        self._running = False

    @property
    def events(self) -> list[JobEvent]:
        """The events of ended jobs so far; their messages are in `publisher.topics`."""
        messages = self.publisher.topics.get(self._runtime.settings.events_topic or "", [])
        return [JobEvent.model_validate_json(message.data) for message in messages]

    @property
    def tricks(self) -> list[str]:
        """The tricks of hostile deliveries so far, one line each."""
        return list(self._hostile.tricks) if self._hostile is not None else []

    def run_all(self) -> None:
        """Run the jobs whose time has come, and those that they send, until none is left.

        Time stands still: a job with a delay, or one that failed and waits for its next attempt,
        runs in `advance`. With hostile deliveries time moves on over lost wakes and leases.
        """
        if self._running:  # called by a task, or by an inline send: the outer call goes on
            return
        self._running = True
        try:
            self._drain()
            while self._hostile is not None and self._hostile.take_lost():
                self.clock.advance(AGAIN_SECONDS)
                self._sweep()
                self._drain()
            if self._hostile is not None:
                self._hostile.deliver_late(self._push)
                self._drain()
        finally:
            self._running = False

    def advance(self, by: timedelta | float) -> None:
        """Let time pass: delays and backoffs end, jobs expire, retentions end, and jobs run.

        Args:
            by: a timedelta, or seconds.

        Raises:
            TypeError: it is neither.
        """
        end = self.store.now() + duration(by).total_seconds()
        self.run_all()
        while (due := self._next_visit()) is not None and due <= end:
            self._move_to(due)
            self._sweep()
            self.run_all()
        self._move_to(end)
        self._sweep()
        self.run_all()

    def _drain(self) -> None:
        while self._wakes:
            wake = self._wakes.popleft()
            if self._hostile is None:
                self._push(wake)
            else:
                self._hostile.deliver(wake, self._push, self._runtime)

    def _push(self, wake: TaskWake) -> int:
        """Deliver a wake, and return the status of the answer."""
        message = make_message(attributes={inbox.JOB_ATTRIBUTE: wake.id})
        subscription = f"projects/test-project/subscriptions/{inbox_of(wake.task.name, wake.lane)}"
        push = make_push(message, subscription=subscription)
        path = inbox_path(wake.task.route, wake.lane)
        return self.client.post(path, body=push.body, headers=push.headers).status

    def _sweep(self) -> None:
        sweep_jobs(self._runtime)
        if self._hostile is not None:
            self._hostile.order(self._wakes)

    def _next_visit(self) -> float | None:
        """Return when something happens next, in epoch seconds."""
        rows = self.store.find(self._runtime.settings.app, limit=MOST_ROWS)
        return min((row.visit for row in rows if row.state is not State.PAUSED), default=None)

    def _move_to(self, time: float) -> None:
        self.clock.advance(max(0.0, time - self.store.now()))
        while self.store.now() < time:  # a datetime is rounded to microseconds
            self.clock.advance(1e-6)


@contextmanager
def jobs(
    *tasks: Any,
    inline: bool = False,
    deliveries: JobDeliveries = "normal",
    seed: int = 0,
    database: str | PathLike[str] | None = None,
    settings: Settings | None = None,
    clock: ManualClock | None = None,
) -> Iterator[Jobs]:
    """Take and run the jobs of tasks, in memory.

    Args:
        tasks: decorated functions, their tasks, or one source (a path or a module name).
        inline: run a job before its `send` returns; a job that a task sends, after that task.
            False: jobs wait for `run_all` or `advance`.
        deliveries: "normal": each wake comes once; "hostile": duplicate, late and lost wakes, and
            holders that lose their lease and go on.
        seed: of hostile deliveries.
        database: the SQLite file that keeps the jobs, for `ucam_faas.transaction` on connections to
            it; default: memory.
        settings: default: the defaults, with a topic for events, whatever the environment says.
        clock: default: a new one.

    Raises:
        UCAMFAASCouldNotLoadTarget: a task cannot be served, or its start-up code fails.
    """
    if deliveries not in get_args(JobDeliveries):
        known = ", ".join(map(repr, get_args(JobDeliveries)))
        raise ValueError(f"deliveries={deliveries!r}: expected one of {known}.")
    clock = clock or ManualClock()
    loaded, wakes = tasks_of(tasks), deque[TaskWake]()
    made: list[Jobs] = []

    def on_wake(wake: TaskWake) -> None:
        wakes.append(wake)
        if inline and made:
            made[0].run_all()

    publisher = Publisher(loaded, on_wake)
    store = _Store(MEMORY if database is None else str(Path(database)), clock)
    hostile = HostileJobs(seed) if deliveries == "hostile" else None
    before = CURRENT.get()
    try:
        settings = settings or Settings(events_topic=EVENTS_TOPIC)
        with serve(
            *loaded, settings=settings, clock=clock, publisher=publisher, store=store
        ) as client:
            made.append(Jobs(client, store, publisher, wakes, clock, hostile))
            CURRENT.set(client.app.runtime)
            yield made[0]
    finally:
        CURRENT.set(before)
        store.close()
