"""Dispatches the tasks of the embedded Cloud Tasks: sends their requests on time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from ucam_faas.emulator.cloud_tasks.engine import TaskQueues
from ucam_faas.emulator.cloud_tasks.tasks import Dispatch, Queue, Task
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.targets.caller import Answer, Caller
from ucam_faas.emulator.targets.timer import WallTimer

_CODES = {
    400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4,
}  # fmt: skip
"""Codes of google.rpc, by the HTTP statuses that google/rpc/code.proto maps them to."""
_UNKNOWN = 2


class TaskDispatcher:
    """All queues, and the timer of the next dispatch.

    Args:
        hub: saves, and has the time.
        caller: sends the requests.
        longest_timer: seconds; see `WallTimer`.
    """

    def __init__(self, hub: Hub, caller: Caller, *, longest_timer: float) -> None:
        self._hub = hub
        self._caller = caller
        self._running: set[asyncio.Task[None]] = set()
        self.queues = TaskQueues(self._save)
        self._timer = WallTimer(
            hub, next_due=self.queues.next_due, fire=self._fire_due,
            set_back=self.queues.set_back, longest_timer=longest_timer,
        )  # fmt: skip
        hub.sweepers.append(self._expire)
        self.queues.restore(
            map(Queue.from_dict, self._kept("queues").values()),
            map(Task.from_dict, self._kept("tasks").values()),
            {name: value["until"] for name, value in self._kept("names").items()},
            hub.wall_time(),
        )
        self._timer.set()

    def clear(self) -> None:
        """Forget all queues; their storage is cleared already."""
        self.queues.clear()
        self._timer.reset()

    def close(self) -> None:
        """Stop, and cancel running requests."""
        for task in self._running:
            task.cancel()
        self._timer.close()

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._running)

    def fire(self, dispatch: Dispatch) -> None:
        """Make an attempt, and report its result."""
        task = asyncio.ensure_future(self._request(dispatch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _fire_due(self, now: float) -> None:
        for dispatch in self.queues.due(now):
            self.fire(dispatch)

    async def _request(self, dispatch: Dispatch) -> None:
        task = dispatch.task
        answer = await self._caller.call(task.target, task.dispatch_deadline, _headers(task))
        code, text = _status(answer)
        now = self._hub.wall_time()
        again = self.queues.finished(dispatch, now, status=answer.status, code=code, text=text)
        if not answer.ok:
            seconds = None if again is None else again - now
            self._hub.engine.observer.task_failed(
                task.name, task.dispatch_count, reason=answer.text, retry_seconds=seconds
            )
        self._timer.set_soon()  # there is room for another one
        self._hub.changed()

    def _expire(self, now: Moment) -> None:
        self.queues.expire(now.wall)

    def _kept(self, kind: str) -> dict[str, Any]:
        kept = self._hub.engine.storage.resources(_KINDS[kind])
        return {name: json.loads(value) for name, value in kept.items()}

    def _save(self, kind: str, name: str, value: Mapping[str, Any] | None) -> None:
        kept = None if value is None else json.dumps(value).encode()
        self._hub.engine.storage.put(_KINDS[kind], name, kept)
        self._hub.changed()
        self._timer.set_soon()


_KINDS = {"queues": "task queues", "tasks": "tasks", "names": "task names"}
"""In the storage."""


def _headers(task: Task) -> dict[str, str]:
    """Return the service's own headers ("Create HTTP target tasks")."""
    headers = {
        "User-Agent": "Google-Cloud-Tasks",
        "X-CloudTasks-QueueName": task.queue.rpartition("/")[2],
        "X-CloudTasks-TaskName": task.name.rpartition("/")[2],
        "X-CloudTasks-TaskRetryCount": str(task.dispatch_count - 1),
        "X-CloudTasks-TaskExecutionCount": str(task.execution_count),
        "X-CloudTasks-TaskETA": f"{task.schedule_time:.6f}",
    }
    if task.previous_status is not None:
        headers["X-CloudTasks-TaskPreviousResponse"] = str(task.previous_status)
    return headers


def _status(answer: Answer) -> tuple[int, str]:
    if answer.ok or answer.status is None:
        return answer.code, answer.text
    return _CODES.get(answer.status, _UNKNOWN), f"HTTP status code {answer.status}"
