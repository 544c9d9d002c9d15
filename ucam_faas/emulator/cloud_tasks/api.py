"""Cloud Tasks' RPC methods: request message in, response message out, over a `TaskQueues`.

Limits and codes are those of Google's pages "CloudTasks" (RPC), "Queue", "Task" and "Quotas and
limits". Not safe for threads, as `TaskQueues` is not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.iam import IamApi
from ucam_faas.emulator.api.pages import page
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.cloud_tasks import messages
from ucam_faas.emulator.cloud_tasks.engine import TaskQueues
from ucam_faas.emulator.cloud_tasks.tasks import Dispatch
from ucam_faas.emulator.errors import invalid, unsupported
from ucam_faas.emulator.targets.names import LOCATION, check_name, snake

MAX_QUEUES_PAGE, MAX_TASKS_PAGE = 9800, 1000

_QUEUE = re.compile(LOCATION.pattern + r"/queues/[A-Za-z0-9-]{1,100}")
_TASK = re.compile(_QUEUE.pattern + r"/tasks/[A-Za-z0-9_-]{1,500}")
_QUEUE_FORM = "projects/P/locations/L/queues/ID, with an ID of 1 to 100 letters, numbers and -"
_TASK_FORM = "QUEUE/tasks/ID, with an ID of 1 to 500 letters, numbers, - and _"
_OUTPUT_ONLY = ("name", "state", "purge_time")


class CloudTasksApi:
    """The methods of `google.cloud.tasks.v2.CloudTasks`, each raising RpcError as documented.

    Args:
        queues: holds queues and tasks.
        now: epoch seconds.
        fire: makes an attempt that a user forces, without waiting for its end.
        resources: keep the policies of queues.
    """

    def __init__(
        self,
        queues: TaskQueues,
        now: Callable[[], float],
        fire: Callable[[Dispatch], None],
        resources: Resources,
    ) -> None:
        self._queues = queues
        self._iam = iam = IamApi(resources, queues.has_queue, _check_queue)
        self.get_iam_policy, self.set_iam_policy = iam.get_iam_policy, iam.set_iam_policy
        self.test_iam_permissions = iam.test_iam_permissions
        self._now = now
        self._fire = fire

    def create_queue(self, request: Any) -> Any:
        """Create a queue."""
        check_name(request.parent, LOCATION, "parent")
        name = _check_queue(request.queue.name, "queue.name")
        if not name.startswith(f"{request.parent}/queues/"):
            raise invalid(f"Invalid queue.name {name!r}: expected a queue in {request.parent}.")
        queue = messages.read_queue(request.queue)
        return messages.write_queue(self._queues.create_queue(queue, self._now()))

    def get_queue(self, request: Any) -> Any:
        """Return a queue."""
        return messages.write_queue(self._queues.get_queue(_check_queue(request.name)))

    def list_queues(self, request: Any) -> Any:
        """Return a page of a location's queues, by name."""
        check_name(request.parent, LOCATION, "parent")
        if request.filter:
            raise unsupported("Filters of queues")
        queues = {queue.name: queue for queue in self._queues.queues(f"{request.parent}/queues/")}
        names, token = page(request, queues, longest=MAX_QUEUES_PAGE)
        response = messages.pb("ListQueuesResponse")(next_page_token=token)
        response.queues.extend(messages.write_queue(queues[name]) for name in names)
        return response

    def update_queue(self, request: Any) -> Any:
        """Change the fields that the mask names, or all without one; or create the queue."""
        name = _check_queue(request.queue.name, "queue.name")
        wanted = request.queue
        paths = [snake(path) for path in request.update_mask.paths]
        if paths and self._queues.has_queue(name):
            wanted = messages.write_queue(self._queues.get_queue(name))
            mask = protos.FieldMask(paths=[p for p in paths if p not in _OUTPUT_ONLY])
            if not mask.IsValidForDescriptor(wanted.DESCRIPTOR):
                raise invalid(f"Invalid update_mask: {', '.join(paths)}. Expected fields of Queue.")
            mask.MergeMessage(request.queue, wanted, True, True)
        queue = self._queues.update_queue(messages.read_queue(wanted), self._now())
        return messages.write_queue(queue)

    def delete_queue(self, request: Any) -> Any:
        """Delete a queue and its tasks."""
        self._queues.delete_queue(_check_queue(request.name))
        self._iam.forget(request.name)
        return protos.Empty()

    def purge_queue(self, request: Any) -> Any:
        """Delete a queue's tasks, at once."""
        queue = self._queues.purge(_check_queue(request.name), self._now())
        return messages.write_queue(queue)

    def pause_queue(self, request: Any) -> Any:
        """Dispatch none of a queue's tasks."""
        return messages.write_queue(self._queues.pause(_check_queue(request.name)))

    def resume_queue(self, request: Any) -> Any:
        """Dispatch a queue's tasks again."""
        return messages.write_queue(self._queues.resume(_check_queue(request.name)))

    def create_task(self, request: Any) -> Any:
        """Add a task to a queue; one without a name gets one."""
        queue, name = _check_queue(request.parent, "parent"), request.task.name
        if name and not _check_task(name, "task.name").startswith(f"{queue}/tasks/"):
            raise invalid(f"Invalid task.name {name!r}: expected a task of {queue}.")
        task = messages.read_task(request.task, self._now())
        if not name:
            task = replace(task, name=f"{queue}/tasks/{_new_id()}", named=False)
        return self._shown(self._queues.create(task, self._now()), request)

    def get_task(self, request: Any) -> Any:
        """Return a task."""
        return self._shown(self._queues.get(_check_task(request.name)), request)

    def list_tasks(self, request: Any) -> Any:
        """Return a page of a queue's tasks, by name."""
        tasks = self._queues.tasks(_check_queue(request.parent, "parent"))
        names, token = page(request, tasks, longest=MAX_TASKS_PAGE)
        response = messages.pb("ListTasksResponse")(next_page_token=token)
        response.tasks.extend(self._shown(tasks[name], request) for name in names)
        return response

    def delete_task(self, request: Any) -> Any:
        """Delete a task, also one that runs."""
        self._queues.delete(_check_task(request.name), self._now())
        return protos.Empty()

    def run_task(self, request: Any) -> Any:
        """Dispatch a task now, whatever its schedule, and its queue's state and limits."""
        dispatch = self._queues.run(_check_task(request.name), self._now())
        self._fire(dispatch)
        return self._shown(dispatch.task, request)

    def _shown(self, task: Any, request: Any) -> Any:
        return messages.write_task(task, request.response_view)


def methods() -> protos.Methods:
    """Return the methods of `google.cloud.tasks.v2.CloudTasks`."""
    queue, task = messages.pb("Queue"), messages.pb("Task")
    answers = dict.fromkeys(
        ("CreateQueue", "GetQueue", "UpdateQueue", "PurgeQueue", "PauseQueue", "ResumeQueue"), queue
    )
    answers |= dict.fromkeys(("CreateTask", "GetTask", "RunTask"), task)
    answers |= dict.fromkeys(("DeleteQueue", "DeleteTask"), protos.Empty)
    answers |= {name: messages.pb(f"{name}Response") for name in ("ListQueues", "ListTasks")}
    own = {name: (messages.pb(f"{name}Request"), answer) for name, answer in answers.items()}
    return own | protos.IAM


def _new_id() -> str:
    """Return a random id of 20 digits, as Google makes them."""
    return str(random.SystemRandom().randrange(10**19, 10**20))


def _check_queue(name: str, field: str = "name") -> str:
    return check_name(name, _QUEUE, field, _QUEUE_FORM)


def _check_task(name: str, field: str = "name") -> str:
    return check_name(name, _TASK, field, _TASK_FORM)
