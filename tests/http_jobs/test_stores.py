"""Jobs over HTTP with each store that processes share: sent, run, shown, repeated, cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ucam_faas.clock import SystemClock
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.execution.runtime import CURRENT
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import Client, make_message, make_push, serve

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    made: JobStore
    if request.param == "sqlite":
        made = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())
    elif request.param == "postgresql":
        made = PostgresqlStore(request.getfixturevalue("postgresql").new_database())
    else:
        made = request.getfixturevalue("firestore").store()
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def client(store: JobStore) -> Iterator[Client]:
    """Return the service and its tasks, whose wakes the test delivers."""
    publisher, before = MemoryPublisher({"charge.inbox": []}), CURRENT.get()
    with serve(
        "tests.http_jobs.tasks", clock=SystemClock(), publisher=publisher, store=store
    ) as client:
        CURRENT.set(client.app.runtime)
        yield client
        CURRENT.set(before)


def run(client: Client, id: str) -> int:
    """Deliver the wake of a job of `charge`, and return the status of the answer."""
    push = make_push(make_message(attributes={JOB_ATTRIBUTE: id}))
    return client.post("/charge/inbox", body=push.body, headers=push.headers).status


def test_a_job_is_sent_once_run_and_shown(client: Client) -> None:
    headers, body = {"Idempotency-Key": "order 17"}, b'{"id": 17}'

    sent = [client.post("/jobs/charge", body=body, headers=headers) for _ in range(2)]
    waiting = client.get(sent[0].headers["location"])
    status = run(client, "order 17")
    ended = client.get(f"{sent[0].headers['location']}?wait=10")
    late = client.post(f"{sent[0].headers['location']}/cancel")

    assert [each.status for each in sent] == [202, 202]
    assert (waiting.json()["state"], status) == ("PENDING", 200)
    assert ended.json()["state"] == "SUCCESS"
    assert ended.json()["result"] == {"order": 17, "paid": 100, "on": "2026-01-31"}
    assert (late.status, late.json()["code"]) == (409, "ended")


def test_a_job_of_later_is_cancelled(client: Client) -> None:
    sent = client.post("/jobs/charge?delay=60", body=b'{"id": 18}')

    cancelled = client.post(f"{sent.headers['location']}/cancel")

    assert cancelled.json()["state"] == "CANCELLED"
    assert client.get(sent.headers["location"]).json()["ended"] is not None


@pytest.mark.parametrize(
    "id", ["%00", "a%00b", "%ED%A0%80", "%C3%A9", "x" * 2000], ids=lambda id: id[:9]
)
def test_an_id_that_no_job_can_have_is_unknown(client: Client, id: str) -> None:
    shown, cancelled = client.get(f"/jobs/charge/{id}"), client.post(f"/jobs/charge/{id}/cancel")
    waited = client.get(f"/jobs/charge/{id}?wait=1")

    for response in (shown, cancelled, waited):
        assert (response.status, response.json()["code"]) == (404, "job-unknown")


def test_a_unique_key_that_a_store_cant_keep_is_refused(client: Client) -> None:
    response = client.post("/jobs/label", body=b'{"text": "a\\u0000"}')

    assert (response.status, response.json()["code"]) == (422, "payload-rejected")
