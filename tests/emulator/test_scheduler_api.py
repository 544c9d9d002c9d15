"""Cloud Scheduler's RPC methods, with the requests of gcloud and the Python client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from google.cloud import scheduler_v1
from google.protobuf import json_format
from hypothesis import given, settings, strategies as st

from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.scheduler.api import SchedulerApi, methods
from ucam_faas.emulator.scheduler.engine import Scheduler
from ucam_faas.emulator.scheduler.jobs import Firing, Job, PubsubTarget
from ucam_faas.emulator.targets.target import HttpTarget

START = 1767225600.0
"""Midnight, 1 January 2026, UTC."""
PARENT = "projects/p/locations/europe-west2"
NAME = f"{PARENT}/jobs/j"
PUBSUB = {"topicName": "projects/p/topics/top", "data": "aGk="}
HTTP = {"uri": "http://127.0.0.1:8080/run?x=1"}
GCLOUD_RETRY = {
    "retryCount": 0,
    "minBackoffDuration": "5s",
    "maxBackoffDuration": "3600s",
    "maxDoublings": 5,
}


class Place:
    """An API, its clock, and the jobs that it has fired and saved."""

    def __init__(self) -> None:
        self.now = START
        self.saved: dict[str, Job | None] = {}
        self.fired: list[Firing] = []
        self.scheduler = Scheduler(self.saved.__setitem__)
        self.api = SchedulerApi(self.scheduler, lambda: self.now, self.fired.append)

    def call(self, method: str, **fields: Any) -> Any:
        """Call an RPC method with a request in JSON, and return its answer in JSON."""
        known = methods()
        request = json_format.ParseDict(fields, known[method][0]())
        response = getattr(self.api, re.sub("(?<!^)([A-Z])", r"_\1", method).lower())(request)
        assert type(response) is known[method][1]
        return json_format.MessageToDict(response)

    def create(self, **job: Any) -> Any:
        wanted = {"name": NAME, "schedule": "0 * * * *"} | job
        if not {"pubsubTarget", "httpTarget", "appEngineHttpTarget"} & wanted.keys():
            wanted["pubsubTarget"] = PUBSUB
        return self.call("CreateJob", parent=PARENT, job=wanted)

    def update(self, mask: str | None, **job: Any) -> Any:
        masked = {} if mask is None else {"updateMask": mask}
        return self.call("UpdateJob", job={"name": NAME} | job, **masked)


@pytest.fixture
def place() -> Place:
    return Place()


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[None]:
    with pytest.raises(RpcError, match=message) as caught:
        yield
    assert caught.value.code == code


# -- create and get -------------------------------------------------------------------------------


def test_a_job_as_gcloud_creates_it(place: Place) -> None:
    made = place.create(
        pubsubTarget=PUBSUB | {"attributes": {"k": "v"}},
        timeZone="Europe/London",
        retryConfig=GCLOUD_RETRY,
    )

    assert made == place.call("GetJob", name=NAME)
    assert made == {
        "name": NAME,
        "pubsubTarget": PUBSUB | {"attributes": {"k": "v"}},
        "schedule": "0 * * * *",
        "timeZone": "Europe/London",
        "state": "ENABLED",
        "userUpdateTime": "2026-01-01T00:00:00Z",
        "scheduleTime": "2026-01-01T01:00:00Z",
        "attemptDeadline": "180s",
        "retryConfig": {
            "maxRetryDuration": "0s",
            "minBackoffDuration": "5s",
            "maxBackoffDuration": "3600s",
            "maxDoublings": 5,
        },
    }


def test_an_http_job_with_everything(place: Place) -> None:
    target = HTTP | {
        "httpMethod": "PUT",
        "headers": {"Content-Type": "application/json"},
        "body": "e30=",
        "oidcToken": {"serviceAccountEmail": "a@p.iam.gserviceaccount.com", "audience": "me"},
    }
    retry = {
        "retryCount": 5,
        "maxRetryDuration": "3.500s",
        "minBackoffDuration": "0.000000001s",
        "maxBackoffDuration": "86400s",
        "maxDoublings": 16,
    }

    made = place.create(
        description="d" * 500, httpTarget=target, attemptDeadline="1800s", retryConfig=retry
    )

    assert made["httpTarget"] == target
    assert made["retryConfig"] == retry
    assert (made["description"], made["attemptDeadline"]) == ("d" * 500, "1800s")
    kept = place.saved[NAME]
    assert kept is not None
    assert isinstance(kept.target, HttpTarget)
    assert (kept.target.method, kept.target.body) == ("PUT", b"{}")
    assert kept.target.oidc is not None
    assert kept.target.oidc.audience == "me"
    assert Job.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept


def test_defaults_are_the_documented_ones(place: Place) -> None:
    made = place.create(httpTarget=HTTP, retryConfig={"retryCount": 1}, timeZone="")

    assert made["timeZone"] == "UTC"
    assert made["httpTarget"] == HTTP | {"httpMethod": "POST"}
    assert made["attemptDeadline"] == "180s"
    assert made["retryConfig"] == GCLOUD_RETRY | {"retryCount": 1, "maxRetryDuration": "0s"}


def test_the_message_is_what_the_python_client_reads(place: Place) -> None:
    request = scheduler_v1.CreateJobRequest(
        parent=PARENT,
        job=scheduler_v1.Job(
            schedule="every 5 minutes",
            http_target=scheduler_v1.HttpTarget(
                uri="https://example.com", http_method=scheduler_v1.HttpMethod.GET
            ),
        ),
    )

    made = scheduler_v1.Job.wrap(place.api.create_job(scheduler_v1.CreateJobRequest.pb(request)))

    assert made.state is scheduler_v1.Job.State.ENABLED
    assert made.http_target.http_method is scheduler_v1.HttpMethod.GET
    assert made.schedule_time.timestamp() == START + 300


def test_a_job_without_a_name_gets_one_of_its_own(place: Place) -> None:
    first, second = place.create(name="")["name"], place.create(name="")["name"]

    assert first != second
    assert first.startswith(f"{PARENT}/jobs/")
    assert place.call("GetJob", name=first)["name"] == first


def test_output_only_fields_of_a_new_job_are_ignored(place: Place) -> None:
    made = place.create(
        state="PAUSED", status={"code": 3}, lastAttemptTime="2020-01-01T00:00:00Z",
        scheduleTime="2020-01-01T00:00:00Z", userUpdateTime="2020-01-01T00:00:00Z",
    )  # fmt: skip

    assert (made["state"], made["userUpdateTime"]) == ("ENABLED", "2026-01-01T00:00:00Z")
    assert made["scheduleTime"] == "2026-01-01T01:00:00Z"
    assert made.keys().isdisjoint({"status", "lastAttemptTime"})


def test_creating_does_not_change_the_request(place: Place) -> None:
    request = methods()["CreateJob"][0](parent=PARENT)
    request.job.schedule = "* * * * *"
    request.job.pubsub_target.topic_name = "projects/p/topics/top"
    request.job.pubsub_target.data = b"x"
    before = request.SerializeToString()

    place.api.create_job(request)

    assert request.SerializeToString() == before


def test_a_name_can_be_taken_once(place: Place) -> None:
    place.create()

    with refused("ALREADY_EXISTS"):
        place.create()


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"name": "j"}, "Invalid job.name 'j': expected projects/P/locations/L/jobs/ID"),
    ({"name": f"{PARENT}/jobs/{'j' * 501}"}, "1 to 500 letters"),
    ({"name": f"{PARENT}/jobs/a.b"}, "Invalid job.name"),
    ({"name": f"{NAME}\n"}, "Invalid job.name"),
    ({"name": "projects/p/locations/us-east1/jobs/j"}, f"expected a job in {PARENT}"),
    ({"description": "d" * 501}, "at most 500 characters"),
    ({"schedule": ""}, "a job needs one, such as '0 3"),
    ({"schedule": "0 * * *"}, "schedule '0 [*] [*] [*]': 4 fields"),
    ({"schedule": "0 0 30 2 *"}, "it never runs"),
    ({"timeZone": "Mars/Olympus"}, "time zone 'Mars/Olympus': expected a name in the time zone"),
    ({"retryConfig": {"retryCount": 6}}, "retry_count 6: expected 0 to 5"),
    ({"retryConfig": {"retryCount": -1}}, "retry_count -1: expected 0 to 5"),
    ({"retryConfig": {"maxDoublings": -1}}, "max_doublings -1"),
    ({"retryConfig": {"minBackoffDuration": "-1s"}}, "min_backoff_duration: -1s"),
    ({"retryConfig": {"maxRetryDuration": "-0.5s"}}, "max_retry_duration: -0.5s"),
    ({"retryConfig": {"minBackoffDuration": "9s", "maxBackoffDuration": "8s"}}, "is longer than"),
    ({"retryConfig": {"minBackoffDuration": "3601s"}}, "is longer than max_backoff_duration"),
    ({"pubsubTarget": {}}, "Invalid resource name given"),
    ({"pubsubTarget": PUBSUB | {"topicName": "top"}}, "Invalid resource name given .name=top"),
    ({"pubsubTarget": PUBSUB | {"topicName": "projects/p/topics/goog"}}, "does not start with"),
    ({"pubsubTarget": PUBSUB | {"topicName": "projects/q/topics/top"}}, "topic of the job's 'p'"),
    ({"pubsubTarget": PUBSUB | {"data": ""}}, "data or at least one attribute"),
    ({"pubsubTarget": PUBSUB | {"attributes": {"googk": "v"}}}, "no goog first"),
    ({"pubsubTarget": PUBSUB | {"attributes": {"": "v"}}}, "1 to 256 bytes"),
    ({"pubsubTarget": PUBSUB | {"attributes": {"é" * 129: "v"}}}, "1 to 256 bytes"),
    ({"pubsubTarget": PUBSUB | {"attributes": {"k": "v" * 1025}}}, "at most 1024 bytes"),
    ({"pubsubTarget": PUBSUB | {"attributes": {f"k{n}": "" for n in range(101)}}}, "at most 100"),
    ({"pubsubTarget": PUBSUB | {"data": "AAAA" * 333_334}}, "at most 1 MB"),
    ({"httpTarget": {}}, "Invalid uri"),
    ({"httpTarget": {"uri": "ftp://host/"}}, "expected http:// or https://"),
    ({"httpTarget": {"uri": "http://"}}, "a host"),
    ({"httpTarget": {"uri": "http://a b/"}}, "no spaces"),
    ({"httpTarget": {"uri": "http://[::1/"}}, "Invalid uri"),
    ({"httpTarget": {"uri": "http://h:99999/"}}, "Invalid uri"),
    ({"httpTarget": {"uri": "http://h/\r\nX: y"}}, "Invalid uri"),
    ({"httpTarget": {"uri": f"http://h/{'x' * 2083}"}}, "at most 2083"),
    ({"httpTarget": HTTP | {"httpMethod": 9}}, "http_method 9: expected 1 to 7"),
    ({"httpTarget": HTTP | {"httpMethod": "GET", "body": "aGk="}}, "expected none with GET"),
    ({"httpTarget": HTTP | {"httpMethod": "DELETE", "body": "aGk="}}, "none with DELETE"),
    ({"httpTarget": HTTP | {"headers": {"a b": "c"}}}, "Invalid header 'a b'"),
    ({"httpTarget": HTTP | {"headers": {"": "c"}}}, "Invalid header ''"),
    ({"httpTarget": HTTP | {"headers": {"a": "b\r\nc: d"}}}, "Invalid header 'a'"),
    ({"httpTarget": HTTP | {"headers": {"a": "b" * 79_999}}}, "less than 80 KB"),
    ({"httpTarget": HTTP | {"oidcToken": {"audience": "x"}}}, "needs a service_account_email"),
    ({"httpTarget": HTTP | {"oauthToken": {"scope": "x"}}}, "needs a service_account_email"),
    ({"httpTarget": HTTP, "attemptDeadline": "14.9s"}, "attempt_deadline: 14.9s"),
    ({"httpTarget": HTTP, "attemptDeadline": "1801s"}, "attempt_deadline: 1801s"),
    ({"httpTarget": HTTP, "attemptDeadline": "-15s"}, "attempt_deadline: -15s"),
]


@pytest.mark.parametrize(("job", "message"), LIMITS, ids=[message for _, message in LIMITS])
def test_what_is_outside_the_limits_is_an_invalid_argument(
    place: Place, job: dict[str, Any], message: str
) -> None:
    with refused("INVALID_ARGUMENT", message):
        place.create(**job)

    assert place.saved == {}


@pytest.mark.parametrize(
    "job",
    [
        {"name": f"{PARENT}/jobs/{'j' * 500}"},
        {"retryConfig": {"retryCount": 5}},
        {"httpTarget": HTTP, "attemptDeadline": "15s"},
        {"httpTarget": {"uri": f"https://h/{'x' * 2073}"}},
        {"httpTarget": {"uri": "http://[::1]:80/"}},
        {"httpTarget": HTTP | {"httpMethod": "PATCH", "body": "aGk="}},
        {"httpTarget": HTTP | {"headers": {"a": "b" * 79_998}}},
        {"pubsubTarget": {"topicName": "projects/p/topics/top", "attributes": {"k": ""}}},
        {"pubsubTarget": PUBSUB, "attemptDeadline": "1s"},
    ],
    ids=str,
)
def test_what_is_just_inside_the_limits_is_taken(place: Place, job: dict[str, Any]) -> None:
    place.create(**job)


def test_a_parent_is_a_location(place: Place) -> None:
    with refused("INVALID_ARGUMENT", "Invalid parent 'projects/p': expected projects/P/locations"):
        place.call("CreateJob", parent="projects/p", job={})


def test_a_job_has_a_target(place: Place) -> None:
    with refused("INVALID_ARGUMENT", "exactly one target: pubsub_target or http_target"):
        place.call("CreateJob", parent=PARENT, job={"name": NAME, "schedule": "* * * * *"})


def test_what_is_not_supported_says_so_by_name(place: Place) -> None:
    with refused("UNIMPLEMENTED", "App Engine targets .* are not supported"):
        place.create(appEngineHttpTarget={"relativeUri": "/"})


def test_an_oauth_token_is_kept(place: Place) -> None:
    target = HTTP | {"oauthToken": {"serviceAccountEmail": "a@b", "scope": "s"}}

    made = place.create(httpTarget=target)

    assert made["httpTarget"] == target | {"httpMethod": "POST"}
    kept = place.saved[NAME]
    assert kept is not None
    assert Job.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept


def test_durations_beyond_all_bounds_are_refused_over_grpc(place: Place) -> None:
    """JSON has bounds for durations; bytes have not."""
    request = methods()["CreateJob"][0](parent=PARENT)
    request.job.schedule = "* * * * *"
    request.job.http_target.uri = "http://h"
    request.job.retry_config.max_retry_duration.seconds = 2**63 - 1

    with refused("INVALID_ARGUMENT", "max_retry_duration"):
        place.api.create_job(request)


# -- list -----------------------------------------------------------------------------------------


def names(answer: Any) -> list[str]:
    return [job["name"].rpartition("/")[2] for job in answer.get("jobs", [])]


def test_jobs_are_listed_page_by_page(place: Place) -> None:
    for name in "bdaec":
        place.create(name=f"{PARENT}/jobs/{name}")

    first = place.call("ListJobs", parent=PARENT, pageSize=2)
    second = place.call("ListJobs", parent=PARENT, pageSize=2, pageToken=first["nextPageToken"])
    third = place.call("ListJobs", parent=PARENT, pageSize=2, pageToken=second["nextPageToken"])

    assert [names(first), names(second), names(third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert "nextPageToken" not in third


def test_a_page_that_holds_all_has_no_next(place: Place) -> None:
    for name in "ab":
        place.create(name=f"{PARENT}/jobs/{name}")

    assert "nextPageToken" not in place.call("ListJobs", parent=PARENT, pageSize=2)


def test_a_page_token_outlives_its_job(place: Place) -> None:
    for name in "abc":
        place.create(name=f"{PARENT}/jobs/{name}")
    token = place.call("ListJobs", parent=PARENT, pageSize=1)["nextPageToken"]

    place.call("DeleteJob", name=f"{PARENT}/jobs/a")

    assert names(place.call("ListJobs", parent=PARENT, pageToken=token)) == ["b", "c"]


def test_a_page_has_at_most_500_jobs(place: Place) -> None:
    for number in range(501):
        place.create(name=f"{PARENT}/jobs/{number:03}")

    assert len(names(place.call("ListJobs", parent=PARENT))) == 500
    assert len(names(place.call("ListJobs", parent=PARENT, pageSize=9999))) == 500


def test_only_the_jobs_of_the_location_are_listed(place: Place) -> None:
    place.create()
    other = f"{PARENT}2"
    place.call(
        "CreateJob",
        parent=other,
        job={"name": f"{other}/jobs/k", "schedule": "* * * * *", "pubsubTarget": PUBSUB},
    )

    assert names(place.call("ListJobs", parent=PARENT)) == ["j"]
    assert names(place.call("ListJobs", parent=other)) == ["k"]


@pytest.mark.parametrize(
    "bad", [{"pageSize": -1}, *({"pageToken": token} for token in ("é", "A", "gICA", "YQ==!"))]
)
def test_a_bad_page_is_refused(place: Place, bad: dict[str, Any]) -> None:
    with refused("INVALID_ARGUMENT", "Invalid page_"):
        place.call("ListJobs", parent=PARENT, **bad)


# -- update ---------------------------------------------------------------------------------------


def test_gcloud_sends_a_body_full_of_defaults_and_the_mask_decides(place: Place) -> None:
    before = place.create(
        description="keep",
        httpTarget=HTTP | {"httpMethod": "GET", "headers": {"a": "b"}},
        timeZone="Europe/London",
        retryConfig={"retryCount": 3, "minBackoffDuration": "7s"},
    )
    place.now += 60

    after = place.update(
        "schedule",
        schedule="*/10 * * * *",
        timeZone="Etc/UTC",
        retryConfig=GCLOUD_RETRY,
        pubsubTarget=PUBSUB,
        attemptDeadline="30s",
    )

    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"schedule", "scheduleTime", "userUpdateTime"}
    assert after["scheduleTime"] == "2026-01-01T00:10:00Z"
    assert after == place.call("GetJob", name=NAME)


@pytest.mark.parametrize(
    ("mask", "fields", "expected"),
    [
        ("description", {}, {"description": ""}),
        ("timeZone", {"timeZone": "Asia/Tokyo"}, {"timeZone": "Asia/Tokyo"}),
        ("httpTarget.uri", {"httpTarget": {"uri": "http://new"}}, {"uri": "http://new"}),
        ("httpTarget.body", {"httpTarget": {"body": "aGk="}}, {"body": "aGk="}),
        ("httpTarget.headers", {"httpTarget": {"headers": {"c": "d"}}}, {"headers": {"c": "d"}}),
        ("httpTarget.headers", {"httpTarget": {}}, {"headers": {}}),
        ("attemptDeadline", {"attemptDeadline": "20s"}, {"attemptDeadline": "20s"}),
        ("attemptDeadline", {}, {"attemptDeadline": "180s"}),
        ("retryConfig.retryCount", {"retryConfig": {"retryCount": 1}}, {"retryCount": 1}),
        ("retryConfig.retryCount", {"retryConfig": {}}, {"retryCount": 0}),
        ("retryConfig.maxDoublings", {"retryConfig": {}}, {"maxDoublings": 0}),
        ("retryConfig", {"retryConfig": {}}, {"retryCount": 0, "maxDoublings": 5}),
        ("retryConfig", {}, {"retryCount": 0, "minBackoffDuration": "5s"}),
    ],
)
def test_a_mask_names_what_changes_and_nothing_else_does(
    place: Place, mask: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    place.create(
        description="old",
        httpTarget=HTTP | {"headers": {"a": "b"}},
        attemptDeadline="40s",
        retryConfig={"retryCount": 3, "minBackoffDuration": "7s", "maxDoublings": 2},
    )
    before = flat(place.call("GetJob", name=NAME))

    after = flat(place.update(mask, **fields))

    empty: dict[str, Any] = {"description": "", "retryCount": 0, "headers": {}, "maxDoublings": 0}
    for key, value in expected.items():
        assert after.get(key, empty.get(key)) == value
    if "." in mask:
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        assert changed <= expected.keys()


def flat(job: dict[str, Any]) -> dict[str, Any]:
    inner = job.pop("httpTarget") | job.pop("retryConfig")
    return job | inner


def test_max_doublings_of_none_stays_none(place: Place) -> None:
    place.create()
    place.update("retryConfig.maxDoublings", retryConfig={"maxDoublings": 0})

    after = place.update("description", description="new")

    assert "maxDoublings" not in after["retryConfig"]


def test_a_new_target_takes_the_place_of_the_old(place: Place) -> None:
    place.create()

    after = place.update("httpTarget", httpTarget=HTTP)

    assert "pubsubTarget" not in after
    assert after["httpTarget"]["uri"] == HTTP["uri"]
    kept = place.saved[NAME]
    assert kept is not None
    assert isinstance(kept.target, HttpTarget)


def test_part_of_the_other_kind_of_target_is_not_a_target(place: Place) -> None:
    place.create()

    with refused("INVALID_ARGUMENT", "Invalid uri"):
        place.update("httpTarget.body", httpTarget={"body": "aGk="})

    kept = place.saved[NAME]
    assert kept is not None
    assert isinstance(kept.target, PubsubTarget)


def test_without_a_mask_what_the_request_fills_is_changed(place: Place) -> None:
    place.create(description="old", retryConfig={"retryCount": 3})

    after = place.update(None, schedule="*/10 * * * *", pubsubTarget=PUBSUB | {"data": "bmV3"})

    assert (after["schedule"], after["pubsubTarget"]["data"]) == ("*/10 * * * *", "bmV3")
    assert (after["description"], after["retryConfig"]["retryCount"]) == ("old", 3)


def test_a_mask_of_a_star_replaces_everything(place: Place) -> None:
    place.create(description="old", retryConfig={"retryCount": 3})

    after = place.update("*", schedule="1 * * * *", pubsubTarget=PUBSUB)

    assert "description" not in after
    assert after["retryConfig"] == {
        key: value for key, value in GCLOUD_RETRY.items() if key != "retryCount"
    } | {"maxRetryDuration": "0s"}


def test_paths_may_be_in_either_spelling(place: Place) -> None:
    place.create()
    request = methods()["UpdateJob"][0]()
    request.job.name, request.job.time_zone = NAME, "Asia/Tokyo"

    for spelling in ("time_zone", "timeZone"):
        request.update_mask.paths[:] = [spelling]
        assert place.api.update_job(request).time_zone == "Asia/Tokyo"


def test_output_only_fields_in_a_mask_are_ignored(place: Place) -> None:
    before = place.create()

    after = place.update(
        "state,status.code,scheduleTime,lastAttemptTime,userUpdateTime,name",
        state="PAUSED",
        status={"code": 5},
        scheduleTime="2030-01-01T00:00:00Z",
    )

    assert after == before


@pytest.mark.parametrize("mask", ["nope", "retryConfig.nope", "schedule.x", "httpTarget.headers.a"])
def test_a_mask_of_unknown_fields_is_refused(place: Place, mask: str) -> None:
    place.create()

    with refused("INVALID_ARGUMENT", "Invalid update_mask: there is no field"):
        place.update(mask)


@pytest.mark.parametrize(
    ("mask", "job", "message"),
    [
        ("schedule", {"schedule": "bad"}, "1 fields: expected five"),
        ("schedule", {}, "a job needs one"),
        ("timeZone", {"timeZone": "Mars"}, "time zone 'Mars'"),
        ("pubsubTarget", {}, "exactly one target"),
        ("retryConfig.retryCount", {"retryConfig": {"retryCount": 9}}, "retry_count 9"),
    ],
)
def test_a_bad_update_changes_nothing(
    place: Place, mask: str, job: dict[str, Any], message: str
) -> None:
    before = place.create()

    with refused("INVALID_ARGUMENT", message):
        place.update(mask, **job)

    assert place.call("GetJob", name=NAME) == before


def test_app_engine_targets_are_not_supported_in_updates_either(place: Place) -> None:
    place.create()

    with refused("UNIMPLEMENTED", "App Engine targets"):
        place.update("appEngineHttpTarget", appEngineHttpTarget={"relativeUri": "/"})


# -- delete, pause, resume, run -------------------------------------------------------------------


def test_a_deleted_job_is_gone(place: Place) -> None:
    place.create()

    assert place.call("DeleteJob", name=NAME) == {}

    assert place.saved == {NAME: None}
    with refused("NOT_FOUND"):
        place.call("GetJob", name=NAME)


@pytest.mark.parametrize("method", ["GetJob", "DeleteJob", "PauseJob", "ResumeJob", "RunJob"])
def test_a_job_that_is_not_there_is_not_found(place: Place, method: str) -> None:
    with refused("NOT_FOUND"):
        place.call(method, name=NAME)
    with refused("INVALID_ARGUMENT", "Invalid name 'j'"):
        place.call(method, name="j")


def test_an_update_of_a_job_that_is_not_there_is_not_found(place: Place) -> None:
    with refused("NOT_FOUND"):
        place.update("schedule", schedule="* * * * *")
    with refused("INVALID_ARGUMENT", "Invalid job.name ''"):
        place.call("UpdateJob", job={})


def test_pause_and_resume(place: Place) -> None:
    place.create()

    paused = place.call("PauseJob", name=NAME)
    assert paused["state"] == "PAUSED"
    assert "scheduleTime" not in paused
    with refused("FAILED_PRECONDITION"):
        place.call("PauseJob", name=NAME)

    place.now += 7200
    resumed = place.call("ResumeJob", name=NAME)
    assert (resumed["state"], resumed["scheduleTime"]) == ("ENABLED", "2026-01-01T03:00:00Z")
    with refused("FAILED_PRECONDITION"):
        place.call("ResumeJob", name=NAME)


def test_a_run_by_force_is_fired_also_of_a_paused_job(place: Place) -> None:
    place.create()
    place.call("PauseJob", name=NAME)

    answer = place.call("RunJob", name=NAME)

    assert (answer["state"], answer["lastAttemptTime"]) == ("PAUSED", "2026-01-01T00:00:00Z")
    (firing,) = place.fired
    assert (firing.job.name, firing.forced) == (NAME, True)


def test_the_status_tells_how_the_last_attempt_ended(place: Place) -> None:
    assert "status" not in place.create()
    place.call("RunJob", name=NAME)
    place.scheduler.finished(place.fired[0], False, START, "answered 404", code=5)
    assert place.call("GetJob", name=NAME)["status"] == {"code": 5, "message": "answered 404"}

    place.call("RunJob", name=NAME)
    place.scheduler.finished(place.fired[1], True, START)

    assert place.call("GetJob", name=NAME)["status"] == {}


def test_a_disabled_job_says_why(place: Place) -> None:
    target = PubsubTarget(topic="projects/p/topics/top", data=b"x")
    place.scheduler.restore([Job(name=NAME, schedule="bad", target=target)], START)

    job = place.call("GetJob", name=NAME)

    assert (job["state"], job["status"]["code"]) == ("DISABLED", 3)


# -- methods --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, ucam_faas.emulator.scheduler.api as api;"
        "sys.exit('google.cloud.scheduler_v1' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- anything -------------------------------------------------------------------------------------


def anything(descriptor: Any, depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """JSON that a message may be parsed from, with values of the right kinds and of wrong ones."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        value: st.SearchStrategy[Any] = st.sampled_from(
            ["", "x", "*/5 * * * *", "projects/p/topics/top", "http://h", "UTC", "5s", NAME]
        ) | st.text(max_size=5)
        if field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            value = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
        elif field.type == field.TYPE_MESSAGE and field.message_type.name == "Duration":
            value = st.sampled_from(["0s", "-1s", "1s", "60s", "315576000000s", "0.5s"])
        elif field.type == field.TYPE_MESSAGE and field.message_type.name == "Timestamp":
            value = st.just("2026-01-01T00:00:00Z")
        elif field.type == field.TYPE_MESSAGE and depth:
            value = anything(field.message_type, depth - 1)
        elif field.type in (field.TYPE_INT32, field.TYPE_ENUM):
            value = st.integers(-2, 9) | st.sampled_from([2**31 - 1, -(2**31)])
        elif field.type == field.TYPE_BYTES:
            value = st.sampled_from(["", "aGk="])
        fields[field.name] = value
    return st.fixed_dictionaries({}, optional=fields)


