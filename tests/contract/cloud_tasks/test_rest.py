"""Cloud Tasks over REST."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.behaviours import Group

from .cloud_tasks import CloudTasks

rest = Group("Cloud Tasks: REST")
DAY = "2099-01-01T00:00:00Z"


def body_of(answer: Any, status: int = 200) -> Any:
    assert answer.status == status, (answer.status, answer.body)
    return json.loads(answer.body)


@rest("A task is created with a POST to its queue.", docs="Cloud Tasks REST reference")
def test_create(tasks: CloudTasks) -> None:
    tasks.call("pause_queue", name=tasks.queue)
    task = {
        "httpRequest": {"url": "http://127.0.0.1:9/", "body": "aGk="},
        "dispatchDeadline": "30s",
    }

    made = body_of(tasks.rest("POST", f"{tasks.queue}/tasks", {"task": task}))

    assert made["dispatchDeadline"] == "30s"
    assert made["httpRequest"] == {"url": "http://127.0.0.1:9/", "httpMethod": "POST"}
    full = body_of(tasks.rest("GET", f"{made['name']}?responseView=FULL"))
    assert full["httpRequest"]["body"] == "aGk="


@rest("A queue is updated with a PATCH and a mask.", docs="Cloud Tasks REST reference")
def test_update(tasks: CloudTasks) -> None:
    change = {"rateLimits": {"maxConcurrentDispatches": 7}, "retryConfig": {"maxAttempts": 7}}
    mask = "updateMask=rateLimits.maxConcurrentDispatches"

    changed = body_of(tasks.rest("PATCH", f"{tasks.queue}?{mask}", change))

    assert changed["rateLimits"]["maxConcurrentDispatches"] == 7
    assert changed["retryConfig"]["maxAttempts"] != 7


@rest("Locations are listed.", docs="Cloud Tasks REST reference")
def test_locations(tasks: CloudTasks) -> None:
    project = tasks.location.partition("/locations")[0]

    listed = body_of(tasks.rest("GET", f"{project}/locations"))

    assert tasks.location in {location["name"] for location in listed["locations"]}


@rest("An error has Google's form.", docs="Cloud Tasks REST reference")
def test_errors(tasks: CloudTasks) -> None:
    task = {"httpRequest": {"url": "http://127.0.0.1:9/"}, "scheduleTime": DAY}

    late = body_of(tasks.rest("POST", f"{tasks.queue}/tasks", {"task": task}), 400)["error"]
    missing = body_of(tasks.rest("GET", f"{tasks.queue}-none"), 404)["error"]

    assert (late["code"], late["status"]) == (400, "INVALID_ARGUMENT")
    assert (missing["code"], missing["status"]) == (404, "NOT_FOUND")
