"""Cloud Tasks' RPC methods, with the requests of gcloud and the Python client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from google.cloud import tasks_v2
from google.protobuf import json_format
from hypothesis import given, settings, strategies as st

from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.cloud_tasks.api import CloudTasksApi, methods
from ucam_faas.emulator.cloud_tasks.engine import TaskQueues
from ucam_faas.emulator.cloud_tasks.tasks import Dispatch, Queue, Task
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.targets import names
from ucam_faas.emulator.targets.names import LocationsApi, location_methods

from .test_scheduler_api import parsed
from .test_task_queues import Saved

START = 1767225600.25
"""Just after midnight, 1 January 2026, UTC."""
PARENT = "projects/p/locations/europe-west2"
QUEUE = f"{PARENT}/queues/q"
TASK = f"{QUEUE}/tasks/t"
HTTP = {"url": "http://127.0.0.1:8080/run?x=1"}
of_newer_library = pytest.mark.skipif(
    "retry_config" not in tasks_v2.Task.meta.fields,
    reason="google-cloud-tasks before 2.25 doesn't know these fields",
)


class Place:
    """An API, its clock, and the attempts that users forced."""

    def __init__(self) -> None:
        self.now = START
        self.saved = Saved()
        self.fired: list[Dispatch] = []
        self.queues = TaskQueues(self.saved)
        resources = Resources(Engine(MemoryStorage()), lambda: Moment(self.now, 0.0))
        self.api = CloudTasksApi(self.queues, lambda: self.now, self.fired.append, resources)
        self.locations = LocationsApi(lambda prefix: [q.name for q in self.queues.queues(prefix)])

    def call(self, method: str, **fields: Any) -> Any:
        """Call an RPC method with a request in JSON, and return its answer in JSON."""
        known = methods() | location_methods()
        request = json_format.ParseDict(fields, known[method][0]())
        api = self.locations if method in location_methods() else self.api
        response = getattr(api, re.sub("(?<!^)([A-Z])", r"_\1", method).lower())(request)
        assert type(response) is known[method][1]
        return json_format.MessageToDict(response)

    def create_queue(self, **queue: Any) -> Any:
        return self.call("CreateQueue", parent=PARENT, queue={"name": QUEUE} | queue)

    def create(self, *, view: str = "BASIC", **task: Any) -> Any:
        wanted = {"name": TASK, "httpRequest": HTTP} | task
        return self.call("CreateTask", parent=QUEUE, task=wanted, responseView=view)

    def update(self, mask: str | None, **queue: Any) -> Any:
        masked = {} if mask is None else {"updateMask": mask}
        return self.call("UpdateQueue", queue={"name": QUEUE} | queue, **masked)


@pytest.fixture
def place() -> Place:
    place = Place()
    place.create_queue()
    return place


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[None]:
    with pytest.raises(RpcError, match=message) as caught:
        yield
    assert caught.value.code == code


# -- queues ---------------------------------------------------------------------------------------

DEFAULTS: dict[str, Any] = {
    "name": QUEUE,
    "state": "RUNNING",
    "rateLimits": {
        "maxDispatchesPerSecond": 500.0,
        "maxBurstSize": 500,
        "maxConcurrentDispatches": 1000,
    },
    "retryConfig": {
        "maxAttempts": 100,
        "minBackoff": "0.100s",
        "maxBackoff": "3600s",
        "maxDoublings": 16,
    },
}
"""A queue as `gcloud tasks queues create q` makes it."""


def test_a_new_queue_has_googles_defaults(place: Place) -> None:
    assert place.call("GetQueue", name=QUEUE) == DEFAULTS


def test_a_queue_with_everything(place: Place) -> None:
    place.call("DeleteQueue", name=QUEUE)

    made = place.create_queue(
        rateLimits={"maxDispatchesPerSecond": 1.5, "maxConcurrentDispatches": 3},
        retryConfig={
            "maxAttempts": -1, "maxRetryDuration": "4s", "minBackoff": "1s", "maxBackoff": "10s",
            "maxDoublings": 5,
        },
        stackdriverLoggingConfig={"samplingRatio": 0.5},
    )  # fmt: skip

    assert made["rateLimits"] == {
        "maxDispatchesPerSecond": 1.5,
        "maxBurstSize": 2,
        "maxConcurrentDispatches": 3,
    }
    assert made["retryConfig"] == {
        "maxAttempts": -1, "maxRetryDuration": "4s", "minBackoff": "1s", "maxBackoff": "10s",
        "maxDoublings": 5,
    }  # fmt: skip
    assert made["stackdriverLoggingConfig"] == {"samplingRatio": 0.5}
    assert Queue.from_dict(place.saved["queues"][QUEUE]) == place.queues.get_queue(QUEUE)


def test_backoffs_are_truncated_to_whole_seconds(place: Place) -> None:
    made = place.update("retryConfig", retryConfig={"minBackoff": "2.9s", "maxBackoff": "5.5s"})

    assert (made["retryConfig"]["minBackoff"], made["retryConfig"]["maxBackoff"]) == ("2s", "5s")


QUEUE_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"name": "q"}, "Invalid queue.name 'q': expected projects/P/locations/L/queues/ID"),
    ({"name": f"{PARENT}/queues/{'q' * 101}"}, "1 to 100 letters"),
    ({"name": f"{PARENT}/queues/a_b"}, "Invalid queue.name"),
    ({"name": f"{QUEUE}\n"}, "Invalid queue.name"),
    ({"name": "projects/p/locations/us-east1/queues/q"}, f"expected a queue in {PARENT}"),
    ({"rateLimits": {"maxDispatchesPerSecond": 501}}, "max_dispatches_per_second 501"),
    ({"rateLimits": {"maxDispatchesPerSecond": -1}}, "max_dispatches_per_second -1"),
    ({"rateLimits": {"maxDispatchesPerSecond": "NaN"}}, "max_dispatches_per_second nan"),
    ({"rateLimits": {"maxConcurrentDispatches": 5001}}, "max_concurrent_dispatches 5001"),
    ({"rateLimits": {"maxConcurrentDispatches": -1}}, "max_concurrent_dispatches -1"),
    ({"retryConfig": {"maxAttempts": -2}}, "max_attempts -2: expected -1 or more"),
    ({"retryConfig": {"maxDoublings": -1}}, "max_doublings -1"),
    ({"retryConfig": {"minBackoff": "-1s"}}, "min_backoff: -1s"),
    ({"retryConfig": {"minBackoff": "9s", "maxBackoff": "8s"}}, "is longer than"),
    ({"retryConfig": {"minBackoff": "3601s"}}, "is longer than max_backoff"),
    ({"stackdriverLoggingConfig": {"samplingRatio": 1.5}}, "sampling_ratio 1.5"),
]


@pytest.mark.parametrize(("queue", "message"), QUEUE_LIMITS)
def test_a_queue_outside_the_limits_is_refused(queue: dict[str, Any], message: str) -> None:
    place = Place()

    with refused("INVALID_ARGUMENT", message):
        place.create_queue(**queue)

    assert place.queues.queues() == []


@pytest.mark.parametrize(
    ("queue", "what"),
    [
        ({"appEngineRoutingOverride": {"service": "s"}}, "App Engine targets"),
        pytest.param(
            {"httpTarget": {"httpMethod": "GET"}}, "HTTP targets of queues", marks=of_newer_library
        ),
    ],
)
def test_what_queues_lack_says_so_by_name(queue: dict[str, Any], what: str) -> None:
    with refused("UNIMPLEMENTED", f"{what} .* are not supported"):
        Place().create_queue(**queue)


def test_a_name_can_be_taken_once(place: Place) -> None:
    with refused("ALREADY_EXISTS"):
        place.create_queue()


def test_queues_are_listed_by_name_in_pages(place: Place) -> None:
    place.call("DeleteQueue", name=QUEUE)
    made = [f"{PARENT}/queues/q{number}" for number in range(5)]
    for name in reversed(made):
        place.create_queue(name=name)

    listed, token = [], ""
    while True:
        page = place.call("ListQueues", parent=PARENT, pageSize=2, pageToken=token)
        listed += [queue["name"] for queue in page["queues"]]
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert listed == made


def test_filters_of_queues_are_not_supported(place: Place) -> None:
    with refused("UNIMPLEMENTED", "Filters"):
        place.call("ListQueues", parent=PARENT, filter="state: PAUSED")


def test_an_update_changes_the_fields_of_the_mask(place: Place) -> None:
    changed = place.update(
        "rateLimits.maxConcurrentDispatches",
        rateLimits={"maxConcurrentDispatches": 7, "maxDispatchesPerSecond": 1},
        retryConfig={"maxAttempts": 2},
    )

    assert changed == DEFAULTS | {
        "rateLimits": DEFAULTS["rateLimits"] | {"maxConcurrentDispatches": 7}
    }


def test_an_update_without_a_mask_changes_all_fields(place: Place) -> None:
    place.update("retryConfig.maxAttempts", retryConfig={"maxAttempts": 2})

    changed = place.update(None, rateLimits={"maxConcurrentDispatches": 7})

    assert changed["retryConfig"]["maxAttempts"] == 100
    assert changed["rateLimits"]["maxConcurrentDispatches"] == 7


def test_an_update_makes_a_queue_that_does_not_exist() -> None:
    place = Place()

    assert place.update("retryConfig") == DEFAULTS


def test_an_update_cannot_change_the_state(place: Place) -> None:
    assert place.update("state", state="PAUSED")["state"] == "RUNNING"


def test_an_unknown_field_in_a_mask_is_refused(place: Place) -> None:
    with refused("INVALID_ARGUMENT", "Invalid update_mask"):
        place.update("colour")


def test_a_queue_is_paused_resumed_and_purged(place: Place) -> None:
    place.create()

    assert place.call("PauseQueue", name=QUEUE)["state"] == "PAUSED"
    assert place.call("ResumeQueue", name=QUEUE)["state"] == "RUNNING"
    assert place.call("PurgeQueue", name=QUEUE)["purgeTime"] == "2026-01-01T00:00:00.250Z"
    assert place.call("ListTasks", parent=QUEUE) == {}


@pytest.mark.parametrize(
    "method", ["GetQueue", "DeleteQueue", "PauseQueue", "ResumeQueue", "PurgeQueue"]
)
def test_a_queue_that_does_not_exist_is_not_found(method: str) -> None:
    with refused("NOT_FOUND", "Queue does not exist"):
        Place().call(method, name=QUEUE)


def test_a_queue_has_a_policy_until_it_is_deleted(place: Place) -> None:
    policy = {"bindings": [{"role": "roles/cloudtasks.enqueuer", "members": ["user:a@b"]}]}
    before = place.call("GetIamPolicy", resource=QUEUE)

    place.call("SetIamPolicy", resource=QUEUE, policy=policy)

    kept = place.call("GetIamPolicy", resource=QUEUE)
    assert kept["bindings"] == policy["bindings"]
    allowed = place.call("TestIamPermissions", resource=QUEUE, permissions=["cloudtasks.x"])
    assert allowed == {"permissions": ["cloudtasks.x"]}
    place.call("DeleteQueue", name=QUEUE)
    with refused("NOT_FOUND"):
        place.call("GetIamPolicy", resource=QUEUE)
    place.create_queue()
    assert place.call("GetIamPolicy", resource=QUEUE) == before


# -- tasks ----------------------------------------------------------------------------------------


@of_newer_library
def test_a_task_with_everything(place: Place) -> None:
    http = HTTP | {
        "httpMethod": "PUT",
        "headers": {"Content-Type": "application/json"},
        "body": "e30=",
        "oauthToken": {"serviceAccountEmail": "a@p.iam.gserviceaccount.com", "scope": "s"},
    }

    made = place.create(
        httpRequest=http, scheduleTime="2026-01-02T00:00:00.500Z", dispatchDeadline="15.500s",
        retryConfig={"maxAttempts": 2}, view="FULL",
    )  # fmt: skip

    assert made == {
        "name": TASK,
        "httpRequest": http,
        "scheduleTime": "2026-01-02T00:00:00.500Z",
        "createTime": "2026-01-01T00:00:00Z",
        "dispatchDeadline": "15.500s",
        "retryConfig": {**DEFAULTS["retryConfig"], "maxAttempts": 2},
        "view": "FULL",
    }
    kept = place.saved["tasks"][TASK]
    assert Task.from_dict(kept) == place.queues.get(TASK)


def test_defaults_of_a_task(place: Place) -> None:
    made = place.create()

    assert made["httpRequest"]["httpMethod"] == "POST"
    assert (made["dispatchDeadline"], made["view"]) == ("600s", "BASIC")
    assert made["scheduleTime"] == "2026-01-01T00:00:00.250Z"


def test_a_schedule_time_in_the_past_is_now(place: Place) -> None:
    made = place.create(scheduleTime="2020-01-01T00:00:00Z")

    assert made["scheduleTime"] == "2026-01-01T00:00:00.250Z"


def test_only_the_full_view_has_the_body(place: Place) -> None:
    created = place.create(httpRequest=HTTP | {"body": "e30="})
    listed = place.call("ListTasks", parent=QUEUE, responseView="FULL")["tasks"][0]

    assert "body" not in created["httpRequest"]
    assert "body" not in place.call("GetTask", name=TASK)["httpRequest"]
    assert listed["httpRequest"]["body"] == "e30="
    assert place.call("GetTask", name=TASK, responseView="FULL") == listed


def test_a_task_without_a_name_gets_one_of_its_own(place: Place) -> None:
    first, second = place.create(name="")["name"], place.create(name="")["name"]

    assert first != second
    assert re.fullmatch(re.escape(f"{QUEUE}/tasks/") + r"\d{20}", first)


def test_output_only_fields_of_a_new_task_are_ignored(place: Place) -> None:
    made = place.create(dispatchCount=3, createTime="2020-01-01T00:00:00Z", responseCount=2)

    assert made["createTime"] == "2026-01-01T00:00:00Z"
    assert made.keys().isdisjoint({"dispatchCount", "responseCount"})


TASK_LIMITS: list[Any] = [
    ({"name": "t"}, "Invalid task.name 't': expected QUEUE/tasks/ID"),
    ({"name": f"{QUEUE}/tasks/{'t' * 501}"}, "1 to 500 letters"),
    ({"name": f"{QUEUE}/tasks/a.b"}, "Invalid task.name"),
    ({"name": f"{PARENT}/queues/r/tasks/t"}, f"expected a task of {QUEUE}"),
    ({"scheduleTime": "2026-01-31T00:00:00.251Z"}, "Expected at most 720 hours"),
    ({"dispatchDeadline": "14s"}, "dispatch_deadline: 14s"),
    ({"dispatchDeadline": "1801s"}, "dispatch_deadline: 1801s"),
    ({"httpRequest": {"url": "ftp://host/"}}, "Invalid url: expected http:// or https://"),
    ({"httpRequest": {"url": f"http://h/{'x' * 2083}"}}, "at most 2083"),
    ({"httpRequest": HTTP | {"httpMethod": "GET", "body": "aGk="}}, "expected none with GET"),
    ({"httpRequest": HTTP | {"headers": {"a": "b\r\nc: d"}}}, "Invalid header 'a'"),
    ({"httpRequest": HTTP | {"headers": {"a": "b" * 79_999}}}, "less than 80 KB"),
    ({"httpRequest": HTTP | {"oidcToken": {"audience": "x"}}}, "needs a service_account_email"),
    ({"httpRequest": HTTP | {"body": "AAAA" * 350_000}}, "at most 1 MB"),
    pytest.param({"retryConfig": {"maxAttempts": -2}}, "max_attempts -2", marks=of_newer_library),
]


@pytest.mark.parametrize(("task", "message"), TASK_LIMITS)
def test_a_task_outside_the_limits_is_refused(
    place: Place, task: dict[str, Any], message: str
) -> None:
    with refused("INVALID_ARGUMENT", message):
        place.create(**task)

    assert place.queues.tasks(QUEUE) == {}


def test_a_task_may_be_720_hours_ahead(place: Place) -> None:
    made = place.create(scheduleTime="2026-01-31T00:00:00.250Z")

    assert made["scheduleTime"] == "2026-01-31T00:00:00.250Z"


def test_app_engine_tasks_are_not_supported(place: Place) -> None:
    task = {"appEngineHttpRequest": {"relativeUri": "/"}}

    with refused("UNIMPLEMENTED", "App Engine targets"):
        place.call("CreateTask", parent=QUEUE, task=task)


def test_a_task_has_a_target(place: Place) -> None:
    with refused("INVALID_ARGUMENT", "needs an http_request"):
        place.call("CreateTask", parent=QUEUE, task={})


def test_a_task_needs_its_queue() -> None:
    with refused("NOT_FOUND", "Queue does not exist"):
        Place().create()


def test_tasks_are_listed_in_pages(place: Place) -> None:
    for number in range(3):
        place.create(name=f"{QUEUE}/tasks/{number}")

    first = place.call("ListTasks", parent=QUEUE, pageSize=2)
    rest = place.call("ListTasks", parent=QUEUE, pageToken=first["nextPageToken"])

    ids = [task["name"][-1] for task in first["tasks"] + rest["tasks"]]
    assert ids == ["0", "1", "2"]
    assert "nextPageToken" not in rest


def test_a_deleted_task_is_gone_and_its_name_is_taken(place: Place) -> None:
    place.create()

    assert place.call("DeleteTask", name=TASK) == {}

    for method in ("GetTask", "DeleteTask", "RunTask"):
        with refused("NOT_FOUND"):
            place.call(method, name=TASK)
    with refused("ALREADY_EXISTS"):
        place.create()


def test_a_forced_run_returns_the_dispatched_task(place: Place) -> None:
    place.create(scheduleTime="2026-01-02T00:00:00Z")

    ran = place.call("RunTask", name=TASK)

    (dispatch,) = place.fired
    assert (dispatch.task.name, dispatch.forced) == (TASK, True)
    assert (ran["dispatchCount"], ran["firstAttempt"]) == (
        1,
        {"dispatchTime": "2026-01-01T00:00:00.250Z"},
    )
    assert ran["lastAttempt"] == {
        "scheduleTime": "2026-01-02T00:00:00Z",
        "dispatchTime": "2026-01-01T00:00:00.250Z",
    }


def test_the_last_attempt_says_how_it_ended(place: Place) -> None:
    place.create()
    place.call("RunTask", name=TASK)
    place.queues.finished(place.fired[0], START + 1, status=503, code=14, text="why")

    task = place.call("GetTask", name=TASK)

    assert task["lastAttempt"]["responseStatus"] == {"code": 14, "message": "why"}
    assert task["lastAttempt"]["responseTime"] == "2026-01-01T00:00:01.250Z"
    assert task["responseCount"] == 1


# -- locations and methods ------------------------------------------------------------------------


def test_locations_are_a_few_and_those_in_use(place: Place) -> None:
    used = "projects/p/locations/asia-east1"
    place.call("CreateQueue", parent=used, queue={"name": f"{used}/queues/q"})

    listed = place.call("ListLocations", name="projects/p")["locations"]

    assert {"name": used, "locationId": "asia-east1"} in listed
    assert [place["locationId"] for place in listed] == sorted([*names.LOCATIONS, "asia-east1"])
    other = place.call("ListLocations", name="projects/q")["locations"]
    assert len(other) == len(names.LOCATIONS)


def test_any_location_will_do(place: Place) -> None:
    assert place.call("GetLocation", name=PARENT) == {"name": PARENT, "locationId": "europe-west2"}
    with refused("INVALID_ARGUMENT"):
        place.call("GetLocation", name="projects/p/locations/")


@pytest.mark.slow
def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, ucam_faas.emulator.emulator;"
        "sys.exit(bool({'google.cloud.tasks_v2', 'google.cloud.scheduler_v1'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- anything -------------------------------------------------------------------------------------

PATHS = st.lists(
    st.sampled_from(["*", "rate_limits", "retry_config.max_attempts", "name", "state"])
    | st.text(max_size=3),
    max_size=3,
)


@pytest.mark.slow
@given(
    queue=parsed(tasks_v2.Queue.pb()),
    change=parsed(tasks_v2.Queue.pb()),
    paths=PATHS,
    task=parsed(tasks_v2.Task.pb()),
)
@settings(max_examples=100)
def test_any_request_is_answered_or_refused(queue: Any, change: Any, paths: Any, task: Any) -> None:
    place, known = Place(), methods()

    def tried(call: Callable[[Any], Any], request: Any) -> Any:
        with suppress(RpcError):
            return call(request)

    queue.name = QUEUE
    if tried(place.api.create_queue, known["CreateQueue"][0](parent=PARENT, queue=queue)) is None:
        place.create_queue()
    update = known["UpdateQueue"][0](queue=change)
    update.queue.name = QUEUE
    update.update_mask.paths.extend(paths)
    tried(place.api.update_queue, update)
    task.name = ""
    made = tried(place.api.create_task, known["CreateTask"][0](parent=QUEUE, task=task))

    kept = place.queues.get_queue(QUEUE)
    assert kept == Queue.from_dict(place.saved["queues"][QUEUE])
    if made is not None:
        assert made == place.api.get_task(known["GetTask"][0](name=made.name))
        assert json_format.MessageToDict(made)