def parsed(kind: type[Any]) -> st.SearchStrategy[Any]:
    def parse(fields: dict[str, Any]) -> Any:
        try:
            return json_format.ParseDict(fields, kind())
        except json_format.ParseError:
            return kind()

    return anything(kind.DESCRIPTOR).map(parse)


PATHS = st.lists(
    st.sampled_from(
        ["*", "schedule", "pubsub_target", "http_target.uri", "http_target", "retry_config", "name"]
    )
    | st.text(max_size=3),
    max_size=3,
)


@pytest.mark.slow
@given(job=parsed(scheduler_v1.Job.pb()), change=parsed(scheduler_v1.Job.pb()), paths=PATHS)
@settings(max_examples=150)
def test_any_request_is_answered_or_refused(job: Any, change: Any, paths: Any) -> None:
    place = Place()
    known = methods()

    def tried(call: Callable[[Any], Any], request: Any) -> Any:
        with suppress(RpcError):
            return call(request)

    job.name = NAME
    made = tried(place.api.create_job, known["CreateJob"][0](parent=PARENT, job=job))
    if made is None:
        place.create()
    update = known["UpdateJob"][0](job=change)
    update.job.name = NAME
    update.update_mask.paths.extend(paths)
    changed = tried(place.api.update_job, update)

    kept = place.saved[NAME]
    assert kept is not None
    assert place.scheduler.get(NAME) == kept == Job.from_dict(kept.to_dict())
    if changed is not None:
        assert changed == place.api.get_job(known["GetJob"][0](name=NAME))
        assert json_format.MessageToDict(changed)
