"""When Cloud Tasks' tasks are dispatched: state, and time as epoch seconds. Pure.

The driver asks `next_due` when to come back, makes the attempts that `due` (or `run`) returns, and
reports the result of each to `finished`. Not safe for threads.

Sources: Google's page "CloudTasks" (RPC), and those of `tasks`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ucam_faas.emulator.cloud_tasks.backlog import Backlog
from ucam_faas.emulator.cloud_tasks.tasks import (
    RETENTION_SECONDS,
    Attempt,
    Dispatch,
    Queue,
    QueueState,
    Task,
)
from ucam_faas.emulator.errors import RpcError, already_exists, not_found

NAME_TAKEN_SECONDS = 24 * 3600.0
"""How long the id of a task that has ended can't be used again ("CreateTaskRequest")."""
NO_QUEUE = (
    "Queue does not exist (queue={}). If you just created the queue, wait at least a minute for "
    "the queue to initialize."
)

Save = Callable[[str, str, Mapping[str, Any] | None], None]
"""Keeps something: its kind ("queues", "tasks" or "names"), name, and value; None: forget it."""


class TaskQueues:
    """All queues and their tasks. A name that doesn't exist is an `RpcError` NOT_FOUND.

    Args:
        save: gets each change.
    """

    def __init__(self, save: Save) -> None:
        self._save = save
        self._backlogs: dict[str, Backlog] = {}
        self._tasks: dict[str, dict[str, Task]] = {}
        """By queue and name."""
        self._taken: dict[str, float] = {}
        """When the names of tasks that have ended become free."""
        self._numbers = itertools.count(1)

    def restore(
        self,
        queues: Iterable[Queue],
        tasks: Iterable[Task],
        taken: Mapping[str, float],
        now: float,
    ) -> None:
        """Take over from an earlier process; the attempts that ran at its end are made again."""
        for queue in queues:
            self._backlogs[queue.name], self._tasks[queue.name] = Backlog(queue, now), {}
        for task in tasks:
            self._tasks[task.queue][task.name] = task
            self._backlogs[task.queue].add(task.name, task.schedule_time)
        self._taken.update(taken)

    # -- queues -------------------------------------------------------------------------------

    def create_queue(self, queue: Queue, now: float) -> Queue:
        """Add a queue; a name twice is ALREADY_EXISTS."""
        if queue.name in self._backlogs:
            raise already_exists(queue.name)
        self._backlogs[queue.name], self._tasks[queue.name] = Backlog(queue, now), {}
        return self._keep_queue(queue)

    def has_queue(self, name: str) -> bool:
        """Return True if there is a queue of this name."""
        return name in self._backlogs

    def get_queue(self, name: str) -> Queue:
        """Return a queue."""
        return self._backlog(name).queue

    def queues(self, prefix: str = "") -> Sequence[Queue]:
        """Return the queues whose names begin with `prefix`, by name."""
        names = sorted(name for name in self._backlogs if name.startswith(prefix))
        return [self._backlogs[name].queue for name in names]

    def update_queue(self, queue: Queue, now: float) -> Queue:
        """Replace a queue's configuration, but not its state; without the queue, create it."""
        backlog = self._backlogs.get(queue.name)
        if backlog is None:
            return self.create_queue(queue, now)
        old = backlog.queue
        return self._keep_queue(replace(queue, state=old.state, purge_time=old.purge_time))

    def delete_queue(self, name: str) -> None:
        """Remove a queue and its tasks."""
        self._backlog(name)
        for task in list(self._tasks[name].values()):
            self._save("tasks", task.name, None)
        del self._backlogs[name], self._tasks[name]
        self._save("queues", name, None)

    def pause(self, name: str) -> Queue:
        """Dispatch no more."""
        return self._keep_queue(replace(self.get_queue(name), state=QueueState.PAUSED))

    def resume(self, name: str) -> Queue:
        """Dispatch again."""
        return self._keep_queue(replace(self.get_queue(name), state=QueueState.RUNNING))

    def purge(self, name: str, now: float) -> Queue:
        """Delete all tasks of a queue."""
        queue = self.get_queue(name)
        for task in list(self._tasks[name].values()):
            self._end(task, now)
        return self._keep_queue(replace(queue, purge_time=now))

    def _keep_queue(self, queue: Queue) -> Queue:
        self._backlogs[queue.name].queue = queue
        self._save("queues", queue.name, queue.to_dict())
        return queue

    def _backlog(self, name: str) -> Backlog:
        if name not in self._backlogs:
            raise RpcError("NOT_FOUND", NO_QUEUE.format(name))
        return self._backlogs[name]

    # -- tasks --------------------------------------------------------------------------------

    def create(self, task: Task, now: float) -> Task:
        """Add a task; a name that is, or was lately, another task's is ALREADY_EXISTS."""
        self._backlog(task.queue)
        if task.name in self._tasks[task.queue] or self._taken.get(task.name, now) > now:
            raise already_exists(task.name)
        return self._wait(task)

    def get(self, name: str) -> Task:
        """Return a task."""
        task = self._tasks.get(name.rpartition("/tasks/")[0], {}).get(name)
        if task is None:
            raise not_found(name)
        return task

    def tasks(self, queue: str) -> Mapping[str, Task]:
        """Return a queue's tasks, by name."""
        self._backlog(queue)
        return self._tasks[queue]

    def delete(self, name: str, now: float) -> None:
        """Remove a task; the results of its running attempts are ignored."""
        self._end(self.get(name), now)

    def run(self, name: str, now: float) -> Dispatch:
        """Return an attempt to make now, whatever the schedule, the state and the limits say."""
        return self._dispatch(self.get(name), now, forced=True)

    # -- dispatching --------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Return when the next attempt is due; None: there is none."""
        dues = [backlog.next_due() for backlog in self._backlogs.values()]
        return min((due for due in dues if due is not None), default=None)

    def due(self, now: float) -> Sequence[Dispatch]:
        """Return the attempts to make now; report each to `finished`."""
        dispatches = []
        for queue, backlog in self._backlogs.items():
            while (name := backlog.take(now)) is not None:
                dispatch = self._dispatch(self._tasks[queue][name], now)
                backlog.running.add(dispatch.id)
                dispatches.append(dispatch)
        return dispatches

    def finished(
        self, dispatch: Dispatch, now: float, *, status: int | None, code: int, text: str
    ) -> float | None:
        """Record the result of an attempt. One of a task that has ended meanwhile is ignored.

        Args:
            dispatch: the attempt.
            now: epoch seconds.
            status: of the response; None: there was none.
            code: of google.rpc; 0: success.
            text: says more about the code.

        Returns:
            when the task is tried again, in epoch seconds; None: never.
        """
        name, queue = dispatch.task.name, dispatch.task.queue
        backlog = self._backlogs.get(queue)
        if backlog is not None:
            backlog.running.discard(dispatch.id)
        task = self._tasks.get(queue, {}).get(name)
        if task is None or backlog is None or task.create_time != dispatch.task.create_time:
            return None
        retry = task.retry or backlog.queue.retry
        started = dispatch.task.last_attempt
        assert started is not None, "a dispatched task has an attempt"
        base = started.dispatch_time if dispatch.forced else now
        at = max(now, base + retry.backoff(dispatch.task.dispatch_count))
        elapsed = at - (task.first_dispatch_time or now)
        lives = at < task.create_time + RETENTION_SECONDS
        if code == 0 or not lives or not retry.allows(task.dispatch_count, elapsed):
            self._end(task, now)
            return None
        answered = status is not None
        self._wait(
            replace(
                task,
                schedule_time=at,
                response_count=task.response_count + answered,
                execution_count=task.execution_count + (status is not None and status < 500),
                last_attempt=replace(started, response_time=now, code=code, text=text),
                previous_status=status if answered else task.previous_status,
            )
        )
        return at

    def set_back(self, seconds: float, now: float) -> None:
        """Follow a wall clock that was set back: keep retries as far away as they were."""
        for backlog in self._backlogs.values():
            backlog.set_back(seconds)
        for task in [task for tasks in self._tasks.values() for task in tasks.values()]:
            if task.first_dispatch_time is not None and task.schedule_time > now:
                first = task.first_dispatch_time - seconds
                at = task.schedule_time - seconds
                self._wait(replace(task, schedule_time=at, first_dispatch_time=first))

    def expire(self, now: float) -> None:
        """Delete tasks that are older than the retention, and free names."""
        for tasks in self._tasks.values():
            for task in list(tasks.values()):
                if task.create_time + RETENTION_SECONDS <= now:
                    self._end(task, now)
        for name in [name for name, until in self._taken.items() if until <= now]:
            del self._taken[name]
            self._save("names", name, None)

    def clear(self) -> None:
        """Forget everything, without saving it."""
        for table in (self._backlogs, self._tasks, self._taken):
            table.clear()

    def _dispatch(self, task: Task, now: float, *, forced: bool = False) -> Dispatch:
        attempt = Attempt(schedule_time=task.schedule_time, dispatch_time=now)
        first = now if task.first_dispatch_time is None else task.first_dispatch_time
        task = replace(
            task,
            dispatch_count=task.dispatch_count + 1,
            first_dispatch_time=first,
            last_attempt=attempt,
        )
        self._keep(task)
        return Dispatch(task=task, id=next(self._numbers), forced=forced)

    def _wait(self, task: Task) -> Task:
        self._backlogs[task.queue].add(task.name, task.schedule_time)
        return self._keep(task)

    def _keep(self, task: Task) -> Task:
        self._tasks[task.queue][task.name] = task
        self._save("tasks", task.name, task.to_dict())
        return task

    def _end(self, task: Task, now: float) -> None:
        del self._tasks[task.queue][task.name]
        self._backlogs[task.queue].remove(task.name)
        self._save("tasks", task.name, None)
        if task.named:
            until = self._taken[task.name] = now + NAME_TAKEN_SECONDS
            self._save("names", task.name, {"until": until})
