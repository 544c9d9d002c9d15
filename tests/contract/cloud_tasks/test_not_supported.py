"""Features of Cloud Tasks that the emulator lacks: it refuses them by name."""

from __future__ import annotations

from typing import Any

from google.cloud.tasks_v2 import Queue

from tests.contract.behaviours import Group, skip_without
from tests.contract.pubsub.backends import refused

from .cloud_tasks import CloudTasks

unsupported = Group("Cloud Tasks: not supported")
REFUSED = "UNIMPLEMENTED, by name"


def is_refused(tasks: CloudTasks, about: str, method: str, **fields: Any) -> None:
    with refused("UNIMPLEMENTED") as refusal:
        tasks.call(method, **fields)
    assert about in refusal.message


@unsupported(
    "A task calls an App Engine app.", docs="API: AppEngineHttpRequest", ours=REFUSED, observed=True
)
def test_app_engine(tasks: CloudTasks) -> None:
    task = {"app_engine_http_request": {"relative_uri": "/"}}
    is_refused(tasks, "App Engine", "create_task", parent=tasks.queue, task=task)
    queue = {"name": tasks.queue, "app_engine_routing_override": {"service": "s"}}
    is_refused(tasks, "App Engine", "update_queue", queue=queue)


@unsupported(
    "A queue overrides the target of its tasks.",
    docs="API: HttpTarget",
    ours=REFUSED,
    observed=True,
)
def test_http_target(tasks: CloudTasks) -> None:
    skip_without(Queue, ["http_target"])
    queue = {"name": tasks.queue, "http_target": {"http_method": "GET"}}
    is_refused(tasks, "http_target", "update_queue", queue=queue)


@unsupported(
    "A filter lists some queues.", docs="API: ListQueuesRequest", ours=REFUSED, observed=True
)
def test_filter(tasks: CloudTasks) -> None:
    is_refused(tasks, "Filters", "list_queues", parent=tasks.location, filter="state: PAUSED")


@unsupported(
    "Tasks are created and deleted in batches.",
    docs="API: CloudTasks",
    ours=REFUSED,
    observed=True,
)
def test_batches(tasks: CloudTasks) -> None:
    if not hasattr(tasks.client, "batch_create_tasks"):
        return  # an older client
    request = {"parent": tasks.queue, "task": {"http_request": {"url": "http://127.0.0.1:9/"}}}
    is_refused(
        tasks, "BatchCreateTasks", "batch_create_tasks", parent=tasks.queue, requests=[request]
    )
    is_refused(
        tasks,
        "BatchDeleteTasks",
        "batch_delete_tasks",
        parent=tasks.queue,
        names=[tasks.name("t")],
    )
