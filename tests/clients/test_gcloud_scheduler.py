"""`gcloud scheduler jobs` unchanged."""

from __future__ import annotations

import pytest

from tests.integration.emulator import PROJECT, Emulator, new_name

from .gcloud import Gcloud, GcloudError
from .sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ours_only")]

JOBS = "scheduler jobs"
AT = "--location=europe-west2"


def new_id() -> str:
    return new_name("topics").rpartition("/")[2]


def test_the_life_of_a_job_that_publishes(gcloud: Gcloud, pubsub: Emulator) -> None:
    topic, job = pubsub.create_topic(), new_id()
    subscription = pubsub.subscribe(topic)
    name = f"projects/{PROJECT}/locations/europe-west2/jobs/{job}"

    created = gcloud.run(
        f"{JOBS} create pubsub {job} {AT} --topic={topic} --message-body=tick"
        " --attributes=colour=red --time-zone=Europe/London --max-retry-attempts=2"
        " --min-backoff=1s --max-backoff=10s --max-doublings=3",
        "--schedule=0 3 1 1 *",
        "--description=Once a year",
    )
    gcloud.run(f"{JOBS} run {job} {AT}")

    assert created["name"] == name
    assert created["timeZone"] == "Europe/London"
    assert created["retryConfig"]["retryCount"] == 2
    (message,) = pubsub.pull(subscription)
    assert (message.data, dict(message.attributes)) == (b"tick", {"colour": "red"})
    gcloud.run(f"{JOBS} pause {job} {AT}")
    listed, paused = gcloud.together(
        (f"{JOBS} list {AT} --filter=name:{job}",), (f"{JOBS} describe {job} {AT}",)
    )
    assert [job["name"] for job in listed] == [name]
    assert paused["state"] == "PAUSED"
    gcloud.run(f"{JOBS} resume {job} {AT}")
    gcloud.run(f"{JOBS} update pubsub {job} {AT} --message-body=tock", "--schedule=0 4 1 1 *")
    changed = gcloud.run(f"{JOBS} describe {job} {AT}")
    assert (changed["state"], changed["schedule"]) == ("ENABLED", "0 4 1 1 *")
    assert changed["description"] == "Once a year"
    assert changed["timeZone"] == "Europe/London"
    gcloud.run(f"{JOBS} run {job} {AT}")
    assert [message.data for message in pubsub.pull(subscription)] == [b"tock"]
    gcloud.run(f"{JOBS} delete {job} {AT}")
    with pytest.raises(GcloudError, match=r"NOT_FOUND|not found"):
        gcloud.run(f"{JOBS} describe {job} {AT}")


def test_a_job_that_sends_an_http_request(gcloud: Gcloud, sink: Sink) -> None:
    job = new_id()

    gcloud.run(
        f"{JOBS} create http {job} {AT} --uri={sink.url}/task --http-method=put"
        " --message-body=tick --headers=X-Colour=red --attempt-deadline=30s"
        " --oidc-service-account-email=sa@p.iam.gserviceaccount.com --oidc-token-audience=me",
        "--schedule=0 3 1 1 *",
    )
    gcloud.run(f"{JOBS} run {job} {AT}")

    request = sink.wait()
    assert (request.method, request.path, request.body) == ("PUT", "/task", b"tick")
    assert request.headers["x-colour"] == "red"
    assert request.headers["authorization"].startswith("Bearer ")
    gcloud.run(
        f"{JOBS} update http {job} {AT} --uri={sink.url}/other --update-headers=X-Colour=blue"
    )
    gcloud.run(f"{JOBS} run {job} {AT}")
    again = sink.wait()
    assert (again.path, again.body) == ("/other", b"tick")
    assert again.headers["x-colour"] == "blue"


def test_a_wrong_schedule_is_refused(gcloud: Gcloud, pubsub: Emulator) -> None:
    create = f"{JOBS} create pubsub {new_id()} {AT} --topic={pubsub.create_topic()}"

    with pytest.raises(GcloudError, match=r"(?i)schedule|INVALID_ARGUMENT"):
        gcloud.run(f"{create} --message-body=x", "--schedule=often")
