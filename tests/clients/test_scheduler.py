"""google-cloud-scheduler unchanged: its gRPC, asyncio and REST clients."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud.scheduler_v1 import CloudSchedulerAsyncClient, CloudSchedulerClient, Job

from tests.integration.emulator import PROJECT, Emulator, new_name
from tests.integration.processes import wait_until

from .endpoint import Endpoint
from .sink import Sink
from .transports import Call, connected

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ours_only")]

LOCATION = f"projects/{PROJECT}/locations/europe-west2"


@pytest.fixture(params=["grpc", "asyncio", "rest"])
def call(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[Call]:
    with connected(
        request.param, endpoint, CloudSchedulerClient, CloudSchedulerAsyncClient
    ) as call:
        yield call


def new_job_name() -> str:
    return f"{LOCATION}/jobs/{new_name('topics').rpartition('/')[2]}"


def pubsub_job(topic: str, **settings: Any) -> dict[str, Any]:
    target = {"topic_name": topic, "data": b"tick", "attributes": {"colour": "red"}}
    return {
        "name": new_job_name(),
        "pubsub_target": target,
        "schedule": "0 3 1 1 *",
        "time_zone": "Europe/London",
        **settings,
    }


def test_a_job_is_created_found_listed_and_deleted(call: Call, pubsub: Emulator) -> None:
    job = pubsub_job(pubsub.create_topic(), description="yearly")

    created = call("create_job", parent=LOCATION, job=job)

    assert created.name == job["name"]
    assert created.description == "yearly"
    assert created.state is Job.State.ENABLED
    assert (created.schedule, created.time_zone) == ("0 3 1 1 *", "Europe/London")
    assert created.pubsub_target.topic_name == job["pubsub_target"]["topic_name"]
    assert created.pubsub_target.data == b"tick"
    assert dict(created.pubsub_target.attributes) == {"colour": "red"}
    next_run = created.schedule_time
    assert (next_run.month, next_run.day, next_run.hour, next_run.minute) == (1, 1, 3, 0)
    assert call("get_job", name=created.name) == created
    assert created.name in {job.name for job in call("list_jobs", parent=LOCATION)}
    call("delete_job", name=created.name)
    with pytest.raises(NotFound):
        call("get_job", name=created.name)


def test_a_run_now_publishes_to_the_topic(call: Call, pubsub: Emulator) -> None:
    topic = pubsub.create_topic()
    subscription = pubsub.subscribe(topic)
    created = call("create_job", parent=LOCATION, job=pubsub_job(topic))

    call("run_job", name=created.name)

    (message,) = pubsub.pull(subscription)
    assert (message.data, dict(message.attributes)) == (b"tick", {"colour": "red"})
    ran = wait_until(
        lambda: attempted(call("get_job", name=created.name)), "its last attempt is known"
    )
    age = datetime.datetime.now(datetime.UTC) - ran.last_attempt_time
    assert abs(age) < datetime.timedelta(minutes=1)


def attempted(job: Job) -> Job | None:
    return job if "last_attempt_time" in job else None


def test_a_run_now_sends_the_http_request(call: Call, sink: Sink) -> None:
    target = {
        "uri": f"{sink.url}/task?x=1",
        "http_method": "PUT",
        "headers": {"X-Colour": "red", "Content-Type": "text/plain"},
        "body": b"tick",
    }
    job = {
        "name": new_job_name(),
        "http_target": target,
        "schedule": "0 3 1 1 *",
        "attempt_deadline": datetime.timedelta(seconds=30),
    }
    created = call("create_job", parent=LOCATION, job=job)
    assert created.attempt_deadline == datetime.timedelta(seconds=30)

    call("run_job", name=created.name)

    request = sink.wait()
    assert (request.method, request.path, request.body) == ("PUT", "/task?x=1", b"tick")
    assert request.headers["x-colour"] == "red"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["user-agent"] == "Google-Cloud-Scheduler"
    assert request.headers["x-cloudscheduler"] == "true"
    assert request.headers["x-cloudscheduler-jobname"] == created.name.rpartition("/")[2]


def test_a_job_is_paused_and_resumed(call: Call, pubsub: Emulator) -> None:
    created = call("create_job", parent=LOCATION, job=pubsub_job(pubsub.create_topic()))

    assert call("pause_job", name=created.name).state is Job.State.PAUSED
    assert call("get_job", name=created.name).state is Job.State.PAUSED
    assert call("resume_job", name=created.name).state is Job.State.ENABLED


def test_a_job_is_changed_with_a_mask(call: Call, pubsub: Emulator) -> None:
    created = call(
        "create_job",
        parent=LOCATION,
        job=pubsub_job(pubsub.create_topic(), description="stays"),
    )
    change = {"name": created.name, "schedule": "*/5 * * * *", "description": "not in the mask"}

    changed = call("update_job", job=change, update_mask={"paths": ["schedule"]})

    assert (changed.schedule, changed.description) == ("*/5 * * * *", "stays")
    assert changed.pubsub_target == created.pubsub_target
    assert changed.schedule_time.minute % 5 == 0
    assert changed.schedule_time < created.schedule_time


def test_a_retry_configuration_is_kept(call: Call, pubsub: Emulator) -> None:
    retry = {
        "retry_count": 3,
        "max_retry_duration": datetime.timedelta(seconds=60),
        "min_backoff_duration": datetime.timedelta(seconds=1),
        "max_backoff_duration": datetime.timedelta(seconds=10),
        "max_doublings": 2,
    }

    created = call(
        "create_job", parent=LOCATION, job=pubsub_job(pubsub.create_topic(), retry_config=retry)
    )

    assert {name: getattr(created.retry_config, name) for name in retry} == retry


def test_jobs_are_listed_in_pages(call: Call, pubsub: Emulator) -> None:
    project = new_name("topics").rpartition("/")[2]  # used by no other test
    parent = f"projects/{project}/locations/europe-west2"
    topic = pubsub.create_topic(f"projects/{project}/topics/topic")
    names = [f"{parent}/jobs/job-{n}" for n in range(5)]
    for name in names:
        call("create_job", parent=parent, job=pubsub_job(topic) | {"name": name})

    listed = call("list_jobs", request={"parent": parent, "page_size": 2})

    assert sorted(job.name for job in listed) == names


def test_errors_have_their_classes(call: Call, pubsub: Emulator) -> None:
    """AlreadyExists is a Conflict, InvalidArgument a BadRequest; over REST only those come."""
    topic = pubsub.create_topic()
    created = call("create_job", parent=LOCATION, job=pubsub_job(topic))
    missing = new_job_name()

    with pytest.raises(Conflict):
        call("create_job", parent=LOCATION, job=pubsub_job(topic) | {"name": created.name})
    for wrong in ({"schedule": "often"}, {"time_zone": "Europe/Nowhere"}):
        with pytest.raises(BadRequest):
            call("create_job", parent=LOCATION, job=pubsub_job(topic, **wrong))
    for method in ("get_job", "run_job", "pause_job", "resume_job", "delete_job"):
        with pytest.raises(NotFound):
            call(method, name=missing)


def test_locations_are_listed(call: Call) -> None:
    listed = call("list_locations", request={"name": f"projects/{PROJECT}"})

    assert "europe-west2" in {location.location_id for location in listed.locations}
    location_read = call("get_location", request={"name": LOCATION})
    assert location_read.location_id == "europe-west2"
