"""`ucam_faas_local`: tasks of Cloud Tasks are dispatched when the clock gets there."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from tests.support.delays import call, create_queue, tasks_of
from ucam_faas import http, message_handler
from ucam_faas.testing import ManualClock
from ucam_faas.testing.cloud import EmbeddedCloud

from .cases import Serve
from .tasks import values

QUEUE = "projects/test-project/locations/local/queues/later"


@message_handler(message_type=None)
def remind(data: bytes) -> str:
    return data.decode()


def publish_later(cloud: EmbeddedCloud, clock: ManualClock, after: timedelta, text: str) -> None:
    """Have Cloud Tasks publish a message to the task's topic."""
    data = base64.b64encode(text.encode()).decode()
    body = json.dumps({"messages": [{"data": data}]}).encode()
    request: dict[str, Any] = {
        "url": "https://pubsub.googleapis.com/v1/projects/test-project/topics/remind:publish",
        "body": base64.b64encode(body).decode(),
        "oauthToken": {"serviceAccountEmail": "a@b"},
    }
    at = (clock.now() + after).isoformat().replace("+00:00", "Z")
    task = {"task": {"httpRequest": request, "scheduleTime": at}}
    call(cloud.pubsub.host, "POST", f"{QUEUE}/tasks", task)


def test_a_task_is_dispatched_when_its_time_comes(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock
) -> None:
    cloud = ucam_faas_local(remind)
    create_queue(cloud.pubsub.host, QUEUE)
    publish_later(cloud, ucam_faas_clock, timedelta(days=2), "second")
    publish_later(cloud, ucam_faas_clock, timedelta(hours=1), "first")

    cloud.advance(timedelta(minutes=59))
    assert values(cloud, remind) == []
    cloud.advance(timedelta(days=3))

    assert values(cloud, remind) == ["first", "second"]
    assert tasks_of(cloud.pubsub.host, QUEUE) == []


def test_the_time_stands_at_each_dispatch(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock
) -> None:
    """A task that fails is tried again while the clock is advanced past its backoffs."""
    cloud = ucam_faas_local(remind)
    create_queue(cloud.pubsub.host, QUEUE)
    retry = {"minBackoff": "3600s", "maxBackoff": "3600s", "maxAttempts": 5}
    call(cloud.pubsub.host, "PATCH", QUEUE, {"name": QUEUE, "retryConfig": retry})
    missing = {"url": "https://pubsub.googleapis.com/v1/projects/test-project/topics/none:publish"}
    call(cloud.pubsub.host, "POST", f"{QUEUE}/tasks", {"task": {"httpRequest": missing}})

    cloud.advance(timedelta(hours=2, minutes=30))

    (task,) = tasks_of(cloud.pubsub.host, QUEUE)
    assert task["responseCount"] == 3


def test_the_request_of_a_task_has_ended_before_time_goes_on(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock
) -> None:
    times = []

    @http(path="/note", methods=["POST"])
    def note(request: Any) -> str:
        times.append(ucam_faas_clock.now())
        return "noted"

    cloud = ucam_faas_local(note)
    create_queue(cloud.pubsub.host, QUEUE)
    begin = ucam_faas_clock.now()
    for hours in (1, 2):
        at = (begin + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
        task = {"httpRequest": {"url": f"{cloud.url}/note"}, "scheduleTime": at}
        call(cloud.pubsub.host, "POST", f"{QUEUE}/tasks", {"task": task})

    cloud.advance(timedelta(hours=3))

    assert times == [begin + timedelta(hours=hours) for hours in (1, 2)]
