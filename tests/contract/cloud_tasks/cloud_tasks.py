"""Cloud Tasks as a test sees it: a project of its own, Google's client, REST, a few steps."""

from __future__ import annotations

import datetime
import json
import uuid
from contextlib import suppress
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from tests.contract.pubsub.sink import Sink
from tests.integration.processes import Answer, request, wait_until

PATIENCE = 8.0
"""How many seconds a test waits for requests."""
SECONDS = 10.0
ACCOUNT = {"service_account_email": "wake@p-1.iam.gserviceaccount.com"}


class CloudTasks:
    """A queue in a project of its own.

    Args:
        port: of the emulator.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = CloudTasksClient(transport=CloudTasksGrpcTransport(channel=self._channel))
        self.location = f"projects/p-{uuid.uuid4().hex[:12]}/locations/europe-west2"
        self.queue = f"{self.location}/queues/q"
        self.create_queue(self.queue)

    def close(self) -> None:
        """Delete the queue, whose tasks would go on."""
        with suppress(GoogleAPICallError):
            self.call("delete_queue", name=self.queue)
        self._channel.close()

    def call(self, method: str, **fields: Any) -> Any:
        """Call a method, once."""
        return getattr(self.client, method)(request=fields, retry=None, timeout=SECONDS)

    def rest(self, method: str, path: str, body: Any = None) -> Answer:
        """Make a REST request; the path follows `/v2/`."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        return request(self.port, method, f"/v2/{path}", data, headers, SECONDS)

    def create_queue(self, name: str, **fields: Any) -> Any:
        """Create a queue."""
        return self.call("create_queue", parent=self.location, queue={"name": name, **fields})

    def update(self, *paths: str, **fields: Any) -> Any:
        """Change the queue's fields, those of the mask or all."""
        mask = {"update_mask": {"paths": list(paths)}} if paths else {}
        return self.call("update_queue", queue={"name": self.queue, **fields}, **mask)

    def create(
        self, target: Sink | str, *, id: str = "", view: str = "BASIC", **fields: Any
    ) -> Any:
        """Create a task that sends a request; fields of `http_request` are merged into it."""
        url = target if isinstance(target, str) else target.url
        http = {"url": url, **fields.pop("http_request", {})}
        task = {"http_request": http, **fields}
        if id:
            task["name"] = self.name(id)
        return self.call("create_task", parent=self.queue, task=task, response_view=view)

    def name(self, id: str) -> str:
        """Return a task's full name."""
        return f"{self.queue}/tasks/{id}"

    def get(self, task: Any, view: str = "BASIC") -> Any:
        """Return a task."""
        return self.call("get_task", name=task.name, response_view=view)

    def list(self, **fields: Any) -> Any:
        """Return the first page of the queue's tasks."""
        response = self.call("list_tasks", parent=self.queue, **fields)
        return next(iter(response.pages))

    def failed(self, task: Any, attempts: int = 1) -> Any:
        """Return a task after so many attempts have been answered."""

        def answered() -> Any:
            current = self.get(task)
            return current if current.response_count >= attempts else None

        return wait_until(answered, f"{attempts} answers", PATIENCE)

    def wait_until_gone(self, task: Any) -> None:
        """Return when the task has ended."""
        wait_until(
            lambda: task.name not in {each.name for each in self.list().tasks},
            "the task is gone",
            PATIENCE,
        )

    def let_pass(self, duration: datetime.timedelta) -> None:
        """Return when a task of another queue, due after a duration, was dispatched."""
        queue = f"{self.location}/queues/other"
        self.create_queue(queue)
        with Sink(patience=PATIENCE) as sink:
            task = {"http_request": {"url": sink.url}, "schedule_time": after() + duration}
            self.call("create_task", parent=queue, task=task)
            sink.wait_for(1)


def after(**duration: float) -> datetime.datetime:
    """Return the time after a duration."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**duration)


def seconds(number: float) -> datetime.timedelta:
    """Return a duration."""
    return datetime.timedelta(seconds=number)
