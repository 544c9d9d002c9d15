"""google-cloud-tasks unchanged: its gRPC, asyncio and REST clients."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud.tasks_v2 import CloudTasksAsyncClient, CloudTasksClient, Queue

from tests.integration.emulator import PROJECT, Emulator, new_name
from tests.integration.processes import wait_until

from .endpoint import Endpoint
from .sink import Sink
from .transports import Call, connected

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ours_only")]

LOCATION = f"projects/{PROJECT}/locations/europe-west2"


@pytest.fixture(params=["grpc", "asyncio", "rest"])
def call(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[Call]:
    with connected(request.param, endpoint, CloudTasksClient, CloudTasksAsyncClient) as call:
        yield call


@pytest.fixture
def queue(call: Call) -> str:
    """A queue of the test's own."""
    name = f"{LOCATION}/queues/{new_name('topics').rpartition('/')[2]}"
    return str(call("create_queue", parent=LOCATION, queue={"name": name}).name)


def in_(**duration: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**duration)


def test_a_queue_is_created_found_changed_and_deleted(call: Call, queue: str) -> None:
    change = {
        "name": queue,
        "rate_limits": {"max_dispatches_per_second": 5},
        "retry_config": {"max_attempts": 3, "min_backoff": datetime.timedelta(seconds=2)},
    }

    changed = call("update_queue", queue=change, update_mask={"paths": ["rate_limits"]})

    assert changed.rate_limits.max_dispatches_per_second == 5
    assert changed.retry_config.max_attempts == 100, "not in the mask"
    assert call("get_queue", name=queue) == changed
    assert queue in {each.name for each in call("list_queues", parent=LOCATION)}
    assert call("pause_queue", name=queue).state is Queue.State.PAUSED
    assert call("resume_queue", name=queue).state is Queue.State.RUNNING
    assert "purge_time" in call("purge_queue", name=queue)
    call("delete_queue", name=queue)
    with pytest.raises(NotFound):
        call("get_queue", name=queue)


def test_a_task_sends_its_request_when_it_is_due(call: Call, queue: str, sink: Sink) -> None:
    request = {
        "url": f"{sink.url}/work?x=1",
        "http_method": "PUT",
        "headers": {"X-Colour": "red", "Content-Type": "text/plain"},
        "body": b"tick",
        "oidc_token": {"service_account_email": "sa@p.iam.gserviceaccount.com"},
    }
    due = in_(seconds=1)

    created = call(
        "create_task", parent=queue, task={"http_request": request, "schedule_time": due}
    )
    received = sink.wait()

    assert datetime.datetime.now(datetime.UTC) >= due
    assert created.schedule_time == due
    assert created.name.startswith(f"{queue}/tasks/")
    assert (received.method, received.path, received.body) == ("PUT", "/work?x=1", b"tick")
    assert received.headers["x-colour"] == "red"
    assert received.headers["user-agent"] == "Google-Cloud-Tasks"
    assert received.headers["authorization"].startswith("Bearer ")
    assert received.headers["x-cloudtasks-queuename"] == queue.rpartition("/")[2]
    assert received.headers["x-cloudtasks-taskname"] == created.name.rpartition("/")[2]
    wait_until(lambda: not call("list_tasks", parent=queue), "the task is gone")


def test_a_task_publishes_to_pubsub(call: Call, queue: str, pubsub: Emulator) -> None:
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    body = {"messages": [{"data": "aGk=", "attributes": {"a": "b"}}]}
    request = {
        "url": f"https://pubsub.googleapis.com/v1/{topic}:publish",
        "body": json.dumps(body).encode(),
        "oauth_token": {"service_account_email": "sa@p.iam.gserviceaccount.com"},
    }

    call("create_task", parent=queue, task={"http_request": request})

    (message,) = pubsub.pull(subscription)
    assert (message.data, dict(message.attributes)) == (b"hi", {"a": "b"})


def test_a_later_task_waits_and_is_run_by_hand(call: Call, queue: str, sink: Sink) -> None:
    task = {
        "name": f"{queue}/tasks/later",
        "http_request": {"url": sink.url, "body": b"x"},
        "schedule_time": in_(days=29),
        "dispatch_deadline": datetime.timedelta(seconds=30),
    }
    created = call("create_task", request={"parent": queue, "task": task, "response_view": "FULL"})

    assert created.http_request.body == b"x"
    assert call("get_task", name=created.name).http_request.body == b"", "the basic view"
    ran = call("run_task", name=created.name)

    assert ran.dispatch_count == 1
    assert sink.wait().body == b"x"
    with pytest.raises(Conflict):
        call("create_task", parent=queue, task=task)


def test_tasks_are_listed_in_pages_and_deleted(call: Call, queue: str, sink: Sink) -> None:
    for _ in range(3):
        task = {"http_request": {"url": sink.url}, "schedule_time": in_(hours=1)}
        call("create_task", parent=queue, task=task)

    tasks = call("list_tasks", request={"parent": queue, "page_size": 2})
    for task in tasks:
        call("delete_task", name=task.name)

    assert len(tasks) == 3
    assert call("list_tasks", parent=queue) == []


def test_errors_have_their_classes(call: Call, queue: str, sink: Sink) -> None:
    """AlreadyExists is a Conflict, InvalidArgument a BadRequest; over REST only those come."""
    request = {"url": sink.url}

    with pytest.raises(Conflict):
        call("create_queue", parent=LOCATION, queue={"name": queue})
    for wrong in ({"schedule_time": in_(days=31)}, {"http_request": {"url": "ftp://x"}}):
        with pytest.raises(BadRequest):
            call("create_task", parent=queue, task={"http_request": request, **wrong})
    with pytest.raises(NotFound):
        call("create_task", parent=f"{queue}-none", task={"http_request": request})
    for method in ("get_task", "run_task", "delete_task"):
        with pytest.raises(NotFound):
            call(method, name=f"{queue}/tasks/none")


def test_locations_are_listed(call: Call, queue: str) -> None:
    listed = call("list_locations", request={"name": f"projects/{PROJECT}"})

    assert "europe-west2" in {location.location_id for location in listed.locations}
